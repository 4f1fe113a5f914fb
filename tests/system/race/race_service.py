"""
The far end of a race over TLS, in a process of its own, behind a relay that jitters.

``python race_service.py PEM RUN`` prints its port, serves until its standard input ends, then prints as JSON
what it saw of each connection. It is a process of its own so that it can neither slow nor crash the
interpreter under test, and one thread with ``asyncio``, so nothing of its own can race. The path that the
client asks for is the number of its plan.

Between any two TLS records it may send a key update, with or without asking for one, a session ticket or
an empty record; between frames also pings and silence. The relay passes on the bytes of both directions in
pieces of 1 byte to 16 KB, with pauses.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import random
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from race_plan import DEAF, LARGEST, REASON, SERVICE, Ledger, Plan, make_frame
from race_tls import FULL, Broken, Handshake, KeyLog, Records
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

HANG = 20.0
"""Seconds after which a wait counts as a hang, on a machine that is busy with other tests."""

_BUFFER: Final = 32 * 1024
"""
Bytes that a socket of the relay keeps to be sent: few, so that an end that does not read is soon felt.

What may be received is not limited: Linux would drop segments, and wait for seconds to send them again.
"""

_EXTRAS: Final = ("update", "update_and_ask", "ticket", "nothing")
"""What may stand between two records."""


class Service:
    """
    The service as its user sees it.

    Args:
        pem: File with its certificate and key, for ``localhost``.
        run: The number of the run.
    """

    def __init__(self, pem: Path, run: int) -> None:
        self._command = [sys.executable, __file__, str(pem), str(run)]

    def __enter__(self) -> Service:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate(timeout=HANG)

    def url(self, plan: Plan) -> str:
        """Return where the connection of that plan is served."""
        return f"wss://localhost:{self._port}/{plan.number}"

    def report(self) -> dict[int, dict[str, Any]]:
        """End it, and return what it saw, by the number of the plan; see :meth:`_Peer.report`."""
        answer, _ = self._process.communicate(timeout=2 * HANG)
        return {int(number): facts for number, facts in json.loads(answer).items()}


class _Peer:
    """One connection as the service sees it."""

    def __init__(self, sock: socket.socket, run: int) -> None:
        self._sock = sock
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=None)
        self._records: Records  # once the handshake is done
        self._out: list[bytes] = []
        self._turn = asyncio.Lock()  # whose it is to write to the socket
        self._hears = asyncio.Event()
        self._asked = asyncio.Event()  # for a sign of life
        self._speaking: asyncio.Task[None] | None = None
        self._ledger = Ledger()
        self._parts: list[bytes] = []  # of a message
        self._pings: collections.deque[bytes] = collections.deque()
        self._counts: collections.Counter[str] = collections.Counter()
        self._has_parted = False
        self._trouble = ""
        self.number = -1
        """That of the plan, once it is known."""

    def report(self) -> dict[str, Any]:
        """Return what was received and sent, and what went wrong."""
        close = self._protocol.close_rcvd
        return {
            **{name: self._counts[name] for name in ("frames", "pings", "pongs", "asked_for_life", *_EXTRAS)},
            "answers": self._records.updates_received if self.number >= 0 else 0,
            "received": self._ledger.counts,
            "bytes": self._ledger.bytes,
            "lost": self._ledger.lost,
            "corrupted": self._ledger.corrupted,
            "close_code": close.code if close else None,
            "trouble": self._trouble,
        }

    async def meet(self, context: ssl.SSLContext, keys: KeyLog) -> None:
        """Serve the connection from its handshake to its end."""
        try:
            await asyncio.wait_for(self._meet(context, keys), HANG)
        except asyncio.TimeoutError:
            self._trouble = "hangs"
        except (Broken, OSError) as exc:
            self._trouble = f"{type(exc).__name__}: {exc}"
        finally:
            self._sock.close()

    async def _meet(self, context: ssl.SSLContext, keys: KeyLog) -> None:
        raw = await self._shake_hands(context, keys)
        self._hears.set()
        try:
            while True:
                self._take(self._records.open(raw))
                await self._flush()
                await self._hears.wait()
                raw = await self._loop.sock_recv(self._sock, 64 * 1024)
                if not raw or self._records.at_end:
                    return
        finally:
            if self._speaking is not None:
                self._speaking.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await self._speaking

    async def _shake_hands(self, context: ssl.SSLContext, keys: KeyLog) -> bytes:
        """Do the handshake, and return what the client sent beyond it."""
        handshake = Handshake(context, keys)
        while handshake.records is None:
            raw = await self._loop.sock_recv(self._sock, 64 * 1024)
            await self._loop.sock_sendall(self._sock, handshake.take(raw))
        self._records = handshake.records
        return handshake.rest

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._begin(event)
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    self._ledger.enter(b"".join(self._parts))
                    self._parts.clear()
            elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                self._counts["asked_for_life"] += 1  # the protocol has answered
                self._asked.set()
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self._counts["pongs"] += 1
                if not self._pings or self._pings.popleft() != bytes(event.data):
                    raise Broken("a pong without its ping")
        self._seal()

    def _begin(self, request: Request) -> None:
        plan = Plan.draw(self._run, int(request.path.strip("/")))
        self.number = plan.number
        self._protocol.send_response(self._protocol.accept(request))
        self._speaking = asyncio.create_task(self._speak(plan, plan.dice("service")))

    async def _speak(self, plan: Plan, dice: random.Random) -> None:
        """Send frames until the end, whoever brings it."""
        # The client ends it after so many, and must not find the line quiet when it does.
        count = plan.frames + (100 if plan.end in ("client", "aborts") else 0)
        if plan.deaf:
            self._hears.clear()
        try:
            while self._protocol.state is State.OPEN and self._counts["frames"] < count:
                loud = plan.deaf and self._counts["frames"] < DEAF
                self._say(make_frame(SERVICE, self._counts["frames"], dice, LARGEST if loud else None), dice)
                self._counts["frames"] += 1
                await self._flush()
                if not loud:
                    self._hears.set()
                if plan.silent and self._counts["frames"] == plan.frames // 2 + 1:
                    await self._asked.wait()
        finally:
            self._hears.set()
        if plan.end == "service" and self._protocol.state is State.OPEN:
            self._protocol.send_close(1000, REASON)
            self._seal()
            await self._flush()

    def _say(self, frame: bytes, dice: random.Random) -> None:
        """Queue a message, whole or in two fragments, and what may stand before, between and in the midst."""
        if dice.random() < 0.1:
            self._ping(dice)
        if dice.random() < 0.1:
            cut = dice.randrange(len(frame))
            self._protocol.send_text(frame[:cut], fin=False)
            self._ping(dice)
            self._protocol.send_continuation(frame[cut:], fin=True)
        else:
            self._protocol.send_text(frame)
        self._seal(dice)

    def _ping(self, dice: random.Random) -> None:
        self._pings.append(dice.randbytes(dice.randrange(126)))
        self._protocol.send_ping(self._pings[-1])
        self._counts["pings"] += 1

    def _seal(self, dice: random.Random | None = None) -> None:
        """Put into records what the protocol wants to send; with *dice*, odd records at odd places."""
        data = self._protocol.data_to_send()
        if self._has_parted:
            # It would still answer pings, which a client that has gone may answer with a reset of the line.
            data = [part for part in data if not part]
        self._has_parted = self._protocol.close_sent is not None
        for part in data:
            size = FULL
            if dice and dice.random() < 0.3:
                size = max(int(FULL ** dice.random()), len(part) // 20, 1)
            for begin in range(0, len(part), size):
                self._out.append(self._records.data(part[begin : begin + size]))
                if dice and dice.random() < 0.1:
                    self._out.append(self._extra(dice.choice(_EXTRAS), dice))
        if data and not data[-1]:
            self._out += [self._records.end(), b""]

    def _extra(self, kind: str, dice: random.Random) -> bytes:
        self._counts[kind] += 1
        if kind == "ticket":
            return self._records.ticket(dice.randbytes(dice.randint(32, 400)))
        if kind == "nothing":
            return self._records.data(b"")
        return self._records.key_update(requested=kind == "update_and_ask")

    async def _flush(self) -> None:
        """Write what is queued; records must be written in the order in which they were sealed."""
        async with self._turn:
            while self._out:
                data, self._out = self._out, []
                await self._loop.sock_sendall(self._sock, b"".join(data))
                if not data[-1]:
                    self._sock.shutdown(socket.SHUT_WR)


async def _forward(source: socket.socket, sink: socket.socket, dice: random.Random) -> None:
    """Pass on what comes from *source* in pieces, and its end."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, int(FULL ** dice.random())):
            await loop.sock_sendall(sink, data)
            # Without a pause, too, it is the turn of the others.
            await asyncio.sleep(0.002 * dice.random() if dice.random() < 0.02 else 0)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One end has gone without a goodbye; so that the other learns of it, in both directions.
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


async def _relay(
    client: socket.socket, near: socket.socket, meeting: Awaitable[None], dice: random.Random
) -> None:
    """Pass everything on between the client and the service, of which *near* is the end, and serve."""
    with client, near:
        await asyncio.gather(_forward(client, near, dice), _forward(near, client, dice), meeting)


async def _serve(pem: str, run: int) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # all of them go out in mid-stream
    context.load_cert_chain(pem)
    peers: list[_Peer] = []
    serving: list[asyncio.Task[None]] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        keys = KeyLog(context, Path(folder, "keys"))
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        async def accept_all() -> None:
            while True:
                client, _ = await loop.sock_accept(listener)
                near, far = socket.socketpair()
                for sock in (client, near, far):
                    _tune(sock)
                peers.append(_Peer(far, run))
                meeting = peers[-1].meet(context, keys)
                serving.append(asyncio.create_task(_relay(client, near, meeting, random.Random(len(peers)))))

        accepting = asyncio.create_task(accept_all())
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        accepting.cancel()
        await asyncio.gather(*serving)
    sys.stdout.write(json.dumps({peer.number: peer.report() for peer in peers}))


def _tune(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
