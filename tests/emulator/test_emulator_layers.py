"""The emulator's house: which package imports which, and where dialects are known by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import azure_rt_audio.emulator
from azure_rt_audio.emulator.dialects.choose import DIALECTS

PACKAGE = Path(azure_rt_audio.emulator.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
MAY_IMPORT = {
    "model": set(),
    "dialects": {"model"},
    "speech": {"model"},
    "session": {"model", "dialects", "speech"},
    "replay": {"dialects", "session"},
    "server": {"model", "dialects", "speech", "session", "replay"},
}


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the emulator's modules that a file imports, for types alone too."""
    package = path.parent.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(package) + 1:
            module = node.module.split(".") if node.module else []
            for name in [""] if module else [alias.name for alias in node.names]:
                yield (*package[: len(package) - node.level + 1], *module, *filter(None, [name]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_packages_import_from_below(path: Path) -> None:
    """Server, session, dialects and speech, model: arrows point one way."""
    room = path.relative_to(PACKAGE).parts[0]

    for module in imports(path):
        assert module[0] == room or module[0] in MAY_IMPORT[room], f"{room} imports {'.'.join(module)}"


def test_modules_form_no_circles() -> None:
    """Imports that only serve type checkers count."""
    graph = {path.relative_to(PACKAGE).with_suffix("").parts: set(imports(path)) for path in FILES}

    assert len(list(TopologicalSorter(graph).static_order())) >= len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_comparison_by_dialect_name(path: Path) -> None:
    """A dialect is asked, not compared: no comparison or key with its name, outside its own package."""
    if path.parent.name == "dialects":
        return
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        inner: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            inner = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            inner = node.keys
        elif isinstance(node, ast.Subscript):
            inner = [node.slice]
        elif isinstance(node, ast.MatchValue):
            inner = [node.value]
        for one in [leaf for part in inner if part is not None for leaf in ast.walk(part)]:
            assert not (isinstance(one, ast.Constant) and one.value in DIALECTS), f"line {one.lineno}"
