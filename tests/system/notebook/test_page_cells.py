"""Pages of the documentation about notebooks: their blocks are cells."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest
from cli_runner import VARIABLES
from kernels import Kernel, new_id

pytestmark = pytest.mark.notebook

PAGES = {
    name: page for name, page in pages.documentation().items() if any(block.needs_a_kernel for block in page)
}

PLACE = """
import os

os.chdir({folder!r})
options = service.options()
for name, option in zip({variables!r}, ("host_name", "api_key", "deployment")):
    os.environ[name] = options[option]
"""


@pytest.mark.parametrize("name", PAGES)
def test_the_cells_of_a_page_run(name: str, fresh: Kernel, tmp_path: Path) -> None:
    """One after the other, in a kernel of their own; they print what it says, nothing as an error."""
    fresh.ok(PLACE.format(folder=str(tmp_path), variables=VARIABLES))
    for block in PAGES[name]:
        cell = fresh.ok(block.code, new_id())

        assert cell.complained == "", f"{name}, line {block.line}"
        pages.compare(block, cell.printed, name)
