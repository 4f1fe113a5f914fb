"""The pages of the documentation that show a client of others beside ours."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest

pytestmark = pytest.mark.foreign

PAGES = {
    name: page
    for name, page in pages.documentation().items()
    if any(block.needs_another_client for block in page)
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_a_client_of_others(name: str, tmp_path: Path) -> None:
    """Its programs run as they stand, and print what it says."""
    pages.run(PAGES[name], name, tmp_path)
