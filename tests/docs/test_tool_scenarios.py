"""Each scenario of the page on tools has a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "tools.md"


def test_each_scenario_has_its_test() -> None:
    """The last cell of each line names one."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    named = [re.search(r"`(test_\w+\.py)::(test_\w+)` \|$", row) for row in rows]
    files = {path.name: path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")}

    assert len(rows) > 12
    assert [row for row, found in zip(rows, named, strict=True) if found is None] == []
    assert [found[0] for found in named if found and f"def {found[2]}(" not in files.get(found[1], "")] == []
