"""``--tools module:name``: tools for the model, from a module of the user's."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from .. import McpServer, Tool, Tools
from .._printable import one_line
from . import UsageError

__all__ = ["add_tools_argument", "load_tools"]


def add_tools_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--tools",
        metavar="MODULE:NAME",
        action="append",
        default=[],
        help="let the model call functions: NAME in a module that can be imported from the current folder is "
        "a function, a list of them, a Tool, an McpServer or Tools; may be given several times",
    )


def load_tools(places: Iterable[str]) -> Tools | None:
    """
    Import what ``--tools`` names; ``None`` if it was not given.

    Raises:
        UsageError: There is no such module or name, or it is no tool.
    """
    tools = Tools()
    for place in places:
        try:
            _add(tools, _named(place))
        except (UsageError, TypeError, ValueError) as exc:
            raise UsageError(one_line(f"--tools {place}: {exc}")) from exc
    return tools if len(tools) or tools.servers else None


def _named(place: str) -> Any:
    """Return what a place names."""
    module_name, colon, name = place.partition(":")
    if not (module_name and colon and name):
        raise UsageError("pass MODULE:NAME, such as my_tools:get_weather")
    module = _imported(module_name)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"{module_name} has no {name!r}{_near(name, module)}") from None
    return found


def _imported(name: str) -> ModuleType:
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as for python -m
    try:
        return importlib.import_module(name)
    except TypeError as exc:  # begins with a dot
        if not name.startswith("."):
            raise UsageError(f"importing {name} failed: TypeError: {exc}") from exc
        remedy = ": leave ./ out" if name.startswith("./") else ""
        raise UsageError(f"{name} is no module; name one from the current folder{remedy}") from exc
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            remedy = "; leave .py out" if name.endswith(".py") else ""
            raise UsageError(f"there is no module {name} in this folder, or installed{remedy}") from exc
        raise UsageError(f"importing {name} failed: {exc}") from exc
    except (Exception, SystemExit) as exc:  # the user's code
        raise UsageError(f"importing {name} failed: {type(exc).__name__}: {exc}") from exc


def _near(name: str, module: ModuleType) -> str:
    """Return names that may have been meant."""
    names = [key for key, value in vars(module).items() if not key.startswith("_") and _may_be_given(value)]
    near = difflib.get_close_matches(name, names, n=1) or sorted(names)[:8]
    return f"; did you mean {', '.join(near)}?" if near else ""


def _may_be_given(value: Any) -> bool:
    """Whether a value is a tool, or a list of them."""
    return _may_be(value) or (isinstance(value, list | tuple) and bool(value) and all(map(_may_be, value)))


def _may_be(value: Any) -> bool:
    return isinstance(value, Tool | Tools | McpServer) or (callable(value) and not isinstance(value, type))


def _add(tools: Tools, found: Any) -> None:
    if _may_be(found):
        tools.update([found])
    elif isinstance(found, Iterable) and not isinstance(found, str | bytes | dict):
        tools.update(found)
    else:
        raise UsageError(
            f"it is no function, list of functions, Tool, McpServer or Tools, but {type(found).__name__}"
        )
