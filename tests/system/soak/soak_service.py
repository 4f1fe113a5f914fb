"""
The far end of the soak, in a process of its own: a service that counts, and two emulators.

The counting service speaks both dialects, plain and over TLS, on one thread. What it sends is numbered
and what it receives is checked, see ``soak_numbers.py``. How a client is treated is in the name of the
deployment it asks for (``soak``; ``refuse-429``; ``mute``), and what a response is to be like in
its instructions: ``deltas=200 bytes=4800 seconds=0.5 then=done``. ``then`` may also be

* ``close``: say goodbye with 1011 and, as the reason, how many deltas were sent;
* ``fin``, ``reset``: end the stream after the response, or in the midst of it, without a close frame;
* ``vanish``: say nothing any more, answer no ping;
* ``junk``: send messages that are no events first;
* ``breach``: send bytes that are no WebSocket frame.

``stall=0.5`` does not read for so many seconds. A client that says ``total 12`` has appended 12
pieces; who says goodbye without having said that has lost something.

The first line of standard output says where everything is, the others how things stand, all as JSON.
The end of standard input ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import re
import signal
import socket
import ssl
import struct
import sys
import traceback
from collections import Counter
from typing import Any, Final

import orjson
import trustme
from soak_numbers import Checker, are_whole, numbered
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from azure_rt_audio.emulator import Emulator
from azure_rt_audio.emulator.dialects.choose import dialect_named
from azure_rt_audio.emulator.dialects.names import canonical

_SESSION: Final = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "soak"}
_BREACH: Final = b"\xff\x03bad"
_MUTE_SECONDS: Final = 2.0
_VANISHED_SECONDS: Final = 3.0
_GOODBYE_SECONDS: Final = 5.0
_RECEIVE_BUFFER: Final = 1 << 18
"""The system would let it grow to tens of megabytes, and a stalled service would stall nobody."""
_LEAST_NAP: Final = 0.005
_LOSE_EVERY: Final = 100
"""With sabotage: which delta, or append, is lost."""
_UNWELL: Final = frozenset({"refuse", "mute", "hasty"})
_PREVIEW_PATH: Final = "/openai/realtime"

counts: Counter[str] = Counter()
"""All that is told to the other side; written on the loop's thread only."""


def _complain(words: str) -> None:
    """Say at once what the figures of the end only count."""
    print(f"service: {words}", file=sys.stderr, flush=True)  # noqa: T201


def _note_corrupted() -> None:
    counts["corrupted"] += 1


