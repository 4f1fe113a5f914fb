"""What can be read in the frames of a traceback and in objects, as error reporters and debuggers read it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import azure_rt_audio

PACKAGE = str(Path(azure_rt_audio.__file__).parent)
_PLAIN = (type(None), bool, int, float, complex, types.ModuleType, type, types.CodeType, types.FrameType)
_DEPTH = 6


def shows(value: Any, word: str) -> list[str]:
    """Return the paths below *value*, through containers and attributes, where *word* can be read."""
    return sorted(set(_find(value, word, "value", _DEPTH, set())))


def held_by_frames(error: BaseException, word: str) -> list[str]:
    """Where *word* can be read in our frames of an exception, its causes and contexts, or in their texts."""
    found = []
    for each in _chain(error, set()):
        found += [
            f"{type(each).__name__}: {path}" for path in shows((str(each), each.args, vars(each)), word)
        ]
        trace = each.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename.startswith(PACKAGE) or "azure_rt_audio" in code.co_filename[:60]:
                for name, value in trace.tb_frame.f_locals.items():
                    found += [f"{code.co_name}: {name}: {path}" for path in shows(value, word)]
            trace = trace.tb_next
    return found


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from _chain(error.__cause__, seen)
        yield from _chain(error.__context__, seen)


def _find(value: Any, word: str, path: str, depth: int, seen: set[int]) -> Iterator[str]:
    if isinstance(value, str | bytes | bytearray):
        text = value if isinstance(value, str) else bytes(value).decode("latin-1")
        if word in text:
            yield path
        return
    if isinstance(value, _PLAIN) or id(value) in seen:
        return
    seen.add(id(value))
    try:
        text = repr(value)
    except (AttributeError, TypeError):  # half-built
        text = ""
    if word in text:
        yield f"repr({path})"
    if not depth:
        return
    for name, part in _parts(value):
        yield from _find(part, word, f"{path}{name}", depth - 1, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in list(value.items()):
            yield f"[{key!r:.20}]", part
            yield ".key", key
    elif isinstance(value, list | tuple | set | frozenset):
        for part in list(value):
            yield "[]", part
    names = [*getattr(value, "__dict__", ())]
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    for name in names:
        try:
            yield f".{name}", object.__getattribute__(value, name)
        except AttributeError:
            continue
