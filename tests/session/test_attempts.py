"""One session, several connections: one after the other, and two at once."""

from __future__ import annotations

import base64
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from jittering_relay import JitteringRelay
from listeners import HANG, MARKER, NO_VAD, Probe, message

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError, InlineDispatcher
from azure_rt_audio._session.attempt import Attempt
from azure_rt_audio.emulator import Drop, Emulator, Say, StopReading
from azure_rt_audio.emulator.server.connection import Connection

DELTA = "response.output_audio.delta"
CREATE = "conversation.item.create"


def until(condition: Callable[[], Any], seconds: float = 4 * HANG) -> None:
    """Wait until a condition holds."""
    never = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it did not happen in time")


def delta(number: int) -> dict[str, Any]:
    """Return a numbered delta, as the service sends it."""
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    return {"type": DELTA, "event_id": f"e{number}", "delta": str(number), **place}


def connect_another(client: AzureRealTimeAudio) -> Attempt:
    """Return another attempt of a client, with its session ready."""
    attempt = client._engine.connect()
    attempt.ready.wait(2 * HANG)
    return attempt


def go_over(client: AzureRealTimeAudio) -> Attempt:
    """Make another attempt, go over to it, and end the one before."""
    previous = client._engine.connection
    attempt = connect_another(client)
    client._engine.attempts.promote(attempt)
    assert previous.close(HANG)
    return attempt


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that remembers all it was sent."""
    with Emulator(pace=0, keep_audio=True, log_limit=100_000) as emulator:
        yield emulator


class Flood:
    """Numbered commands, audio and deltas, each from a thread of its own, until it is over."""

    def __init__(self, client: AzureRealTimeAudio, service: Emulator, to: Connection) -> None:
        self.client = client
        self.service = service
        self.to = to
        self.futures: list[Future[Any]] = []
        self.appended = 0
        self.said = 0
        self.failures: list[BaseException] = []
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(step,), name="flood")
            for step in (self._create, self._append, self._say)
        ]

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop, and wait for the threads."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(HANG)
            assert not thread.is_alive()

    def goes_on(self) -> None:
        """Wait until more of everything has been sent."""
        at = (len(self.futures), self.appended, self.said)
        until(
            lambda: all(
                now > then + 50
                for now, then in zip((len(self.futures), self.appended, self.said), at, strict=True)
            )
        )

    def _run(self, step: Callable[[], None]) -> None:
        pause = threading.Event()
        try:
            while not self._is_over.is_set():
                for _ in range(5):
                    step()
                pause.wait(0.004)
        except BaseException as exc:  # noqa: BLE001 - looked at in the end
            self.failures.append(exc)

    def _create(self) -> None:
        item = {**message("hello"), "id": f"item{len(self.futures)}"}
        self.futures.append(self.client.create_conversation_item(item))

    def _append(self) -> None:
        self.client.append_audio(self.appended.to_bytes(4, "little"))
        self.appended += 1

    def _say(self) -> None:
        self.service.inject(Say(delta(self.said)), self.to)
        self.said += 1


def readers() -> set[threading.Thread]:
    """Return the I/O threads that run."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("azure-rt-reader")}


