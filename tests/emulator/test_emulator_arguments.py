"""Mistakes in an emulator's arguments and fault scripts are refused at once, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from catalogue_types import catalogue

from azure_rt_audio.emulator import (
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
    Swallow,
    after,
    after_seconds,
    at_handshake,
    before,
    on_command,
)
from azure_rt_audio.emulator.dialects.choose import DIALECTS
from azure_rt_audio.emulator.dialects.names import COMMANDS, EVENTS, canonical


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


def test_what_is_right_is_accepted() -> None:
    """A name of either dialect, any name, a callable of Python's own."""
    Faults(before("*", Delay(0), count=None, times=None), on_command("*", Close(1000)))
    Emulator(responder=lambda *_: "", recogniser=["one"], detector=Emulator, on_log=print)
