"""
An emulator session without a socket: commands in, events out, and a clock that the test advances.

Every event of the session is checked against the catalogue of its dialect: all required
fields, no unknown ones, all the way down.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from azure_rt_audio.emulator import Behaviour, Close, SessionEngine
from azure_rt_audio.emulator.dialects.base import canonical, event_name

DATA = Path(__file__).parents[1] / "data"
DIALECTS = ("ga", "preview")


class Catalogue:
    """What the service may say in a dialect, field by field."""

    def __init__(self, dialect: str) -> None:
        found = json.loads((DATA / f"{dialect}.json").read_text("utf-8"))
        self._events = {**found.get("openai_beta_only_events", {}), **found["server_events"]}
        self._objects = dict(found["objects"])
        self._enums = found["enums"]
        if dialect == "preview":
            # The preview catalogue names this shape without having it; the update's is the nearest.
            self._objects["RealtimeTranscriptionSessionCreateResponse"] = self._objects[
                "TranscriptionSession"
            ]

    def problems(self, event: dict[str, Any]) -> list[str]:
        """Everything that is wrong with one event, as sentences; empty if nothing is."""
        fields = self._events.get(event["type"])
        if fields is None:
            return [f"{event['type']} is no server event of this dialect"]
        return list(self._record(event, fields, event["type"]))

    def _record(self, value: Any, fields: dict[str, Any], path: str) -> Iterator[str]:
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
                yield from self._value(held, fields[name]["type"], f"{path}.{name}")

    def _value(self, value: Any, kind: str, path: str) -> Iterator[str]:
        attempts = [list(self._alternative(value, one, path)) for one in _split(kind, "|")]
        yield from min(attempts, key=len)

    def _alternative(self, value: Any, kind: str, path: str) -> Iterator[str]:
        plain: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        if kind == "any":
            return
        if kind in plain:
            if not isinstance(value, plain[kind]) or (isinstance(value, bool) and kind != "boolean"):
                yield f"{path} is {value!r}, no {kind}"
        elif kind.startswith("const:"):
            if value != json.loads(kind[6:]):
                yield f"{path} is {value!r}, not {kind[6:]}"
        elif kind.startswith("enum:"):
            if value not in self._enums[kind[5:]]:
                yield f"{path} is {value!r}, none of {self._enums[kind[5:]]}"
        elif kind.startswith("enum["):
            if value not in kind[5:-1].split(","):
                yield f"{path} is {value!r}, none of {kind}"
        elif kind.startswith("ref:"):
            yield from self._record(value, self._objects[kind[4:]], path)
        elif kind.startswith("array<"):
            for index, element in enumerate(value if isinstance(value, list) else [None]):
                yield from self._value(element, kind[6:-1], f"{path}[{index}]")
        elif kind.startswith("map<string,"):
            for name, held in value.items():
                yield from self._value(held, kind[11:-1], f"{path}.{name}")
        elif kind.startswith("object{"):
            fields = dict(re.split(r":\s*", pair, maxsplit=1) for pair in _split(kind[7:-1], ","))
            known = {name: {"required": False, "type": of} for name, of in fields.items()}
            yield from self._record(value, known, path)
        else:
            raise AssertionError(f"the catalogue says {kind!r}, which this checker does not know")


def _split(text: str, separator: str) -> list[str]:
    """Split at *separator* where no bracket is open."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "<[{") - (letter in ">]}")
        if letter == separator and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


@lru_cache
def catalogue(dialect: str) -> Catalogue:
    """The catalogue of a dialect, read once."""
    return Catalogue(dialect)


class Bench:
    """A brain on the bench; see the module docstring."""

    def __init__(
        self,
        dialect: str = "ga",
        kind: str = "realtime",
        *,
        deployment: str = "my-deployment",
        model: str = "gpt-4o-realtime-preview",
        **temper: Any,
    ) -> None:
        self.dialect = dialect
        self.now = 100.0
        self.heard: list[dict[str, Any]] = []
        self.closed: Close | None = None
        self.brain = SessionEngine(
            Behaviour(**{"seed": 7, **temper}),
            dialect=dialect,
            kind=kind,
            deployment=deployment,
            model=model,
            now=self.now,
            wall_time=1_700_000_000.0,
        )
        self.greeting = self.drain()

    def hear(self) -> dict[str, Any] | None:
        """The next event that is due, checked; ``None`` if there is none now."""
        out = self.brain.pull(self.now)
        if isinstance(out, Close):
            self.closed = out
            return None
        if out is not None:
            assert catalogue(self.dialect).problems(out) == []
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
            due = self.brain.next_due()
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
                due = self.brain.next_due()
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
        self.brain.receive(json.dumps({"type": type, **fields}), self.now)

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
        if self.dialect == "ga" and name == "conversation.item.created":
            return "conversation.item.added"
        return event_name(name, self.dialect)

    def item_events(self) -> list[str]:
        """What announces a finished item."""
        if self.dialect == "ga":
            return ["conversation.item.added", "conversation.item.done"]
        return ["conversation.item.created"]


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
    return "".join(event["delta"] for event in events if canonical(event["type"]) == name)


def sound(events: list[dict[str, Any]]) -> bytes:
    """The audio of all deltas, as the wire carried it."""
    deltas = [event["delta"] for event in events if canonical(event["type"]) == "response.audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)
