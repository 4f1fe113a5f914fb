"""Every program of the documentation runs, and prints what its page says."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest

PAGES = {
    name: page
    for name, page in pages.documentation().items()
    if not any(b.needs_a_window or b.needs_a_kernel or b.needs_another_client for b in page)
}
"""The others have tests in tests/system: windows, notebook, foreign."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs(name: str, tmp_path: Path) -> None:
    """Its blocks end well, one after the other."""
    pages.run(PAGES[name], name, tmp_path)