def commands(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """Return the commands of a kind that a connection brought."""
    return [command for command in tuple(connection.received) if command["type"] == kind]


def test_two_connections_at_once_both_flooded(service: Emulator) -> None:
    """Going over from one connection to another loses, doubles and reorders nothing, in either direction."""
    before = readers()
    with JitteringRelay(service.port) as relay:
        options = {**service.options(), "host_name": f"ws://127.0.0.1:{relay.port}", "session_config": NO_VAD}
        with AzureRealTimeAudio(options) as client:
            numbers: list[str] = []
            client.on(DELTA, lambda event: numbers.append(event.delta))
            stream = client.events(DELTA)
            old = service.connections[0]
            with Flood(client, service, old) as flood:
                flood.goes_on()
                previous = client._engine.connection
                attempt = connect_another(client)
                new = service.connections[1]
                assert len(readers() - before) == 1
                flood.goes_on()
                asked_before = len(flood.futures)
                client._engine.attempts.promote(attempt)
                flood.to = new
                flood.goes_on()
                until(lambda: all(future.done() for future in flood.futures[:asked_before]))
                flood.goes_on()
                assert previous.close(2 * HANG)
                flood.goes_on()
                flood.end()
                until(lambda: len(numbers) == flood.said)
                added = [future.result(HANG).item.id for future in flood.futures]
            streamed = [next(stream).delta for _ in range(flood.said)]

    created = [[command["item"]["id"] for command in commands(link, CREATE)] for link in (old, new)]
    audio = [
        [int.from_bytes(base64.b64decode(command["audio"]), "little") for command in found]
        for found in (commands(link, "input_audio_buffer.append") for link in (old, new))
    ]
    assert flood.failures == []
    assert numbers == streamed == [str(number) for number in range(flood.said)]
    assert added == created[0] + created[1] == [f"item{number}" for number in range(len(flood.futures))]
    assert audio[0] + audio[1] == list(range(flood.appended))
    assert all((*created, *audio))


def test_three_connections_one_after_the_other(service: Emulator) -> None:
    """Listeners, mirror, streams and waits outlive connections that are lost, if somebody makes others."""
    with AzureRealTimeAudio(service.options(), dispatcher=InlineDispatcher()) as client:
        engine = client._engine
        lost: list[Attempt] = []
        is_lost = threading.Event()

        def on_ended(attempt: Attempt, outcome: object) -> bool:
            lost.append(attempt)
            is_lost.set()
            return True

        engine.attempts.on_ended = on_ended
        told, inits = Probe(), Probe()
        threads: set[str] = set()
        client.on("test.marker", lambda event: threads.add(threading.current_thread().name))
        client.on("test.marker", told)
        client.on("init", inits)
        stream = client.events("test.marker", timeout=HANG)
        waited: list[Any] = []
        waiting = threading.Thread(target=lambda: waited.append(client.wait_for("test.last", timeout=HANG)))
        waiting.start()
        client.update_session({"instructions": "Be brief."}).result(HANG)
        for number in range(3):
            if number:
                service.drop()
                assert is_lost.wait(HANG)
                is_lost.clear()
                engine.attempts.promote(connect_another(client))
            client.create_conversation_item({**message("hello"), "id": f"item{number}"}).result(HANG)
            service.say({**MARKER, "event_id": str(number)})
            assert told.next().event_id == next(stream).event_id == str(number)
        service.say({"type": "test.last"})
        waiting.join(HANG)
        configured = [commands(link, "session.update")[-1]["session"] for link in service.connections]

        assert [type(event).__name__ for event in waited] == ["UnknownEvent"]
        assert [attempt.number for attempt in lost] == [1, 2]
        assert {entry.item.id for entry in client.conversation.entries} == {f"item{n}" for n in range(3)}
        assert [session["instructions"] for session in configured] == ["Be brief."] * 3
        assert len(inits.told) == len(threads) == 1
        assert client.is_initialized


def test_an_unanswered_command_fails_with_its_connection(service: Emulator) -> None:
    """After a loss, commands without an answer and responses in progress fail by name; later ones work."""
    with AzureRealTimeAudio({**service.options(), "session_config": NO_VAD}, reconnect=None) as client:
        is_lost = threading.Event()
        client._engine.attempts.on_ended = lambda attempt, outcome: (is_lost.set(), True)[1]
        service.inject(StopReading())
        client.clear_audio_buffer().add_done_callback(lambda future: None)
        unanswered = client.clear_audio_buffer()
        service.drop()
        assert is_lost.wait(HANG)
        client._engine.attempts.promote(connect_another(client))

        with pytest.raises(ConnectionClosedError):
            unanswered.result(HANG)
        client.clear_audio_buffer().result(HANG)
        assert client.ask("hello", timeout=HANG).status == "completed"


def test_an_attempt_that_is_not_current_ends_nothing(service: Emulator) -> None:
    """A standby that is lost leaves the session alone; it cannot be promoted any more."""
    with AzureRealTimeAudio(service.options()) as client:
        attempt = connect_another(client)
        service.inject(Drop(), service.connections[1])
        until(lambda: attempt.ready.outcome is not None)

        with pytest.raises(ConnectionClosedError):
            client._engine.attempts.promote(attempt)
        client.clear_audio_buffer().result(HANG)


def test_after_close_no_attempt_is_made(service: Emulator) -> None:
    """close() ends all attempts, and nothing dials afterwards."""
    client = AzureRealTimeAudio(service.options())
    client.wait_until_ready(HANG)
    attempt = connect_another(client)

    assert client.close()
    assert attempt.ready.outcome is not None
    with pytest.raises(ConnectionClosedError, match="closed"):
        client._engine.connect()


@pytest.mark.parametrize("silent", [0, 1])
def test_all_attempts_close_at_the_same_time(service: Emulator, silent: int) -> None:
    """One whose peer does not answer uses up the time-out, and takes nothing of it from another."""
    client = AzureRealTimeAudio(service.options())
    client.wait_until_ready(HANG)
    connections = [client._engine.connection, connect_another(client).connection]
    with service.connections[silent]._socket.protocol_mutex:  # its peer answers no close frame
        client.close(0.2)

    assert all(connection.close(HANG) for connection in connections)
    outcomes = [connection.outcome for connection in connections]
    assert [isinstance(end, ConnectionClosedError) and end.is_clean for end in outcomes] == [
        silent == 1,
        silent == 0,
    ]


@pytest.mark.parametrize("state", ["connecting", "standby", "promoted", "drained", "lost", "waiting"])
def test_a_dropped_client_is_collected(service: Emulator, state: str) -> None:
    """A client without references is collected and its threads end, whatever its attempts are doing."""
    before = set(threading.enumerate())

    def make() -> list[weakref.ref[Any]]:
        client = AzureRealTimeAudio(service.options(), reconnect={"initial_delay": 60, "max_delay": 60})
        client.wait_until_ready(HANG)
        engine = client._engine
        if state == "connecting":
            engine.connect()
        elif state == "standby":
            connect_another(client)
        elif state == "promoted":
            engine.attempts.promote(connect_another(client))
        elif state == "drained":
            go_over(client)
        elif state == "waiting":
            with client.events("reconnecting", timeout=HANG) as events:
                service.drop()
                next(events)
        else:
            is_lost = threading.Event()
            engine.attempts.on_ended = lambda attempt, outcome: (is_lost.set(), True)[1]
            service.drop()
            assert is_lost.wait(HANG)
        return [weakref.ref(client), weakref.ref(engine), weakref.ref(engine.attempts.current)]

    references = make()
    gc.collect()

    until(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("azure-rt")])
    assert [reference() for reference in references] == [None, None, None]


def test_a_connection_lost_while_its_client_goes(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A loss between the end of a session and that of its parts makes no other connection, and no noise."""
    client = AzureRealTimeAudio(service.options())
    client.wait_until_ready(HANG)
    engine = weakref.ref(client._engine)
    reconnector, io_thread = client._engine.reconnector, client._engine.attempts._io_thread
    del client
    assert engine() is None
    service.drop()

    assert io_thread.join(HANG)
    assert not reconnector.is_reconnecting()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
