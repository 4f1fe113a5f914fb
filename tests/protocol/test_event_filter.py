"""What a listener is interested in, whichever way it is named."""

from __future__ import annotations

from typing import Any

import pytest
from catalogues import CLIENT_SECTIONS, SERVER_SECTIONS, events

from azure_rt_audio.errors import ConnectError, DecodeError, RealtimeError, ServiceError
from azure_rt_audio.protocol.dialects import canonical_name
from azure_rt_audio.protocol.event_filter import EVERYTHING, EventFilter, event_filter
from azure_rt_audio.protocol.events import (
    EVENT_CLASSES,
    Error,
    Event,
    PartEvent,
    ResponseOutputAudioDelta,
    UnknownEvent,
)
from azure_rt_audio.protocol.events.local import (
    Closed,
    Init,
    Reconnected,
    Reconnecting,
    SendLag,
    StatusChanged,
)
from azure_rt_audio.protocol.session import Session
from azure_rt_audio.protocol.turn import ModelStatusEnum

DELTA = ResponseOutputAudioDelta(response_id="r", item_id="i", output_index=0, content_index=0, delta="")


@pytest.mark.parametrize("name", sorted({name for _, _, name in events(*SERVER_SECTIONS)}))
def test_every_wire_name_is_a_filter(name: str) -> None:
    """Of either dialect; both names of an event are one filter."""
    assert event_filter(name) == event_filter(canonical_name(name)) == EventFilter(canonical_name(name))


@pytest.mark.parametrize("cls", EVENT_CLASSES.values())
def test_a_class_is_its_name(cls: type[Event]) -> None:
    """But for the service's errors, whose name means exceptions."""
    assert event_filter(cls) == (EventFilter(Error) if cls is Error else EventFilter(cls.TYPE))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("*", EventFilter(EVERYTHING)),
        ("init", EventFilter("init")),
        ("closed", EventFilter("closed")),
        ("response.smell.delta", EventFilter("response.smell.delta")),
        (ResponseOutputAudioDelta, EventFilter("response.output_audio.delta")),
        (Event, EventFilter(EVERYTHING, Event)),
        (UnknownEvent, EventFilter(UnknownEvent)),
        (Init, EventFilter(Init)),
        (StatusChanged, EventFilter(StatusChanged)),
        (Reconnected, EventFilter(Reconnected)),
        ("reconnecting", EventFilter("reconnecting")),
        (Closed, EventFilter(Closed)),
        (RealtimeError, EventFilter("error")),
        (ServiceError, EventFilter("error", ServiceError)),
        (ConnectError, EventFilter("error", ConnectError)),
    ],
)
def test_other_ways_to_name_one(event: Any, expected: EventFilter) -> None:
    """Everything, events of this side, names of the future, errors."""
    assert expected == event_filter(event)


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        ("response.audio.deltas", "response.audio.delta"),
        ("response.audio.dleta", "response.audio.delta"),
        ("response.output_audio.deltas", "response.output_audio.delta"),
        ("session.update", "session.updated"),
        ("rate_limit.updated", "rate_limits.updated"),
        ("response.dnoe", "response.done"),
        ("response.crated", "response.created"),
        ("response.output_auido.dleta", "response.output_audio.delta"),
        ("response.output_audio_transcription.delta", "response.output_audio_transcript.delta"),
        ("response_done", "response.done"),
        ("ResponseDone", "response.done"),
        ("Response.done", "response.done"),
        ("response.output.audio.delta", "response.output_audio.delta"),
        ("responseAudioDelta", "response.audio.delta"),
        ("conversation.item.create", "conversation.item.added"),
        ("response.create", "response.created"),
        ("erorr", "error"),
        ("Error", "error"),
        ("initt", "init"),
        ("closd", "closed"),
        ("close", "closed"),
        ("statusChanged", "status_changed"),
    ],
)
def test_a_slip_is_named(event: str, meant: str) -> None:
    """What is nearly a name is not waited for in vain."""
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        event_filter(event)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (
            "",
            "or 'init', 'status_changed', 'send_lag', 'reconnecting', 'reconnected', 'closed', "
            "'guard_tripped', 'error', '\\*'",
        ),
        ("opened", "there is no event 'opened'; names are such as"),
        ("response.*", r"'response\.\*': patterns are not understood; listen to '\*'"),
        ("**", "patterns are not understood"),
        ("response.text", "did you mean 'response.output_text.delta' or 'response.output_text.done'"),
        ("response.output_audio", "did you mean 'response.output_audio.delta' or 'response.output_audio"),
        ("response.mcp_call", "'response.mcp_call.in_progress'"),
        ("conversation.item", "did you mean 'conversation.item.added', .* or another"),
        ("response", "did you mean .* or another"),
        ("input_audio_buffer.append", "is a command, .* the service does not acknowledge it"),
        ("response.create", "is a command, which a client sends"),
    ],
)
def test_what_can_be_no_event(event: str, says: str) -> None:
    """Neither of the service nor of this side."""
    with pytest.raises(ValueError, match=says):
        event_filter(event)


