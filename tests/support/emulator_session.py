"""
The emulator's session without a server: commands in, events out, a clock advanced by hand.

Every event is checked against the catalogue of its dialect: all required fields, no unknown ones, at any
depth.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from catalogue_types import alternatives, catalogue, fields_of

from azure_rt_audio.emulator import Behaviour, Close, SessionEngine
from azure_rt_audio.emulator.dialects.choose import dialect_named
from azure_rt_audio.emulator.dialects.names import EVENTS, canonical

DIALECTS = ("ga", "preview")


# Named in an event, described nowhere in the preview's catalogue: the update's is the nearest.
_SAME_AS = {("preview", "RealtimeTranscriptionSessionCreateResponse"): "TranscriptionSession"}
# Fields on the wire of GA that the catalogue does not have.
_RECORDED: dict[str, dict[str, Any]] = {
    **{
        f"response.content_part.{moment}": {
            "content": {
                **catalogue("ga")["server_events"][f"response.content_part.{moment}"]["part"],
                "required": False,
            }
        }
        for moment in ("added", "done")
    },
    **{
        f"{kind}.delta": {"obfuscation": {"required": False, "type": "string"}}
        for kind in (
            "conversation.item.input_audio_transcription",
            "response.function_call_arguments",
            "response.output_audio_transcript",
            "response.output_text",
        )
    },
}
_PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def problems(dialect: str, event: dict[str, Any]) -> list[str]:
    """Everything that is wrong with one event, as sentences; empty if nothing is."""
    found = catalogue(dialect)
    known = {**found.get("openai_beta_only_events", {}), **found["server_events"]}
    kind = event["type"]
    if kind not in known:
        return [f"{kind} is no server event of this dialect"]
    fields = {**known[kind], **_RECORDED.get(kind, {})} if dialect == "ga" else known[kind]
    return list(_in_object(dialect, event, fields, kind))


def _in_object(dialect: str, value: Any, fields: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    for name, field in fields.items():
        if field["required"] and name not in value:
            yield f"{path}.{name} is missing"
    for name, held in value.items():
        if name not in fields:
            yield f"{path}.{name} is unknown"
        elif held is None:
            if fields[name]["required"] and not fields[name].get("nullable"):
                yield f"{path}.{name} is null"
        else:
            yield from _in_value(dialect, held, fields[name]["type"], f"{path}.{name}")


def _in_value(dialect: str, value: Any, type_: str, path: str) -> Iterator[str]:
    attempts = [list(_in_one(dialect, value, *one, path)) for one in alternatives(dialect, type_)]
    yield from min(attempts, key=len)


def _in_one(dialect: str, value: Any, kind: str, argument: Any, path: str) -> Iterator[str]:
    if kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "boolean"):
            yield f"{path} is {value!r}, no {kind}"
    elif kind == "value":
        if value != argument:
            yield f"{path} is {value!r}, not {argument!r}"
    elif kind == "array":
        for index, element in enumerate(value if isinstance(value, list) else [None]):
            yield from _in_value(dialect, element, argument, f"{path}[{index}]")
    elif kind == "map":
        for name, held in value.items():
            yield from _in_value(dialect, held, argument, f"{path}.{name}")
    elif kind != "any":
        name = _SAME_AS.get((dialect, argument), argument) if kind == "ref" else argument
        yield from _in_object(dialect, value, fields_of(dialect, kind, name), path)


class Bench:
    """A session under test; see the module docstring."""

    def __init__(
        self,
        dialect: str = "ga",
        kind: str = "realtime",
        *,
        profile: str = "azure",
        model: str = "gpt-4o-realtime-preview",
        **behaviour: Any,
    ) -> None:
        self.dialect = dialect
        self.reports_rate_limits = dialect_named(dialect, profile).profile.reports_rate_limits
        self.now = 100.0
        self.heard: list[dict[str, Any]] = []
        self.closed: Close | None = None
        self.engine = SessionEngine(
            Behaviour(**{"seed": 7, **behaviour}),
            dialect=dialect,
            profile=profile,
            kind=kind,
            model=model,
            now=self.now,
            wall_time=1_700_000_000.0,
        )
        self.greeting = self.drain()

    def hear(self) -> dict[str, Any] | None:
        """The next event that is due, checked; ``None`` if there is none now."""
        out = self.engine.pull(self.now)
        if isinstance(out, Close):
            self.closed = out
            return None
        if out is not None:
            assert problems(self.dialect, out) == []
            assert canonical(out["type"]) in EVENTS, "a fault script could not name it"
            self.heard.append(out)
        return out

    def drain(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """Everything that is due within *seconds*; the clock is turned that far."""
        end = self.now + seconds
        found: list[dict[str, Any]] = []
        while True:
            event = self.hear()
            if event is not None:
                found.append(event)
                continue
            due = self.engine.next_due()
            if due is None or due > end or self.closed:
                self.now = end
                return found
            self.now = max(self.now, due)

    def until(self, name: str) -> dict[str, Any]:
        """Everything up to an event, which is returned; the clock turns as far as needed."""
        for _ in range(100_000):
            event = self.hear()
            if event is not None and canonical(event["type"]) == canonical(name):
                return event
            if event is None:
                due = self.engine.next_due()
                assert due is not None, f"it is over, without {name}"
                assert due < self.now + 600, f"nothing more to come, without {name}"
                self.now = max(self.now, due)
        raise AssertionError(f"{name} never came")

    def tell(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a command and hear everything that follows at once."""
        self.send(type, **fields)
        return self.drain()

    def send(self, type: str, **fields: Any) -> None:
        """Send a command and hear nothing yet."""
        self.engine.receive(json.dumps({"type": type, **fields}), self.now)

    def error(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send a command that is refused, and nothing else happens; the error's inside."""
        events = self.tell(type, **fields)
        assert [event["type"] for event in events] == ["error"]
        inner: dict[str, Any] = events[0]["error"]
        return inner

    def user(self, text: str, **fields: Any) -> dict[str, Any]:
        """A user's message in writing; returns the item."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        events = self.tell("conversation.item.create", item=item, **fields)
        held: dict[str, Any] = events[0]["item"]
        return held

    def append(self, pcm: bytes, *, chunk_ms: int = 100) -> None:
        """Append PCM16 in chunks, hearing nothing yet."""
        for start in range(0, len(pcm), chunk_ms * 48):
            piece = pcm[start : start + chunk_ms * 48]
            self.send("input_audio_buffer.append", audio=base64.b64encode(piece).decode())

    def configure(self, **flat: Any) -> dict[str, Any]:
        """Update the session, given in preview's flat names; returns it as acknowledged."""
        events = self.tell("session.update", session=self.session(**flat))
        assert [event["type"] for event in events] == ["session.updated"], events
        session: dict[str, Any] = events[0]["session"]
        return session

    def session(self, **flat: Any) -> dict[str, Any]:
        """A session in the dialect's own shape."""
        if self.dialect == "preview":
            return flat
        formats = {
            "pcm16": {"type": "audio/pcm", "rate": 24000},
            "g711_ulaw": {"type": "audio/pcmu"},
            "g711_alaw": {"type": "audio/pcma"},
        }
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": {}, "output": {}}}
        heard, said = session["audio"]["input"], session["audio"]["output"]
        for name, value in flat.items():
            if name == "modalities":
                session["output_modalities"] = value
            elif name == "max_response_output_tokens":
                session["max_output_tokens"] = value
            elif name == "turn_detection":
                heard[name] = value
            elif name == "input_audio_format":
                heard["format"] = formats[value]
            elif name.startswith("input_audio_"):
                heard[name[len("input_audio_") :]] = value
            elif name == "output_audio_format":
                said["format"] = formats[value]
            elif name in ("voice", "speed"):
                said[name] = value
            else:
                session[name] = value
        return session

    def wire(self, name: str) -> str:
        """A preview name as the dialect spells it."""
        return dialect_named(self.dialect).wire_name(canonical(name))

    def item_events(self) -> list[str]:
        """What announces a finished item."""
        if self.dialect == "ga":
            return ["conversation.item.added", "conversation.item.done"]
        return ["conversation.item.created"]

    def tail(self) -> list[str]:
        """What ends a response."""
        return ["response.done", *(["rate_limits.updated"] if self.reports_rate_limits else [])]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Types in order; a run of deltas appears once for each kind it mixes."""
    seen: list[str] = []
    for event in events:
        if not event["type"].endswith(".delta") or event["type"] not in seen:
            seen.append(event["type"])
    return seen


def only(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one event of a type, named as in preview."""
    found = [event for event in events if canonical(event["type"]) == canonical(name)]
    assert len(found) == 1, f"{len(found)} of {name} in {kinds(events)}"
    return found[0]


def joined(events: list[dict[str, Any]], name: str) -> str:
    """The deltas of a type, together."""
    return "".join(event["delta"] for event in events if canonical(event["type"]) == canonical(name))


def sound(events: list[dict[str, Any]]) -> bytes:
    """The audio of all deltas, as the wire carried it."""
    deltas = [event["delta"] for event in events if canonical(event["type"]) == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)
