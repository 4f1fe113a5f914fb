"""What differs between dialects is asked of a dialect: its name is compared in ``dialects`` folders only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import azure_rt_audio
from azure_rt_audio.protocol.dialects import DIALECTS, DialectName

PACKAGE = Path(azure_rt_audio.__file__).parent

EXEMPT = {"dialects"}
"""Folders in which a dialect's name may be compared."""
NOT_CHECKED: set[str] = set()
"""Rooms below the package that have a test of their own."""


def _files() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if not EXEMPT & {*path.relative_to(PACKAGE).parts[:-1]}
        and path.relative_to(PACKAGE).parts[0] not in NOT_CHECKED
    ]


def comparisons(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that compare with, match or look up the name of a dialect."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        else:
            continue
        for part in parts:
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and inner.value in DIALECTS:
                    yield inner.lineno


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_dialect_is_recognised_by_name(path: Path) -> None:
    """A further dialect needs no change outside of ``dialects``."""
    lines = list(comparisons(ast.parse(path.read_text(encoding="utf-8"))))

    assert lines == [], f"{path.name} asks for a dialect's name; ask the dialect for what depends on it"


@pytest.mark.parametrize(
    "code",
    [
        'dialect.name == "ga"',
        '"preview" != name',
        'name in ("ga", "preview")',
        'x = {"ga": 1}[name]',
        'match name:\n    case "ga":\n        pass',
    ],
)
def test_a_comparison_is_found(code: str) -> None:
    """In each form that Python has for it."""
    assert list(comparisons(ast.parse(code)))


def test_every_dialect_can_be_named() -> None:
    """The type of the option has the names of the registry."""
    assert get_args(DialectName) == tuple(DIALECTS)
    assert [cls.name for cls in DIALECTS.values()] == list(DIALECTS)
