"""Mistakes in an emulator's arguments and fault scripts are refused at once, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from catalogue_types import catalogue
from websockets.frames import Close as Frame

from azure_rt_audio.emulator import (
    BadFrame,
    Close,
    Delay,
    Drop,
    Emulator,
    Faults,
    ManualClock,
    Redirect,
    Refuse,
    Reply,
    Rule,
    Say,
    SendRaw,
    Swallow,
    SystemClock,
    after,
    after_seconds,
    at_handshake,
    before,
    on_command,
)
from azure_rt_audio.emulator.dialects.choose import DIALECTS
from azure_rt_audio.emulator.dialects.names import COMMANDS, EVENTS, canonical
from azure_rt_audio.emulator.server.connection import _end_with


def test_either_dialect_s_name_means_the_event() -> None:
    """Also the preview's word for an added item."""
    faults = Faults(after("response.audio.delta", Drop()), before("conversation.item.created", Swallow()))

    assert faults.due("after", "response.output_audio.delta") == [Drop()]
    assert faults.due("before", "conversation.item.added") == [Swallow()]


def _events(dialect: str) -> set[str]:
    found = catalogue(dialect)
    return {*found["server_events"], *found.get("openai_beta_only_events", ())}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_names_are_the_services(dialect: str) -> None:
    """Each event and command of a fault script is in a catalogue."""
    spoken = DIALECTS[dialect]
    named = {spoken.wire_name(name) for name in EVENTS} - {""}

    elsewhere = {"transcription_session.created", "transcription_session.updated", "conversation.created"}
    assert named - _events(dialect) - elsewhere <= {"input_audio_buffer.timeout_triggered"}
    assert {canonical(name) for name in named} <= EVENTS
    assert spoken.requests.keys() <= COMMANDS


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: after("response.outptu_audio.delta", Drop()),
            ValueError,
            "mean 'response.output_audio.delta'",
        ),
        (lambda: before("response.create", Drop()), ValueError, "did you mean 'response.created'"),
        (lambda: on_command("response.created", Drop()), ValueError, "did you mean 'response.create'"),
        (lambda: after("nothing like it", Drop()), ValueError, "sends no event 'nothing like it'$"),
        (lambda: after(7, Drop()), TypeError, "event is 7"),  # type: ignore[arg-type]
        (lambda: after("response.done"), ValueError, "after.'response.done'. has no action"),
        (lambda: after("response.done", Drop), TypeError, r"give Drop\(\.\.\.\)"),  # type: ignore[arg-type]
        (lambda: after("response.done", "drop"), TypeError, "'drop' is no action"),  # type: ignore[arg-type]
        (lambda: after("response.done", Swallow()), ValueError, "cannot Swallow"),
        (lambda: after("response.done", Refuse(503)), ValueError, "cannot Refuse"),
        (lambda: at_handshake(Say({})), ValueError, "use one of Refuse, Redirect, Delay, Drop"),
        (lambda: after("response.done", Drop(), count=0), ValueError, "count is 0"),
        (lambda: after("response.done", Drop(), times=1.5), TypeError, "times is 1.5"),  # type: ignore[arg-type]
        (lambda: after_seconds(-1, Drop()), ValueError, "seconds is -1"),
        (lambda: Rule("afterwards", (Drop(),)), ValueError, "moment is 'afterwards'"),
        (lambda: Faults(None), TypeError, "None is no rule"),  # type: ignore[arg-type]
        (lambda: Faults().add(Drop()), TypeError, "is no rule"),  # type: ignore[arg-type]
        (lambda: Faults(session_seconds=0), ValueError, "session_seconds is 0"),
        (lambda: Emulator(responder="Hello"), TypeError, "responder is 'Hello'"),  # type: ignore[arg-type]
        (lambda: Emulator(responder=lambda text: text), TypeError, "takes .text."),  # type: ignore[arg-type]
        (lambda: Emulator(responder=Reply("Hello")), TypeError, "responder is Reply"),  # type: ignore[arg-type]
        (lambda: Emulator(recogniser="Hello"), TypeError, "recogniser is 'Hello'"),
        (lambda: Emulator(recogniser=lambda pcm: ""), TypeError, "recogniser is called"),  # type: ignore
        (lambda: Emulator(recogniser={}), TypeError, "has an entry"),
        (lambda: Emulator(synthesiser=b""), TypeError, "synthesiser is b''"),  # type: ignore[arg-type]
        (lambda: Emulator(on_log=print and "x"), TypeError, "on_log is 'x'"),  # type: ignore[arg-type]
        (lambda: Emulator(faults=[Drop()]), TypeError, "faults is"),  # type: ignore[arg-type]
        (lambda: Emulator(pace=-1), ValueError, "pace is -1"),
        (lambda: Emulator(pace=float("nan")), ValueError, "pace is nan"),
        (lambda: Emulator(first_delay="1"), TypeError, "first_delay is '1'"),  # type: ignore[arg-type]
        (lambda: Emulator(deployments="gpt-realtime"), TypeError, "give a list of names"),
        (lambda: Emulator(deployments=()), ValueError, "deployments is empty"),
        (lambda: Emulator(profile="azur"), ValueError, "did you mean 'azure'"),
        (lambda: Emulator(mcp_tools={"port": [print]}), TypeError, "mcp_tools is"),  # type: ignore[dict-item]
        (lambda: Emulator(dialects=["previews"]), ValueError, "did you mean 'preview'"),
        (lambda: Emulator().options("gaa"), ValueError, "did you mean 'ga'"),
        (lambda: Emulator().url("v1"), ValueError, "dialect is 'v1'"),
        (lambda: Emulator().inject(Swallow()), ValueError, "inject.. cannot Swallow"),
        (lambda: Emulator().inject(Redirect("x")), ValueError, "inject.. cannot Redirect"),
        (lambda: Emulator().inject(None), TypeError, "None is no action"),  # type: ignore[arg-type]
        (lambda: Emulator().received("response.crate"), ValueError, "did you mean 'response.create'"),
        (lambda: Emulator().received("response.created"), ValueError, "knows no command 'response.created'"),
        (lambda: Emulator().wait_for_command("response.crate"), ValueError, "mean 'response.create'"),
        (lambda: Reply.of(42), TypeError, "a responder returned 42"),  # type: ignore[arg-type]
        (lambda: ManualClock().advance(-1), ValueError, "time runs forwards"),
    ],
)
def test_mistakes_are_named(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    """The error says which argument, and what was meant."""
    with pytest.raises(error, match=message):
        make()


_NO_FLAG = {"is_reset": Drop, "keep_audio": Emulator, "renames_items": Faults, "writes_on": Faults}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Delay("0.5"), TypeError, "seconds is '0.5'"),
        (lambda: Delay(math.nan), ValueError, "seconds is nan"),
        (lambda: Delay(math.inf), ValueError, "seconds is inf"),
        (lambda: after_seconds(math.inf, Drop()), ValueError, "seconds is inf"),
        (lambda: Faults(session_seconds=math.inf), ValueError, "session_seconds is inf"),
        (lambda: Say("text"), TypeError, "event is 'text'"),
        (lambda: Say({"type": {1}}), TypeError, "event cannot be written as JSON"),
        (lambda: SendRaw(5), TypeError, "data is 5: give a string or bytes"),
        (lambda: SendRaw("\ud800"), ValueError, "half a character"),
        (lambda: BadFrame("x"), TypeError, "data is 'x': give bytes"),
        (lambda: Refuse(429, retry_after_ms="x"), TypeError, "retry_after_ms is 'x'"),
        (lambda: Refuse(429, retry_after_ms=-1), ValueError, "retry_after_ms is -1"),
        (lambda: Refuse(429, "text"), TypeError, "body is 'text'"),
        (lambda: Refuse(429, headers={"a": 1}), TypeError, "headers: a is 1"),
        (lambda: Refuse(429, headers={"a": "1\r\nb: 2"}), ValueError, "a header is one line"),
        (lambda: Refuse(599), ValueError, "status is 599"),
        (lambda: Redirect(5), TypeError, "location is 5"),
        (lambda: Redirect("x", 306), ValueError, "status is 306"),
        (lambda: Close(1000, 5), TypeError, "reason is 5"),
        (lambda: after("response.done", Close(1005)), ValueError, "code is 1005: no close frame has it"),
        (lambda: after("response.done", Close(1000, "é" * 62)), ValueError, "give 123 bytes"),
        (lambda: Emulator().close(1006), ValueError, "code is 1006"),
        (lambda: Emulator().close(1500), ValueError, "code is 1500"),
        (lambda: Emulator().close(1000, "x" * 124), ValueError, "give 123 bytes"),
        (lambda: Emulator().say("text"), TypeError, "event is 'text'"),
        (lambda: Emulator().inject(Drop(), "all"), TypeError, "connection is 'all'"),
        (lambda: Emulator().wait_for_connection("1"), TypeError, "timeout is '1'"),
        (lambda: Emulator().wait_for_connection(count=0), ValueError, "count is 0"),
        (lambda: Emulator().stop(math.nan), ValueError, "timeout is nan"),
        (lambda: Emulator(api_key=5), TypeError, "api_key is of type int: give"),
        (lambda: Emulator(host=5), TypeError, "host is 5"),
        (lambda: Emulator(region=5), TypeError, "region is 5"),
        (lambda: Emulator(region="a\nb"), ValueError, "a header is one line"),
        (lambda: Emulator(seed="x"), TypeError, "seed is 'x'"),
        (lambda: Emulator(ssl_context="x"), TypeError, "ssl_context is 'x'"),
        (lambda: Emulator(log_limit=2.5), TypeError, "log_limit is 2.5"),
        (lambda: Emulator(log_limit=0), ValueError, "log_limit is 0"),
        (lambda: Emulator(first_delay=math.inf), ValueError, "first_delay is inf"),
        (lambda: Emulator(clock=5), TypeError, "clock is 5"),
        (lambda: ManualClock("now"), TypeError, "unix_time is 'now'"),
        (lambda: ManualClock().advance("1"), TypeError, "seconds is '1'"),
        (lambda: SystemClock(math.nan), ValueError, "offset is nan"),
        *((lambda n=n, m=m: m(**{n: "no"}), TypeError, f"{n} is 'no'") for n, m in _NO_FLAG.items()),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_needed(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    """It would be an error of the connection, in mid-conversation, or one of another package's."""
    with pytest.raises(error, match=message):
        make()


def test_a_key_is_in_no_error() -> None:
    """Nor a part of it."""
    with pytest.raises(TypeError) as caught:
        Emulator(api_key=b"a secret")  # type: ignore[arg-type]

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 4999])
def test_close_codes_that_frames_can_have(code: int) -> None:
    """With the longest reason."""
    close = Close(code, "é" * 61 + "x")
    Frame(close.code, close.reason).check()
    Faults(after("response.done", close))


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (Close(4000, "bye"), Close(4000, "bye")),
        (Close(1006), Drop()),
        (Close(1005, "bye"), Close(1011, "bye")),
        (Close(1500), Close(1011)),
        (Close(1000, "é" * 62), Close(1000, "é" * 61)),
    ],
)
def test_any_end_that_was_recorded_can_be_made_again(recorded: Close, sent: Close | Drop) -> None:
    """Also one that is no close frame's; a file may have been written by hand."""
    assert _end_with(recorded) == sent


def test_what_is_right_is_accepted() -> None:
    """A name of either dialect, any name, a callable of Python's own."""
    Faults(before("*", Delay(0), count=None, times=None), on_command("*", Close(1000)))
    Faults(
        on_command(
            "*", Say(MappingProxyType({"type": "x"})), SendRaw(bytearray(1)), BadFrame(memoryview(b"x"))
        )
    )
    Emulator(responder=lambda *_: "", recogniser=["one"], detector=Emulator, on_log=print)
