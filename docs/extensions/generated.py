"""
The Sphinx extension of this documentation.

It replaces the fences ``{generated} NAME`` by what the modules beside it make of the code, and leads a
reference to any of a name's places to the one that documents it.
"""

from __future__ import annotations

import sys
from typing import Any

import api
import attrs
import tables
from docstrings import without_attributes
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from azure_rt_audio.protocol.dialects.names import PREVIEW_NAMES

_FOREIGN = sys.stdlib_module_names | {
    "attr",
    "attrs",
    "numpy",
    "np",
    "qtpy",
    "websocket",
    "websockets",
    "sounddevice",
}
_BUILTINS = set(dir(__builtins__)) | set(__builtins__ if isinstance(__builtins__, dict) else ())


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", replace_generated)
    app.connect("autodoc-process-docstring", leave_out_fields, priority=400)
    app.connect("autodoc-skip-member", skip, priority=400)
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def replace_generated(app: Sphinx, document: str, content: list[str]) -> None:
    """Put text in place of the fences."""
    content[0] = api._BLOCK.sub(lambda block: make(block[1], block[2], block[3]), content[0])


def make(kind: str, module: str | None, names: str) -> str:
    """Return the text of a fence."""
    if kind == "module":
        assert module
        return api.eval_rst(f".. py:module:: {module}\n")
    if kind == "api":
        assert module
        return "\n".join(api.document(module, name) for name in names.split())
    if kind == "events":
        return "\n".join(api.event(cls, PREVIEW_NAMES.get(cls.TYPE)) for cls in api.events(names.strip()))
    if kind == "local-events":
        return "\n".join(
            api.fields_class(f"azure_rt_audio.events.{cls.__name__}", cls) for cls in api.LOCAL_EVENTS
        )
    if kind == "objects":
        return tables.objects(names)
    return str(getattr(tables, kind.replace("-", "_"))())


def leave_out_fields(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Of a class with a table of its fields, leave out their section."""
    if what == "class" and attrs.has(value):
        lines[:] = without_attributes(lines)


def skip(app: Sphinx, what: str, name: str, value: Any, is_skipped: bool, options: Any) -> bool | None:
    """Leave out the SDK's spellings, which have a page of their own, and what has no docstring."""
    from azure_rt_audio._typescript import TypeScriptNames

    return True if name in vars(TypeScriptNames) and not name.islower() else None


def find(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a reference by the object that it names; what is not ours, or not public, is no link."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    if target.split(".")[0] in _FOREIGN or target.split(".")[0] in _BUILTINS or target.isdigit():
        return text
    module, cls = node.get("py:module"), node.get("py:class")
    spellings = [target, f"{module}.{target}", f"{module}.{cls}.{target}"]
    spellings += [f"{m}.{target}" for m in api.MODULES]
    for place in spellings:
        home = home_of(place)
        if home is not None:
            domain = env.get_domain("py")
            found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, text)
            return found or text
    is_internal = any(api.internal(place) for place in spellings if place.startswith("azure_rt_audio"))
    return text if is_internal or _by_name(target) else None


def home_of(place: str) -> str | None:
    """Return the documented place of a public name, or of a member of one."""
    homes = api.homes()
    head, tail = place, ""
    while head:
        if head in homes:
            return homes[head] + tail
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    value = api.locate(place) if place.startswith("azure_rt_audio.") else None
    name = getattr(value, "__qualname__", None)
    if value is None or name is None:
        return None
    owner, _, member = name.partition(".")
    for home in set(homes.values()):
        found = api.locate(home)
        if getattr(found, "__qualname__", None) == owner and found.__module__ == value.__module__:
            return f"{home}.{member}" if member else home
    return None


def _by_name(target: str) -> bool:
    """Whether an internal class has this name; annotations that are not evaluated have nothing more."""
    last = target.rpartition(".")[2]
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("azure_rt_audio")]
    return any(hasattr(module, last) for module in modules)
