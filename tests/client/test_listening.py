"""Listening and waiting through the client: names, classes, decorators, and what stays."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, Aside, Connect, Probe
from manual_clock import ManualClock

from azure_rt_audio import (
    AzureRealTimeAudio,
    Closed,
    ConnectError,
    Init,
    RealtimeError,
    Session,
    StatusChanged,
    Subscription,
)
from azure_rt_audio._session.acknowledgement import Acknowledgement
from azure_rt_audio._session.event_stream import EventStream
from azure_rt_audio.emulator import Emulator, Refuse, at_handshake
from azure_rt_audio.protocol.events import (
    ConversationItemAdded,
    Event,
    InputAudioBufferCleared,
    ResponseOutputAudioDelta,
    UnknownEvent,
)

MARKER = {"type": "test.marker"}
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


def waiting(client: AzureRealTimeAudio, count: int = 1) -> None:
    """Return when so many threads wait for an event."""
    for _ in range(1000):
        if len(client._engine.waiters.waiting) >= count:
            return
        threading.Event().wait(HANG / 1000)
    raise AssertionError


# ------------------------------------------------------------ names


@pytest.mark.parametrize(
    "event",
    ["response.audio.delta", "response.output_audio.delta", ResponseOutputAudioDelta],
    ids=str,
)
def test_both_names_and_the_class(client: AzureRealTimeAudio, event: Any) -> None:
    """In either dialect, either name and the class mean the same event."""
    probe = Probe()
    client.on(event, probe)

    client.create_response()

    delta = probe.next()
    assert (type(delta), delta.type) == (ResponseOutputAudioDelta, "response.output_audio.delta")
    assert delta.audio


@pytest.mark.parametrize("event", ["conversation.item.created", "conversation.item.added"])
def test_an_item_is_created_or_added(client: AzureRealTimeAudio, event: str) -> None:
    """An item that comes into the conversation is announced under both names."""
    probe = Probe()
    client.on(event, probe)

    client.create_conversation_item(USER)

    assert type(probe.next()) is ConversationItemAdded


def test_everything_in_order(client: AzureRealTimeAudio) -> None:
    """A listener of "*" sees each event once, in order, local ones included."""
    probe = Probe()
    client.on("*", probe)

    client.create_response().result(HANG)

    told = probe.until(lambda event: event.type == "response.done")
    kinds = [event.type for event in told]
    assert (kinds[0], kinds.count("response.created"), "status_changed" in kinds) == (
        "response.created",
        1,
        True,
    )
    assert len(set(map(id, told))) == len(told)


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        ("response.audio.detla", ValueError, "did you mean 'response.audio.delta'"),
        ("response.create", ValueError, "is a command"),
        ("erorr", ValueError, "did you mean 'error'"),
        ("", ValueError, "there is no event ''"),
        (5, TypeError, "name of an event"),
        (int, TypeError, "name of an event"),
    ],
)
def test_a_wrong_name(client: AzureRealTimeAudio, event: Any, error: type[Exception], says: str) -> None:
    """A slip is noticed wherever an event is named."""
    uses: list[Callable[[], Any]] = [
        lambda: client.on(event, print),
        lambda: client.once(event),
        lambda: client.off(event),
        lambda: client.wait_for(event),
        lambda: client.events(event),
    ]
    for use in uses:
        with pytest.raises(error, match=says):
            use()


def test_a_name_from_the_future(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """An event this library does not know can be listened to and waited for by its name."""
    probe = Probe()
    client.on("response.hologram.delta", probe)
    aside = Aside(lambda: client.wait_for("response.hologram.delta", timeout=HANG))
    waiting(client)

    emulator.say({"type": "response.hologram.delta"})

    assert type(aside.result()) is UnknownEvent
    assert probe.next() is aside.result()


# ------------------------------------------------------------ forms


@pytest.mark.parametrize("how", ["on", "once"])
@pytest.mark.parametrize("event", ["input_audio_buffer.cleared", InputAudioBufferCleared], ids=str)
def test_as_a_decorator(client: AzureRealTimeAudio, how: str, event: Any) -> None:
    """As a decorator, on and once return the function as it was."""
    probe, marker = Probe(), Probe()

    def listener(told: object) -> None:
        probe(told)

    decorated = getattr(client, how)(event)(listener)
    client.on("input_audio_buffer.cleared", marker)
    for _ in range(2):
        client.clear_audio_buffer()
        marker.next()

    assert decorated is listener
    assert len(probe.told) == (2 if how == "on" else 1)
    client.off(event, listener)


def test_a_subscription(client: AzureRealTimeAudio) -> None:
    """As a call, on returns a subscription that can be cancelled."""
    probe, marker = Probe(), Probe()
    subscription = client.on("input_audio_buffer.cleared", probe)
    client.on("input_audio_buffer.cleared", marker)

    subscription.cancel()
    client.clear_audio_buffer()
    marker.next()

    assert isinstance(subscription, Subscription)
    assert probe.told == []


def test_a_listener_removes_itself(client: AzureRealTimeAudio) -> None:
    """From inside, a listener may leave; what waits for it already is not delivered."""
    calls, marker = Probe(), Probe()

    def listener(event: object) -> None:
        calls(event)
        client.off("input_audio_buffer.cleared", listener)

    client.on("input_audio_buffer.cleared", listener)
    client.on("input_audio_buffer.cleared", marker)
    for _ in range(3):
        client.clear_audio_buffer()
    for _ in range(3):
        marker.next()

    assert len(calls.told) == 1


# ------------------------------------------------------------ what stays


def test_init_stays(client: AzureRealTimeAudio) -> None:
    """Whoever listens after the fact is told the session, by name, or the event, by class, once."""
    by_name, by_class, once = Probe(), Probe(), Probe()

    client.on("init", by_name)
    client.on(Init, by_class)
    client.once("init", once)
    client.update_session({}).result(HANG)

    session = by_name.next()
    assert type(session) is Session
    assert (by_class.next().session, once.next()) == (session, session)
    assert (by_name.told, by_class.told, once.told) == ([], [], [])


def test_the_end_stays(connect: Connect, emulator: Emulator) -> None:
    """Whoever listens after the end is told how it ended."""
    emulator.faults.add(at_handshake(Refuse(401)))
    client = connect()
    with pytest.raises(ConnectError):
        client.wait_until_ready(HANG)
    probes = {key: Probe() for key in ("error", RealtimeError, ConnectError, "closed", Closed)}

    for key, probe in probes.items():
        client.on(key, probe)

    told = [probe.next() for probe in probes.values()]
    assert [type(event) for event in told] == [ConnectError] * 3 + [Closed] * 2
    assert told[3].error is told[0]


def test_a_clean_end_is_no_error(client: AzureRealTimeAudio) -> None:
    """When this side closes, listeners are told closed, early and late, and no error."""
    early, late, errors = Probe(), Probe(), Probe()
    client.on("closed", early)
    client.on("error", errors)

    assert client.close()
    client.on("error", errors)
    client.on("closed", late)

    assert (early.next().is_clean, late.next().is_clean) == (True, True)
    assert errors.told == []


# ------------------------------------------------------------ waiting


def test_wait_for(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """The next event of a kind that the predicate accepts is returned, by name or by class."""
    asides = [
        Aside(lambda: client.wait_for("test.marker", lambda event: event.raw["n"] == 2, HANG)),
        Aside(lambda: client.wait_for(UnknownEvent, lambda event: event.raw["n"] == 2, HANG)),
        Aside(lambda: client.wait_for("*", lambda event: event.type == "test.marker", HANG)),
    ]
    waiting(client, 3)

    for number in (1, 2):
        emulator.say({**MARKER, "n": number})

    assert [aside.result().raw["n"] for aside in asides] == [2, 2, 1]


def test_wait_for_something_local(client: AzureRealTimeAudio) -> None:
    """What this side makes can be waited for, too."""
    aside = Aside(lambda: client.wait_for(StatusChanged, timeout=HANG))
    waiting(client)

    client.status = "listening"  # type: ignore[assignment]

    assert aside.result().status == "listening"


def test_wait_for_init_is_the_session(connect: Connect) -> None:
    """By its name, init is the session to those who wait as to those who listen."""
    door = threading.Event()
    with Emulator(on_log=lambda line: door.wait(HANG) if "handshake" in line else None) as service:
        client = connect(service=service)
        aside = Aside(lambda: client.wait_for("init", lambda session: session.voice == "alloy", HANG))
        events = client.events("init", Init, timeout=HANG)
        waiting(client)
        door.set()

        assert aside.result() is next(events)
        assert type(aside.result()) is Session
        client.close()


def test_wait_for_has_patience(clock: ManualClock, client: AzureRealTimeAudio) -> None:
    """If it does not come, TimeoutError says what did not."""
    aside = Aside(lambda: client.wait_for("response.done", timeout=60.0))
    waiting(client)
    future = client._engine.waiters.waiting[0]._future()
    assert isinstance(future, Acknowledgement)
    clock.advance(60.0, future._settled)

    with pytest.raises(
        TimeoutError, match=r"no 'response\.done' came within 60\.0 seconds; .* open client\.events"
    ):
        aside.result()
    assert client._engine.waiters.waiting == ()


def test_a_predicate_that_fails(client: AzureRealTimeAudio) -> None:
    """A predicate's exception is raised where the wait is, a TimeoutError of its own as it is."""

    def fail(_: object) -> bool:
        raise TimeoutError("in the predicate")

    aside = Aside(lambda: client.wait_for("input_audio_buffer.cleared", fail, HANG))
    waiting(client)
    client.clear_audio_buffer().result(HANG)

    with pytest.raises(TimeoutError, match="in the predicate"):
        aside.result()