class Peer:
    """One client of the counting service."""

    def __init__(self, ws: ServerConnection, sabotage: frozenset[str]) -> None:
        assert ws.request is not None
        path = self._path = ws.request.path
        self._ws = ws
        self._dialect = "preview" if path.startswith(_PREVIEW_PATH) else "ga"
        self._sabotage = sabotage
        self._appended = Checker(self._note_lost, _note_corrupted)
        self._announced: int | None = None
        self._has_begun = False  # else it was told that it had come too late, when the machine was busy
        self._must_announce = _treatment(path) not in _UNWELL
        self._sent = 0  # deltas
        self._responses = 0
        self._items = 0
        self._cancelled: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve it to its end."""
        counts["connections"] += 1
        counts["open"] += 1
        try:
            await self._say("session.created", session=_SESSION)
            async for message in self._ws:
                await self._obey(orjson.loads(message))
        except ConnectionClosed:
            pass
        finally:
            counts["open"] -= 1
            for task in self._running.values():
                task.cancel()
            self._judge_end()

    def __str__(self) -> str:
        return (
            f"{self._dialect} {_treatment(self._path)}, {self._appended.expected} appends, "
            f"{self._responses} responses, {self._items} items"
        )

    def _note_lost(self, pieces: int) -> None:
        counts["lost"] += pieces
        _complain(f"{pieces} appends are missing: {self}")

    def _judge_end(self) -> None:
        """Who said goodbye has also said how much there was."""
        protocol = self._ws.protocol
        is_asked_for = protocol.close_rcvd is not None and protocol.close_rcvd_then_sent
        if is_asked_for and protocol.close_code == 1000 and self._must_announce and self._has_begun:
            if self._announced is None:
                counts["unannounced"] += 1
                _complain(f"said goodbye, and not how much was sent: {self}")
            else:
                self._appended.finish(self._announced)

    async def _say(self, kind: str, /, **fields: Any) -> None:
        event = {
            "type": dialect_named(self._dialect).wire_name(canonical(kind)),
            "event_id": "event_1",
            **fields,
        }
        await self._ws.send(orjson.dumps(event), text=True)

    async def _obey(self, command: dict[str, Any]) -> None:
        kind = command["type"]
        self._has_begun |= kind != "session.update"
        if kind == "input_audio_buffer.append":
            self._append(command["audio"])
        elif kind == "input_audio_buffer.commit":
            await self._commit()
        elif kind == "conversation.item.create":
            await self._take_item(command["item"])
        elif kind == "conversation.item.delete":
            await self._say("conversation.item.deleted", item_id=command["item_id"])
        elif kind == "response.create":
            await self._start(command.get("response") or {})
        elif kind == "response.cancel":
            self._cancelled.add(command.get("response_id") or f"resp_{self._responses}")
        elif kind == "session.update":
            await self._say("session.updated", session=_SESSION)
        else:
            error = {
                "type": "invalid_request_error",
                "code": "unknown",
                "message": f"{kind} is not known here",
            }
            await self._say("error", error=error)

    def _append(self, audio: str) -> None:
        counts["appends"] += 1
        if "append" in self._sabotage and counts["appends"] % _LOSE_EVERY == 0:
            return
        self._appended.take(base64.b64decode(audio))

    async def _commit(self) -> None:
        """The name of the item says how many pieces have arrived since the beginning."""
        self._items += 1
        item_id = f"item_in_{self._items}_{self._appended.expected}"
        await self._say("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        await self._add({"id": item_id, "type": "message", "role": "user", "content": content})

    async def _take_item(self, item: dict[str, Any]) -> None:
        text = item["content"][0]["text"]
        if text.startswith("total "):
            self._announced = int(text.split()[1])
        elif not are_whole(text):
            _note_corrupted()
        await self._add(item)

    async def _add(self, item: dict[str, Any]) -> None:
        whole = {"object": "realtime.item", "status": "completed", **item}
        await self._say("conversation.item.created", item=whole)
        if self._dialect == "ga":
            await self._say("conversation.item.done", item=whole)

    async def _start(self, response: dict[str, Any]) -> None:
        orders = dict(re.findall(r"(\w+)=([\w.]+)", response.get("instructions") or ""))
        if "stall" in orders:
            await asyncio.sleep(float(orders["stall"]))  # nothing is read meanwhile
        self._responses += 1
        response_id = f"resp_{self._responses}"
        task = asyncio.create_task(self._respond(response_id, response.get("metadata") or {}, orders))
        self._running[response_id] = task
        task.add_done_callback(lambda _: self._running.pop(response_id, None))

    async def _respond(self, response_id: str, metadata: dict[str, str], orders: dict[str, str]) -> None:
        try:
            await self._flood(response_id, metadata, orders)
        except ConnectionClosed:
            pass
        except Exception:  # noqa: BLE001 - a fault of this file, which must not look like one of the client's
            counts["failed"] += 1
            traceback.print_exc()

    async def _flood(self, response_id: str, metadata: dict[str, str], orders: dict[str, str]) -> None:
        then = orders.get("then", "done")
        item_id = f"item_out_{response_id}"
        answer: dict[str, Any] = {"object": "realtime.response", "id": response_id, "output": []}
        item: dict[str, Any] = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        place = {"response_id": response_id, "item_id": item_id, "output_index": 0}
        begun = {**answer, "status": "in_progress", "metadata": metadata}
        await self._say("response.created", response=begun)
        await self._say("response.output_item.added", response_id=response_id, output_index=0, item=item)
        await self._add(item)
        if then == "junk":
            await self._ws.send("{not JSON", text=True)
            await self._ws.send(b"\x00\xff")
            await self._say("response.surprise.delta", **place, delta="unknown")
        await self._send_deltas(response_id, {**place, "content_index": 0}, orders)
        was_cancelled = response_id in self._cancelled
        self._cancelled.discard(response_id)
        if then == "close":
            await self._ws.close(1011, f"sent {self._sent}")
        elif then == "reset":
            self._reset()
        elif then == "vanish":
            self._ws.transport.pause_reading()
            await asyncio.sleep(_VANISHED_SECONDS)
            self._ws.transport.abort()
        elif then == "breach":
            self._ws.transport.write(_BREACH)
        else:
            status = "cancelled" if was_cancelled else "completed"
            finished = {**answer, "status": status, "metadata": {**metadata, "sent": str(self._sent)}}
            await self._say("response.done", response=finished)
            if then == "fin":
                self._ws.transport.close()

    async def _send_deltas(self, response_id: str, place: dict[str, Any], orders: dict[str, str]) -> None:
        deltas, size = int(orders.get("deltas", "0")), int(orders.get("bytes", "4800"))
        seconds = float(orders.get("seconds", "0"))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for index in range(deltas):
            ahead = began + seconds * index / deltas - loop.time()
            if ahead > _LEAST_NAP:
                await asyncio.sleep(ahead)
            if response_id in self._cancelled:
                return
            sound = numbered(self._sent, size)
            self._sent += 1
            counts["deltas"] += 1
            if "delta" in self._sabotage and counts["deltas"] % _LOSE_EVERY == 0:
                continue
            await self._say("response.audio.delta", **place, delta=base64.b64encode(sound).decode())
            if index % 4 == 3:
                await self._say("response.audio_transcript.delta", **place, delta="word ")

    def _reset(self) -> None:
        sock = self._ws.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._ws.transport.abort()


def _treatment(path: str) -> str:
    """Return the first word of the deployment's name."""
    asked = re.search(r"[?&](?:model|deployment)=(\w+)", path)
    return asked[1] if asked else "soak"


