"""Objects whose constructor did not end: a debugger shows them, they are collected, and nothing is raised."""

from __future__ import annotations

import gc
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure_rt_audio
from azure_rt_audio._extras import importing
from azure_rt_audio.errors import MissingExtraError


def classes() -> Iterator[type[Any]]:
    """Yield the classes of the package with a text or a finalizer of their own."""
    seen: set[type[Any]] = set()
    for module in pkgutil.walk_packages(azure_rt_audio.__path__, "azure_rt_audio."):
        if "._cli" in module.name or module.name.endswith(("__main__", "recogniser_process", ".testing")):
            continue  # programs, and a plugin of pytest
        try:
            with importing(module.name, "qt", "a test"):
                found = vars(importlib.import_module(module.name)).values()
        except MissingExtraError:
            continue
        for cls in found:
            if inspect.isclass(cls) and cls.__module__.startswith("azure_rt_audio") and cls not in seen:
                seen.add(cls)
                yield cls


def has_own_text(cls: type[Any]) -> bool:
    """Whether its ``__repr__`` is code of this package: neither that of a base nor generated."""
    code = getattr(cls.__repr__, "__code__", None)
    return code is not None and code.co_filename.startswith(str(Path(azure_rt_audio.__file__).parent))


def test_half_made_objects_have_a_text() -> None:
    """Whatever attribute they lack."""
    found = [cls for cls in classes() if has_own_text(cls) and cls.__new__ is object.__new__]
    assert len(found) > 80
    for cls in found:
        assert isinstance(repr(cls.__new__(cls)), str), cls


def test_half_made_objects_are_collected() -> None:
    """Their finalizers find nothing to do; what they raised would be a warning, which fails the test."""
    found = [cls for cls in classes() if hasattr(cls, "__del__")]
    assert len(found) >= 2
    for cls in found:
        cls.__new__(cls)
    gc.collect()
