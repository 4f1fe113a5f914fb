"""Events of three turns as the emulator sends them, and each with one field that is not as it should be."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from emulator_session import Bench

from azure_rt_audio.emulator import FunctionCall, speak

__all__ = ["ABSENT", "MUTATIONS", "odd_versions", "turn"]

ABSENT: Final = object()
MUTATIONS: Final = ("absent", "null", "wrong type", "number as text", "float", "empty")

_TOOL: Final = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells.",
    "parameters": {"type": "object"},
}
_FEW: Final = 2
"""Deltas of a kind, in a turn; the others say nothing new."""


@cache
def turn(kind: str, dialect: str = "ga") -> tuple[dict[str, Any], ...]:
    """Return the events of a session of one turn: ``"text"``, ``"tool"`` or ``"vad"``."""
    bench = Bench(dialect, responder=_respond, recogniser=lambda pcm, session: "Hello, I am Robin.")
    events = list(bench.greeting)
    voiced = kind == "vad"
    asked = bench.session(
        instructions="Be brief.",
        modalities=(["audio"] if dialect == "ga" else ["text", "audio"]) if voiced else ["text"],
        tools=[_TOOL] if kind == "tool" else [],
        input_audio_transcription={"model": "gpt-realtime-whisper" if dialect == "ga" else "whisper-1"},
        turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    )
    events += bench.tell("session.update", session=asked)
    if voiced:
        bench.append(bytes(48 * 500) + speak("Hello, I am Robin.") + bytes(48 * 500))
        events += bench.drain(60)
    else:
        before = len(bench.heard)
        bench.user("Hello.")
        bench.tell("response.create")
        bench.drain(60)
        if kind == "tool":
            call_id = bench.engine.conversation.items[-1].call_id
            result = {"type": "function_call_output", "call_id": call_id, "output": "Fog."}
            bench.send("conversation.item.create", item=result)
            bench.tell("response.create")
            bench.drain(60)
        events += bench.heard[before:]
    return tuple(_without_repetitions(events))


def _respond(conversation: Any, session: Any) -> Any:
    if session.tools and conversation.items[-1].type == "message":
        return FunctionCall("get_weather", {"city": "Bergen"})
    return "Nice to meet you, Robin!"


def _without_repetitions(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    counts: dict[tuple[str, Any], int] = {}
    for event in events:
        key = (event["type"], event.get("response_id"))
        counts[key] = counts.get(key, 0) + 1
        if not event["type"].endswith(".delta"):
            yield event
        elif counts[key] <= _FEW:
            is_sound = event["type"] in ("response.output_audio.delta", "response.audio.delta")
            yield {**event, "delta": base64.b64encode(bytes(480)).decode()} if is_sound else event


def odd_versions(event: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, kind of mutation, and the event so mutated, for each field at any depth but its type."""
    for path, value in _fields(event, ()):
        if path == ("type",):
            continue
        for mutation in MUTATIONS:
            odd = _mutated(value, mutation)
            if odd is not ABSENT or mutation == "absent":
                yield _written(path), mutation, _with(event, path, odd)


def _fields(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, held in inside:
        yield (*path, name), held
        yield from _fields(held, (*path, name))


def _mutated(value: Any, mutation: str) -> Any:
    """Return the odd value; ``ABSENT`` also where a mutation does not apply."""
    if mutation == "null":
        return None
    if mutation == "wrong type":
        return {"not": ["this"]} if isinstance(value, list | str) else [7]
    if mutation == "number as text":
        return "7" if not isinstance(value, int | float) or isinstance(value, bool) else str(value)
    if mutation == "float":
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else 3.5
    if mutation == "empty":
        return type(value)() if isinstance(value, str | list | dict) else ""
    return ABSENT


def _with(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    name, rest = path[0], path[1:]
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        changed[name] = _with(value[name], rest, odd)
    elif odd is ABSENT:
        del changed[name]
    else:
        changed[name] = odd
    return changed


def _written(path: tuple[Any, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