async def _at_the_door(ws: ServerConnection, request: Request) -> Response | None:
    treatment = _treatment(request.path)
    if treatment == "mute":
        await asyncio.sleep(_MUTE_SECONDS)
    refused = re.search(r"refuse-(\d+)", request.path)
    if refused is None:
        return None
    error = {"error": {"code": refused[1], "message": "Asked for by the soak."}}
    answer = ws.respond(int(refused[1]), json.dumps(error))
    answer.headers["retry-after-ms"] = "250"
    return answer


def _resident_kib() -> int:
    """Memory of this process, where the system tells; 0 elsewhere."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
    return 0


def _tell(facts: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # it has gone; standard input will say so too
        print(json.dumps(facts), flush=True)  # noqa: T201 - the other side reads it


async def _serve(sabotage: frozenset[str]) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(tls)

    async def handle(ws: ServerConnection) -> None:
        try:
            await Peer(ws, sabotage).run()
        except Exception:  # noqa: BLE001 - as in _respond
            counts["failed"] += 1
            traceback.print_exc()

    options: dict[str, Any] = {
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "close_timeout": 1,
        "process_request": _at_the_door,
    }
    async with contextlib.AsyncExitStack() as stack:
        where: dict[str, Any] = {"ca": authority.cert_pem.bytes().decode()}
        for scheme, context in (("ws", None), ("wss", tls)):
            server = await stack.enter_async_context(serve(handle, "127.0.0.1", 0, ssl=context, **options))
            for listener in server.sockets:  # what is accepted inherits it
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            where[f"{scheme}_port"] = server.sockets[0].getsockname()[1]
            emulator = stack.enter_context(Emulator(pace=50, ssl_context=context, log_limit=50))
            where[f"{scheme}_emulator_port"] = emulator.port
        _tell(where)
        await _report_until_end()
        deadline = asyncio.get_running_loop().time() + _GOODBYE_SECONDS
        while counts["open"] and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        _tell({**counts, "rss_kib": _resident_kib(), "is_final": True})


async def _report_until_end() -> None:
    """Say every second how things stand, until standard input ends."""
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not end.done():
        _tell({**counts, "rss_kib": _resident_kib()})
        await asyncio.wait([end], timeout=1.0)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="The service that the soak talks to.")
    parser.add_argument("--sabotage", default="", help="lose a delta or an append now and then")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other side, which then ends this one
    for name in ("websockets", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # clients that vanish are the point
    asyncio.run(_serve(frozenset(filter(None, arguments.sabotage.split(",")))))


if __name__ == "__main__":
    main()