def test_a_loop_over_events(client: AzureRealTimeAudio) -> None:
    """Events are taken one by one, on the caller's thread, from the moment the loop was made."""
    client.clear_audio_buffer().result(HANG)
    events = client.events("conversation.item.created", InputAudioBufferCleared, timeout=HANG)

    client.create_conversation_item(USER)
    client.clear_audio_buffer()

    assert [next(events).type, next(events).type] == [
        "conversation.item.added",
        "input_audio_buffer.cleared",
    ]


def test_a_loop_over_everything(client: AzureRealTimeAudio) -> None:
    """Without names, a loop has all events; of the Event class, those of the service."""
    everything, of_the_service = client.events(timeout=HANG), client.events(Event, timeout=HANG)

    client.status = "listening"  # type: ignore[assignment]
    client.clear_audio_buffer()

    assert [next(everything).type, next(everything).type] == ["status_changed", "input_audio_buffer.cleared"]
    assert next(of_the_service).type == "input_audio_buffer.cleared"


def test_a_loop_that_is_left_is_forgotten(client: AzureRealTimeAudio) -> None:
    """Leaving the loop is enough: nothing is collected for it any more."""

    def loop(events: EventStream) -> None:
        client.clear_audio_buffer()
        for _event in events:
            return

    loop(client.events("input_audio_buffer.cleared", timeout=HANG))
    client.clear_audio_buffer().result(HANG)
    client.clear_audio_buffer().result(HANG)  # the event before has been offered when this is acknowledged

    assert client._engine.streams.streams == ()


# ------------------------------------------------------------ ports of other clients' loops


def test_a_loop_that_compares_types_works_on_both_dialects(client: AzureRealTimeAudio) -> None:
    """As examples for GA write it: ``event.type`` is GA's name, ``event.wire_type`` what the service said."""
    sound, text, wire_types = bytearray(), "", set()

    with client.events("*", timeout=HANG) as events:
        client.create_response()
        for event in events:
            if event.type == "response.output_audio.delta":
                sound += base64.b64decode(event.delta)
                wire_types.add(event.wire_type)
            elif event.type == "response.output_audio_transcript.delta":
                text += event.delta
            elif event.type == "response.done":
                break

    assert sound
    assert text
    assert wire_types in ({"response.output_audio.delta"}, {"response.audio.delta"})
