"""Half characters, and what a service does that it should not, which is logged once."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol.codec import Quirks, decode_event
from azure_rt_audio.protocol.events import Error, Event, ResponseDone, UnknownEvent

PLACE = {"response_id": "r", "item_id": "m", "output_index": 0, "content_index": 0}
FACE = "\U0001f600"
FIRST, SECOND = json.dumps(FACE)[1:7], json.dumps(FACE)[7:13]


def delta(text: str, quirks: Quirks | None = None, **place: Any) -> Event:
    """A delta whose text is written as it is into the JSON."""
    fields = {"type": "response.output_text.delta", **PLACE, **place, "delta": "#"}
    return decode_event(json.dumps(fields).replace("#", text), quirks)


def text_of(event: Event) -> Any:
    return event.delta  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        ([FIRST, SECOND], ["", FACE]),
        (["a" + FIRST, SECOND + "b"], ["a", FACE + "b"]),
        ([FIRST, "a"], ["", "a"]),
        ([FIRST, FIRST, SECOND], ["", "", FACE]),
        ([FIRST, SECOND + FIRST, SECOND], ["", FACE, FACE]),
        ([SECOND], ["\ufffd"]),
        ([FIRST + "a"], ["\ufffda"]),
        ([FIRST + SECOND], [FACE]),
        ([r"\\" + FIRST[1:]], ["\\" + FIRST[1:]]),
    ],
)
def test_halves_are_joined(pieces: list[str], texts: list[str]) -> None:
    """Across deltas of one part; a half that stays alone is a problem of its event."""
    quirks = Quirks()
    events = [delta(piece, quirks) for piece in pieces]

    assert [text_of(event) for event in events] == texts
    assert [event.problems for event in events] == [("$.delta",) if "\ufffd" in t else () for t in texts]


def test_halves_of_different_parts_are_not_joined() -> None:
    """Nor does a client remember many that nothing follows."""
    quirks = Quirks()
    for number in range(100):
        delta(FIRST, quirks, item_id=f"m{number}")

    assert text_of(delta(SECOND, quirks, item_id="other")) == "\ufffd"
    assert text_of(delta(SECOND, quirks, item_id="m99")) == FACE
    assert text_of(delta(SECOND, quirks, item_id="m0")) == "\ufffd"


def test_without_a_session_halves_are_replaced() -> None:
    """There is nothing to join them with."""
    assert text_of(delta("a" + FIRST)) == "a\ufffd"


@pytest.mark.parametrize(
    "frame", ['"#"', '["#"]', '{"type": "x", "delta": "#"', '{"delta": "#"}', '{"type": 7, "x": "#"}']
)
def test_a_frame_with_half_a_character_may_be_wrong_otherwise(frame: str) -> None:
    """Then it is refused as any other."""
    with pytest.raises(DecodeError):
        decode_event(frame.replace("#", FIRST), Quirks())


def test_what_is_no_number_is_read_as_null() -> None:
    """As Python writes it, in a text as it stands; all else of the event is read, half characters as well."""
    usage = '{"total_tokens": NaN, "input_tokens": [Infinity, -Infinity], "output_tokens": 3}'
    text = rf'{{"type": "text", "text": "NaN, \"Infinity {FIRST}"}}'
    output = f'[{{"type": "message", "id": "m", "role": "assistant", "content": [{text}]}}]'
    frame = f'{{"type": "response.done", "response": {{"id": "r", "usage": {usage}, "output": {output}}}}}'
    event = decode_event(frame, Quirks())

    assert isinstance(event, ResponseDone)
    assert event.response.text == 'NaN, "Infinity \ufffd'
    assert event.response.usage is not None
    assert event.response.usage.output_tokens == 3
    assert event.raw["response"]["usage"]["input_tokens"] == [None, None]
    assert {path for path in event.problems if "usage" in path} >= {
        "$.response.usage.total_tokens",
        "$.response.usage.input_tokens[0]",
        "$.response.usage.input_tokens[1]",
    }
    assert "$.response.output[0].content[0].text" in event.problems


@pytest.mark.parametrize("depth", [200, 900])
def test_depth_does_not_matter(depth: int) -> None:
    """JSON may be nested deeper than Python calls, and deeper than it can be written again."""
    nested = "[" * depth + f'"{FIRST}"' + "]" * depth
    unknown = decode_event(
        f'{{"type": "new.event", "event_id": 7, "delta": "{FIRST}", "x": {nested}}}', Quirks()
    )
    error = decode_event(f'{{"type": "error", "error": {{"x": {nested.replace(FIRST, "deep")}}}}}', Quirks())

    assert isinstance(unknown, UnknownEvent)
    assert "$.x" + "[0]" * depth in unknown.problems
    assert isinstance(error, Error)
    assert ("deep" in error.error.message) == (depth < 254)


def test_what_is_logged_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Names of the service's do not control the terminal, and a service cannot fill the log or the memory."""
    quirks = Quirks()
    for number in range(3000):
        decode_event(json.dumps({"type": f"new\x1b[2J.{number}" + "x" * 1000, "event_id": 7}), quirks)
    metadata = {"\x1b]0;title\x07" + "y" * 1000: 7}
    decode_event(json.dumps({"type": "response.done", "response": {"metadata": metadata}}), Quirks())

    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 1001
    assert all(message.isprintable() and len(message) < 600 for message in messages)
