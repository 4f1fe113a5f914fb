"""Every program of the documentation runs, and prints what its page says."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest

DOCS = Path(__file__).parents[2] / "docs"
FOLDERS = ("tutorial", "how-to", "reference", "explanation", "coming-from")

PAGES = {
    path.relative_to(DOCS).as_posix(): pages.blocks(path.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for path in sorted((DOCS / folder).glob("*.md"))
}
WITH_WINDOWS = {name for name, found in PAGES.items() if any(block.needs_a_window for block in found)}
WITH_CELLS = {name for name, found in PAGES.items() if any(block.needs_a_kernel for block in found)}
PLAIN = sorted(name for name in PAGES.keys() - WITH_WINDOWS - WITH_CELLS if PAGES[name])


@pytest.mark.parametrize("name", PLAIN)
def test_a_page_runs(name: str, tmp_path: Path) -> None:
    """Its blocks end well, one after the other."""
    pages.run(PAGES[name], name, tmp_path)
