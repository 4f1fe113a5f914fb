"""Everything that goes wrong, in turn: each fault must end as it is said to, and nowhere else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from soak_crew import KINDS, Member
from soak_talk import Kind, Surprise, Talk, expect

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectError,
    ConnectionClosedError,
    DecodeError,
    DispatchOverflowError,
    QueueDispatcher,
    RealtimeError,
)

__all__ = ["Unlucky"]


class Unlucky(Member):
    """Meets one fault after the other, each with another kind of client."""

    def __init__(self, *rest: Any) -> None:
        super().__init__("unlucky", *rest)
        self._latest: Talk | None = None
        self._faults: list[Callable[[Kind], None]] = [
            self._peer_closes,
            self._stream_ends,
            self._stream_is_reset,
            self._peer_vanishes,
            self._peer_talks_junk,
            self._peer_breaks_the_protocol,
            self._message_is_too_big,
            self._handshake_is_refused,
            self._handshake_is_not_answered,
            self._nobody_is_there,
            self._peer_does_not_read,
            self._listeners_are_too_slow,
            self._closed_at_once,
            self._closed_by_a_listener,
        ]

    def turn(self) -> None:
        """Meet one."""
        fault = self._faults[self.turns % len(self._faults)]
        # Another kind each time round, and all of them in the end: the numbers have no common divisor.
        kind = KINDS[(self.turns // len(self._faults) * 5 + self.turns) % len(KINDS)]
        try:
            fault(kind)
        except Exception as exc:
            with contextlib.suppress(Exception):  # what has surprised may have no end to speak of
                if self._latest is not None:
                    self._latest.close()
            raise Surprise(f"{fault.__name__.strip('_')} with {kind}: {type(exc).__name__}: {exc}") from exc
        self._latest = None
        self.tally.add("faults")

    def _talk(self, kind: Kind, deployment: str = "soak", **options: Any) -> Talk:
        self._latest = Talk(self.site, self.tally, kind, deployment, **options)
        return self._latest

    def _lost(self, talk: Talk, orders: str, code: int) -> ConnectionClosedError:
        """Ask for a response on a connection that will end with this code before it is whole."""
        pending = talk.client.create_response({"instructions": orders})
        try:
            pending.result()
        except ConnectionClosedError as exc:
            expect(exc.close_code == code, f"closed with {exc.close_code} instead of {code}: {exc}")
        else:
            raise Surprise("the response is whole")
        outcome = talk.wait_closed()
        assert isinstance(outcome, ConnectionClosedError)
        expect(len(talk.errors) == 1, f"listeners were told {len(talk.errors)} errors instead of one")
        expect(talk.client.close(), "close() did not end the threads")
        return outcome

    def _peer_closes(self, kind: Kind) -> None:
        talk = self._talk(kind).ready()
        outcome = self._lost(talk, "deltas=50 then=close", 1011)
        talk.heard.finish(int(outcome.reason.split()[1]))  # all that was sent before the goodbye

    def _stream_ends(self, kind: Kind) -> None:
        talk = self._talk(kind).ready()
        talk.answer("deltas=50 then=fin")  # all that was sent before the end
        outcome = talk.wait_closed()
        assert isinstance(outcome, ConnectionClosedError)
        expect(outcome.close_code == 1006, f"closed with {outcome.close_code} instead of 1006")
        expect(talk.client.close(), "close() did not end the threads")

    def _stream_is_reset(self, kind: Kind) -> None:
        self._lost(self._talk(kind).ready(), "deltas=50 then=reset", 1006)

    def _peer_vanishes(self, kind: Kind) -> None:
        talk = self._talk(kind, ping_interval=0.2, ping_timeout=0.3).ready()
        self._lost(talk, "deltas=5 then=vanish", 1011)

    def _peer_breaks_the_protocol(self, kind: Kind) -> None:
        self._lost(self._talk(kind).ready(), "deltas=5 then=breach", 1002)

    def _message_is_too_big(self, kind: Kind) -> None:
        self._lost(self._talk(kind, max_message_bytes=65_536).ready(), "deltas=3 bytes=100000", 1009)

    def _peer_talks_junk(self, kind: Kind) -> None:
        talk = self._talk(kind).ready()
        talk.answer("deltas=20 then=junk")
        wrong = [error for error in talk.errors if isinstance(error, DecodeError)]
        expect(len(wrong) == 2, f"listeners were told of {len(wrong)} messages that are none, not of 2")
        talk.close()

    def _handshake_is_refused(self, kind: Kind) -> None:
        status = (401, 404, 429, 503)[self.turns // len(self._faults) % 4]
        error = self._not_connected(self._talk(kind, f"refuse-{status}"))
        expect(error.status == status, f"refused with {error.status} instead of {status}")
        expect(error.retry_after == 0.25, f"to be tried again after {error.retry_after} instead of 0.25 s")

    def _handshake_is_not_answered(self, kind: Kind) -> None:
        self._not_connected(self._talk(kind, "mute", connect_timeout=0.3))

    def _nobody_is_there(self, kind: Kind) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        options = {**self.site.options(kind, "soak"), "host_name": f"wss://localhost:{port}"}
        self.tally.add("connects")
        client = AzureRealTimeAudio(options, {"ssl_context": self.site.tls}, reconnect=None)
        self.tally.clients.add(client)
        client.on("error", self.tally.note_error)
        try:
            client.wait_until_ready()
        except ConnectError:
            expect(client.close(), "close() did not end the threads")
        else:
            raise Surprise("connected to nobody")

    def _not_connected(self, talk: Talk) -> RealtimeError:
        try:
            talk.ready()
        except ConnectError as exc:
            talk.wait_closed()
            expect(talk.client.close(), "close() did not end the threads")
            return exc
        raise Surprise("the connection was made")

    def _peer_does_not_read(self, kind: Kind) -> None:
        """Sends stall, and fail when the backlog is full; what did not fail is all there afterwards."""
        buffers = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)]
        limits: dict[str, Any] = {"max_send_backlog_bytes": 100_000, "send_timeout": 0.1, "sockopt": buffers}
        talk = self._talk(kind, **limits).ready()
        pending = talk.client.create_response({"instructions": "stall=1.5 deltas=1"})
        is_full = False
        for _ in range(500):
            try:
                talk.append(1, size=48_000)
            except TimeoutError:
                is_full = True
                break
        expect(is_full, "a service that does not read took everything")
        pending.result()
        talk.append(1)
        talk.commit()
        talk.close()

    def _listeners_are_too_slow(self, kind: Kind) -> None:
        nobody_runs_it = QueueDispatcher(max_backlog_bytes=100_000)
        talk = self._talk(Kind(kind.dialect, kind.is_tls, "queue"), queue=nobody_runs_it).ready()
        pending = talk.client.create_response({"instructions": "deltas=100"})
        try:
            pending.result()
        except DispatchOverflowError:
            talk.run(nobody_runs_it)  # the caller is told before "closed" is queued, so once is not enough
            talk.wait_closed()
            expect(talk.client.close(), "close() did not end the threads")
        else:
            raise Surprise("listeners that never run did not end the connection")

    def _closed_at_once(self, kind: Kind) -> None:
        for treatment in ("hasty", "mute"):
            talk = self._talk(kind, treatment)
            expect(talk.client.close(), "close() did not end the threads")

    def _closed_by_a_listener(self, kind: Kind) -> None:
        talk = self._talk(Kind(kind.dialect, kind.is_tls)).ready()
        has_closed = threading.Event()

        def close(_: object) -> None:
            talk.announce()
            talk.client.close()
            has_closed.set()

        talk.client.once("response.audio.delta", close)
        pending = talk.client.create_response({"instructions": "deltas=200 seconds=1"})
        try:
            pending.result()
        except ConnectionClosedError as exc:
            expect(exc.is_clean, f"not a clean end: {exc}")
        expect(talk.wait(has_closed.is_set), "a listener that closes does not return")
        talk.wait_closed()
        expect(talk.client.close(), "close() did not end the threads")
