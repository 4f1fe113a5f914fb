"""One session, several connections: one after the other, and two at once."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from listeners import HANG, MARKER, Aside, Probe, message

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError, InlineDispatcher
from azure_rt_audio._session.attempt import Attempt
from azure_rt_audio.emulator import Delay, Emulator, after
from azure_rt_audio.emulator.server.connection import Connection

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}
CREATE = "conversation.item.create"


def until(condition: Callable[[], Any], seconds: float = 4 * HANG) -> None:
    """Wait until a condition holds."""
    never = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it did not happen in time")


def connect_another(client: AzureRealTimeAudio) -> Attempt:
    """Return another attempt of a client, which is configured and of no use."""
    engine, is_configured = client._engine, threading.Event()
    attempt = engine.configuration.new_attempt()
    attempt.on_configured = lambda _: is_configured.set()
    engine.attempts.start(attempt)
    assert is_configured.wait(2 * HANG)
    return attempt


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that remembers all it was sent."""
    with Emulator(pace=0, keep_audio=True, log_limit=100_000) as emulator:
        yield emulator


def commands(connection: Connection, kind: str) -> list[dict[str, Any]]:
    """Return the commands of a kind that a connection brought."""
    return [command for command in tuple(connection.received) if command["type"] == kind]


def test_three_connections_one_after_the_other(service: Emulator) -> None:
    """Listeners, mirror, streams and waits outlive connections that are lost."""
    options = service.options()
    with AzureRealTimeAudio(options, dispatcher=InlineDispatcher(), reconnect=QUICK) as client:
        told, inits, reconnected = Probe(), Probe(), Probe()
        threads: set[str] = set()
        client.on("test.marker", lambda event: threads.add(threading.current_thread().name))
        client.on("test.marker", told)
        client.on("init", inits)
        client.on("reconnected", reconnected)
        stream = client.events("test.marker", timeout=HANG)
        waiting = Aside(lambda: client.wait_for("test.last", timeout=4 * HANG))
        client.update_session({"instructions": "Be brief."}).result(HANG)
        for number in range(3):
            if number:
                service.drop()
                assert not reconnected.next().is_planned
            client.create_conversation_item({**message("hello"), "id": f"item{number}"}).result(HANG)
            service.say({**MARKER, "event_id": str(number)})
            assert told.next().event_id == next(stream).event_id == str(number)
        service.say({"type": "test.last"})
        configured = [commands(link, "session.update")[-1]["session"] for link in service.connections]

        assert type(waiting.result()).__name__ == "UnknownEvent"
        assert [entry.item.id for entry in client.conversation.entries] == ["item0", "item1", "item2"]
        assert [session["instructions"] for session in configured] == ["Be brief."] * 3
        assert len(inits.told) == len(threads) == 1
        assert client.is_initialized


def test_after_close_no_attempt_is_made(service: Emulator) -> None:
    """close() ends all attempts, and nothing dials afterwards."""
    client = AzureRealTimeAudio(service.options())
    client.wait_until_ready(HANG)
    attempt = connect_another(client)

    assert client.close()
    assert attempt.ready.outcome is not None
    with pytest.raises(ConnectionClosedError, match="closed"):
        connect_another(client)


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


@pytest.mark.parametrize("state", ["standing by", "draining", "swapped", "waiting"])
def test_a_dropped_client_is_collected(service: Emulator, state: str) -> None:
    """A client without references is collected and its threads end, whatever its attempts are doing."""
    before = set(threading.enumerate())

    def make() -> list[weakref.ref[Any]]:
        if state == "draining":
            service.faults.add(after("session.updated", Delay(1.0), count=2))
        client = AzureRealTimeAudio(service.options(), reconnect={"initial_delay": 60, "max_delay": 60})
        client.wait_until_ready(HANG)
        engine = client._engine
        if state == "standing by":
            connect_another(client)
        elif state == "draining":
            client.reconnect()
            until(lambda: engine.attempts.current.number == 2)
        elif state == "swapped":
            client.reconnect().result(HANG)
        else:
            with client.events("reconnecting", timeout=HANG) as events:
                service.drop()
                next(events)
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