@pytest.mark.parametrize("name", sorted({name for _, _, name in events(*CLIENT_SECTIONS)}))
def test_every_command_is_refused(name: str) -> None:
    """A listener of it would wait in vain."""
    with pytest.raises(ValueError, match=f"'{name}' is a command"):
        event_filter(name)


@pytest.mark.parametrize(
    "name",
    [
        "response.smell.delta",
        "response.output_video.delta",
        "response.video.done",
        "session.paused",
        "conversation.item.input_video_transcription.completed",
        "response.output_audio.started",
        "x.y",
    ],
)
def test_events_to_come_are_accepted(name: str) -> None:
    """What differs by a word is new, not a slip."""
    assert event_filter(name) == EventFilter(name)


def test_the_log_tells_of_an_event_to_come_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a word for one that there is."""
    monkeypatch.setattr("azure_rt_audio.protocol.event_filter._told", set())
    for _ in range(2):
        event_filter("response.finish")
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "! no event 'response.finish' is known to this version"
    ]


@pytest.mark.parametrize("event", [7, None, int, Session, b"error", DELTA])
def test_what_is_no_event_is_a_type_error(event: Any) -> None:
    """The error says what may be named."""
    with pytest.raises(TypeError, match="the name of an event, its class"):
        event_filter(event)


def test_a_filter_knows_what_concerns_it() -> None:
    """By the key something is published under, its class, or all."""
    error = ServiceError("m")
    assert event_filter("*").concerns("response.output_audio.delta", DELTA)
    assert event_filter(Event).concerns("response.output_audio.delta", DELTA)
    assert not event_filter(Event).concerns("error", error)
    assert event_filter(PartEvent).concerns("response.output_audio.delta", DELTA)
    assert not event_filter(PartEvent).concerns("x", UnknownEvent(raw={"type": "x"}))
    assert not event_filter("*").concerns("error", error), "its event was there already"
    assert event_filter("*").concerns("error", DecodeError("m"))
    assert event_filter(ResponseOutputAudioDelta).concerns("response.output_audio.delta", DELTA)
    assert not event_filter("response.done").concerns("response.output_audio.delta", DELTA)
    assert event_filter("error").concerns("error", error)
    assert event_filter(ServiceError).concerns("error", error)
    assert not event_filter(ConnectError).concerns("error", error)
    unknown = UnknownEvent(raw={"type": "x"})
    assert event_filter(UnknownEvent).concerns("x", unknown)


def test_local_events_have_names() -> None:
    """They are listened to like the others, and never travel."""
    error = ConnectError("m")
    made: list[Any] = [
        Init(session=Session()),
        StatusChanged(status=ModelStatusEnum.IDLE, previous=ModelStatusEnum.SPEAKING),
        SendLag(lag_s=2.0, unsent_bytes=1, dropped_s=0.0, is_behind=True),
        Reconnecting(attempt=1, delay_s=0.2, reason="lost"),
        Reconnected(gap_s=0.5, reason="lost", lost={"item_1": "budget"}),
        Closed(error=error),
    ]

    assert [event.type for event in made] == [
        "init",
        "status_changed",
        "send_lag",
        "reconnecting",
        "reconnected",
        "closed",
    ]
    assert not made[-1].is_clean
