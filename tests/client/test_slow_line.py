"""A service that takes less than is sent: what a program is told of it."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_servers import HANG, TEXT, frame, read_frame, tcp_server, upgrade
from listeners import Aside

from azure_rt_audio import AzureRealTimeAudio, SendLag
from azure_rt_audio.recording import Dropped, Recording
from azure_rt_audio.recording.analysis import analyse

SESSION = {"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": "m"}
LARGE = bytes(6_600_000)
"""Sound that no system takes for a peer that does not read."""
SECOND = bytes(48_000)


class Service:
    """Begins a session, and reads on when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.types: queue.Queue[str] = queue.Queue()
        self.pieces: list[int] = []

    def __call__(self, sock: socket.socket) -> None:
        upgrade(sock)
        self._say(sock, "session.created", session=SESSION)
        read_frame(sock)
        self._say(sock, "session.updated", session=SESSION)
        assert self.go_on.wait(HANG)
        while (received := read_frame(sock))[0] == TEXT:
            event = json.loads(received[1])
            if event["type"] == "input_audio_buffer.append":
                self.pieces.append(len(event["audio"]))
            else:
                self.types.put(event["type"])
                self._say(sock, "input_audio_buffer.cleared")

    @staticmethod
    def _say(sock: socket.socket, type: str, **fields: Any) -> None:
        sock.sendall(frame(TEXT, json.dumps({"type": type, "event_id": "e", **fields}).encode()))


@contextlib.contextmanager
def served(record: Path | None = None, **options: Any) -> Iterator[tuple[Service, AzureRealTimeAudio]]:
    """Yield a service and a client whose session is ready."""
    service = Service()
    with tcp_server(service) as url:
        facts = {"host_name": url.split("/openai")[0], "deployment": "m", "api_key": "k"}
        client = AzureRealTimeAudio(facts, {"lag_limit": 0.1, **options}, record=record)
        try:
            client.wait_until_ready(HANG)
            yield service, client
        finally:
            service.go_on.set()
            client.close(HANG)


def test_a_program_sees_that_the_line_is_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Figure, event and one warning; then all of it arrives, and that is told as well."""
    with served() as (service, client), client.events(SendLag, timeout=HANG) as lags:
        named: queue.Queue[SendLag] = queue.Queue()
        client.on("send_lag", named.put)
        before = client.send_lag_s
        client.append_audio(LARGE)
        client.append_audio(SECOND)
        cleared = client.clear_audio_buffer()
        first = next(lags)
        behind = client.send_lag_s
        service.go_on.set()
        cleared.result(HANG)
        last = next(event for event in lags if not event.is_behind)
        after = client.send_lag_s

        assert before < 0.1
        assert after < 0.1
        assert behind >= first.lag_s >= 0.1
        assert first == named.get(timeout=HANG)
        assert (first.is_behind, first.dropped_s) == (True, 0)
        assert first.unsent_bytes > len(SECOND)
        assert last.message == "sound is sent without delay again"
        assert service.pieces == [len(LARGE) // 3 * 4, len(SECOND) // 3 * 4]

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "to be sent: the line takes less than is spoken" in warnings[0]
    assert 'lag="keep"' in warnings[0]


@contextlib.contextmanager
def full() -> Iterator[tuple[Service, AzureRealTimeAudio]]:
    """Yield the same with a send queue that has no room, for which methods would wait for an hour."""
    with served(max_send_backlog_bytes=len(SECOND), send_timeout=3600.0) as (service, client):
        client.append_audio(LARGE)
        client.append_audio(SECOND)
        yield service, client


def test_a_question_waits_for_room_no_longer_than_it_may() -> None:
    """Its time-out bounds that as well; nothing of it is sent."""
    with full() as (service, client):
        aside = Aside(lambda: client.ask("Hello", timeout=0.05))
        with pytest.raises(TimeoutError, match="wait to be written"):
            aside.result()
        service.go_on.set()
        client.clear_audio_buffer().result(HANG)

        assert service.types.get(timeout=HANG) == "input_audio_buffer.clear"


def test_a_cancel_does_not_wait_for_room() -> None:
    """It takes its place behind what waits, and arrives."""
    with full() as (service, client):
        Aside(client.cancel_response).result()
        service.go_on.set()

        assert service.types.get(timeout=HANG) == "response.cancel"


def test_the_oldest_sound_can_be_dropped() -> None:
    """With ``lag="drop_oldest"`` it is told how much, and the command behind it arrives."""
    with served(lag="drop_oldest") as (service, client), client.events("send_lag", timeout=HANG) as lags:
        client.append_audio(LARGE)
        for _ in range(3):
            client.append_audio(SECOND)
        cleared = client.clear_audio_buffer()
        told: list[SendLag] = []
        while sum(event.dropped_s for event in told) < 2.99:
            told.append(next(lags))
        service.go_on.set()

        assert cleared.result(HANG).type == "input_audio_buffer.cleared"
        assert sum(event.dropped_s for event in told) == pytest.approx(3.0)
        assert f"; {told[-1].dropped_s:.1f} s of the oldest were dropped" in told[-1].message
        assert service.pieces == [len(LARGE) // 3 * 4]


def test_a_recording_says_what_was_dropped(tmp_path: Path) -> None:
    """Its sound is where it was said; what the service was not sent is neither heard nor counted."""
    talk = tmp_path / "talk.rta"
    with (
        served(talk, lag="drop_oldest") as (service, client),
        client.events("send_lag", timeout=HANG) as lags,
    ):
        client.append_audio(LARGE)
        for _ in range(3):
            client.append_audio(SECOND)
        cleared = client.clear_audio_buffer()
        dropped = 0.0
        while dropped < 2.99:
            dropped += next(lags).dropped_s
        service.go_on.set()
        cleared.result(HANG)
        client.append_audio(b"\1" * len(SECOND))
        client.clear_audio_buffer().result(HANG)
    recording = Recording.load(talk)
    timeline = analyse(recording)
    runs = [entry for entry in recording.entries if isinstance(entry, Dropped)]

    assert service.pieces == [len(LARGE) // 3 * 4, len(SECOND) // 3 * 4]
    assert (sum(run.count for run in runs), sum(run.seconds for run in runs)) == (3, pytest.approx(3.0))
    assert [clip.chunk.size for clip in timeline.said.clips] == [len(LARGE), len(SECOND)]
    assert [failure.kind for failure in timeline.failures] == ["dropped"]
    assert timeline.failures[0].message == "3.0 s of what was said were dropped: the line was too slow"


def test_seconds_are_those_of_the_format() -> None:
    """A second of G.711 is a sixth of one of PCM16."""
    with served(lag="drop_oldest") as (_, client), client.events("send_lag", timeout=HANG) as lags:
        client.append_audio(LARGE)
        client.update_session({"input_audio_format": "g711_ulaw"})
        client.append_audio(bytes(8_000))

        assert next(event.dropped_s for event in lags if event.dropped_s) == pytest.approx(1.0, rel=0.01)
