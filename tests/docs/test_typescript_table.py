"""The page for those who come from the TypeScript SDK: both names of each row exist."""

from __future__ import annotations

import re

import pages
import pytest

from azure_rt_audio import AzureRealTimeAudio

PAGE = (pages.DOCS / "coming-from" / "typescript.md").read_text(encoding="utf-8")
ROWS = re.findall(r"\| `client\.(\w+)[^|]*\| `client\.(\w+)", PAGE)


@pytest.mark.parametrize("row", ROWS, ids=[name for name, _ in ROWS])
def test_both_names_of_the_table_exist(row: tuple[str, str]) -> None:
    """Each member of the table is there under its SDK name and under its Python name."""
    for spelling in row:
        assert hasattr(AzureRealTimeAudio, spelling)


def test_the_table_has_the_members_of_the_sdk() -> None:
    """Three properties and fifteen methods; the pattern above finds them."""
    assert len(ROWS) >= 17
