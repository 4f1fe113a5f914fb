"""
A field of an event that is missing, null, of another type or empty: nothing that consumes events fails.

The matrix: every event of a text, a tool and a spoken turn, every field at any depth, six mutations; in
memory, with the real parts of a session behind its connection. ``--effort`` 1 draws a seeded share of its
cases, 20 all of them; a few go through sockets.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from catalogues import mistyped
from fake_devices import StageSpeaker
from listeners import HANG, Connect, Probe
from odd_events import odd_versions, turn
from reading import structure
from sampling import sample

from azure_rt_audio import AzureRealTimeOptions, DecodeError, WebSocketOptions
from azure_rt_audio._cli.talk.conversation_log import ConversationLog
from azure_rt_audio._notebook.gauges import Levels
from azure_rt_audio._session.engine import Engine
from azure_rt_audio._session.pending_response import PendingResponse
from azure_rt_audio.dispatch import InlineDispatcher
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.dialects import canonical_name
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.protocol.events import (
    EVENT_CLASSES,
    Event,
    ResponseDone,
    ResponseOutputAudioDelta,
    UnknownEvent,
)
from azure_rt_audio.protocol.latency import Latency
from azure_rt_audio.tools import Tools
from azure_rt_audio.voice.downlink import Downlink

TURNS = [(kind, dialect) for dialect in ("ga", "preview") for kind in ("text", "tool", "vad")]
TOOLS = Tools()
VERSIONS = {"ga": "v1", "preview": "2025-04-01-preview"}


def matrix(kind: str, dialect: str) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Each odd event, with its place in the turn, the path and the kind of the mutation."""
    for index, event in enumerate(turn(kind, dialect)):
        for path, mutation, odd in odd_versions(event):
            yield index, path, mutation, odd


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    """The generator has not quietly stopped to generate."""
    assert sum(1 for case in TURNS for _ in matrix(*case)) > 10_000


def read(kind: str, dialect: str, share: float, seed: int) -> None:
    """Decode odd events."""
    for _, path, mutation, odd in sample(matrix(kind, dialect), share, seed):
        event = decode_event(json.dumps(odd))
        where = f"{odd['type']} {path} {mutation}"

        assert type(event) is EVENT_CLASSES[canonical_name(odd["type"])], where
        assert event.raw == odd, where
        assert mistyped(event) == [], where
        refusal = refused(odd, type(event))
        assert (refusal in event.problems) if refusal else event.problems == (), where


def refused(message: dict[str, Any], cls: type[Event]) -> str | None:
    """Return where the strict reader stops."""
    try:
        structure(message, cls)
    except DecodeError as exc:
        return exc.path
    return None


@pytest.mark.parametrize(("kind", "dialect"), TURNS)
def test_an_odd_event_is_read_as_what_it_is(kind: str, dialect: str, effort: float, seed: int) -> None:
    """It keeps its class and its frame, every attribute is of its type, and what did not fit is listed."""
    read(kind, dialect, 0.1 * effort, seed)


# ---------------------------------------------------------------- whatever consumes events


class Desk:
    """All that consumes events: a session without its connection, and what listens to one."""

    def __init__(self, options: AzureRealTimeOptions) -> None:
        self.engine = Engine(options, WebSocketOptions(), None, InlineDispatcher())
        self.sent: list[bytes] = []
        self.engine.attempts.current.send = lambda payload, timeout, live_s=0.0: self.sent.append(payload)  # type: ignore[method-assign]
        self.heard: list[Event] = []
        self.errors: list[Exception] = []
        self.log = ConversationLog()
        self.latency = Latency()
        self.levels = Levels()
        self.speaker = StageSpeaker()
        self.downlink = downlink = Downlink(self.engine, self.speaker, self.log.update)
        self.consumers: dict[str, Callable[[Any], object]] = {
            "response.created": downlink.on_created,
            "response.output_audio.delta": downlink.on_delta,
            "response.output_audio.done": downlink.on_audio_done,
            "response.done": downlink.on_done,
        }
        inline, listen = InlineDispatcher(), self.engine.listeners.add
        listen(event_filter("*"), self.see, inline, False)
        listen(event_filter("error"), self.errors.append, inline, False)
        self.stream = self.engine.waits.stream((event_filter("*"),), self, 0.0)

    def see(self, event: Any) -> None:
        self.log.update(event)
        if not isinstance(event, Event):
            return
        self.heard.append(event)
        self.latency.see(event, 1.0)
        if event.type in self.consumers:
            self.consumers[event.type](event)
        if isinstance(event, ResponseOutputAudioDelta):
            session = self.engine.session
            self.levels.add(event, session and session.output_audio_format, 1.0)
        elif isinstance(event, ResponseDone):
            for call in event.response.function_calls:
                TOOLS.call(call)

    def ask(self) -> PendingResponse:
        return self.engine.response_queue.request(None, may_wait=True, owner=None)

    def look(self, *pending: PendingResponse) -> None:
        """All that a program looks at."""
        for shown in (self.engine.conversation, *self.heard[-1:], *pending):
            assert shown._repr_html_()
            assert repr(shown)
        self.downlink.update(2.0)
        self.downlink.interrupt(by_user=True, must_cancel=True)
        assert self.engine.status is not None


def played(desk: Desk, frames: list[bytes]) -> list[PendingResponse]:
    pending = [desk.ask()]
    for frame in frames:
        desk.engine.apply(frame)
        if isinstance(desk.heard[-1], ResponseDone):
            pending.append(desk.ask())
    desk.look(*pending)
    return pending


def options(dialect: str) -> AzureRealTimeOptions:
    return AzureRealTimeOptions(
        host_name="wss://localhost:1", deployment="d", api_key="k", api_version=VERSIONS[dialect]
    )


def consume(kind: str, dialect: str, share: float, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Play turns with one odd event each."""
    plain = [orjson.dumps(event) for event in turn(kind, dialect)]
    chosen = options(dialect)
    for index, path, mutation, odd in sample(matrix(kind, dialect), share, seed):
        desk = Desk(chosen)
        played(desk, [*plain[:index], orjson.dumps(odd), *plain[index + 1 :]])
        where = f"{odd['type']} {path} {mutation}"

        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [], where
        assert len(desk.heard) >= len(plain), where
        caplog.clear()


@pytest.mark.parametrize(("kind", "dialect"), TURNS)
def test_nothing_fails_for_an_odd_event(
    kind: str, dialect: str, effort: float, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the session nor what listens to it fails, and each event is heard."""
    consume(kind, dialect, 0.05 * effort, seed, caplog)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["text", "tool", "vad"])
def test_an_odd_turn_through_sockets(
    kind: str, dialect: str, connect: Connect, emulator: Emulator, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it is heard, nothing fails, and where no answer is left open the next question is answered."""
    plain, cases = list(turn(kind, dialect)), list(matrix(kind, dialect))
    for index, path, mutation, odd in random.Random(seed).sample(cases, 8):
        where = f"{odd['type']} {path} {mutation}"
        client, heard = connect(), Probe()
        client.wait_until_ready(HANG)
        client.on(UnknownEvent, heard)

        for event in (*plain[:index], odd, *plain[index + 1 :], {"type": "test.marker"}):
            emulator.send_raw(json.dumps(event))

        assert heard.next().type == "test.marker", where
        if not client._engine.response_queue.is_busy:
            assert client.ask("Hello?", timeout=HANG).text, where
        assert client.close(), where
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [], where
