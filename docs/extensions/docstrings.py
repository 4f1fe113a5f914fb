"""Reads docstrings and fields of the package; makes Markdown of them."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import re
from pathlib import Path
from typing import Any

import attrs

import azure_rt_audio

PACKAGE = Path(azure_rt_audio.__file__).parent

_COMMON = {"extra", "raw", "event_id"}
"""Fields that every message or event has; their base classes say what they are."""


def fields_said(cls: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of each attribute."""
    said: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        section = re.search(r"^Attributes:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
        for name, first, rest in re.findall(
            r"^    (\w+): (.*)\n?((?:     .*\n?|\n)*)", section[1] if section else "", re.MULTILINE
        ):
            said[name] = " ".join((first + " " + rest).split())
    return said


def without_attributes(lines: list[str]) -> list[str]:
    """Leave out the section of a docstring that a table says again."""
    text = re.sub(r"^Attributes:\n(?:    .*\n?|\n)*", "", "\n".join(lines), flags=re.MULTILINE)
    return text.split("\n")


def markdown(text: str) -> str:
    """Translate the little reStructuredText that docstrings have, for the cell of a table."""
    text = re.sub(r":(\w+):`([^`]+)`", r"{py:\1}`\2`", text)
    return text.replace("|", "\\|")


def type_of(cls: type[Any], name: str) -> str:
    """Return the annotation of a field as it is written, without what only the constructor knows."""
    for base in cls.__mro__:
        if name in vars(base).get("__annotations__", {}):
            written = str(vars(base)["__annotations__"][name])
            return re.sub(r"\bDialectName\b", "str", written.replace(" | Unset", ""))
    return ""


def default_of(attribute: attrs.Attribute[Any]) -> str:
    """Return the default of a field as code, or nothing."""
    if attribute.default is attrs.NOTHING or isinstance(attribute.default, attrs.Factory):  # type: ignore[arg-type]
        return ""
    if attribute.name in ("max_message_bytes", "max_send_backlog_bytes"):
        return f"`{attribute.default // 2**20} * 2**20`"
    return f"`{attribute.default!r}`"


def own_fields(cls: type[Any]) -> list[attrs.Attribute[Any]]:
    """Return the fields of a class that its constructor has, without those of every message."""
    return [a for a in attrs.fields(cls) if a.init and a.name not in _COMMON and not a.name.startswith("_")]


def field_table(cls: type[Any], *, with_defaults: bool = False) -> str:
    """Return a table of the fields of an attrs class, as Markdown; nothing if it has none."""
    said = fields_said(cls)
    rows = [
        (
            f"`{a.name}`",
            markdown(f"`{type_of(cls, a.name)}`"),
            *([default_of(a)] if with_defaults else []),
            markdown(said.get(a.name, "")),
        )
        for a in own_fields(cls)
    ]
    head = ("field", "type", *(["default"] if with_defaults else []), "meaning")
    return table(head, rows) if rows else ""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


@functools.cache
def constants() -> dict[str, tuple[str, str]]:
    """Return the value, as code, and the docstring of each constant and alias of the package that has one."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, following in itertools.pairwise(body):
            is_documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_documented and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                said = inspect.cleandoc(str(following.value.value))  # type: ignore[attr-defined]
                found[ast.unparse(target)] = (ast.unparse(node.value), said)
    return found


def class_docstring(path: Path, name: str) -> str:
    """Return the docstring of a class of a module that is not imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ast.get_docstring(node) or ""
    raise AssertionError(f"{path} has no class {name}")
