"""
A cheap service in a process of its own, which can be stopped, killed, and run elsewhere in the network.

``python close_service.py HOST [PEM]`` prints its port and serves until its standard input ends. What it does
with a client is the model that the client asks for: ``calm`` greets, answers pings and acknowledges that the
input buffer is cleared; ``talks`` says something every 50 ms as well, ``floods`` without a pause, ``deaf``
talks now and then and reads nothing; ``closes`` says goodbye and ``drops`` cuts the line at the first
command; ``refuses`` and ``hangs``, which never answers, do not let anybody in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

HANG = 10.0
"""Seconds after which a process that does not end counts as hung."""

SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "calm"}
GREETING = [
    json.dumps({"type": f"session.{what}", "event_id": f"event_{what}", "session": SESSION})
    for what in ("created", "updated")
]
WORDS = json.dumps({"type": "response.hologram.delta", "event_id": "event_words", "delta": "x" * 400})
CLEARED = json.dumps({"type": "input_audio_buffer.cleared", "event_id": "event_cleared"})


class Service:
    """
    The service as its user sees it.

    Args:
        host: Where it listens.
        pem: File with its certificate and key, for ``wss``.
        within: A command that runs another one somewhere else, such as in a network namespace.
    """

    def __init__(
        self, host: str = "127.0.0.1", *, pem: Path | None = None, within: Sequence[str] = ()
    ) -> None:
        self._host = host
        self._pem = pem
        self._within = within

    def __enter__(self) -> Service:
        pem = [] if self._pem is None else [str(self._pem)]
        self.process = subprocess.Popen(
            [*self._within, sys.executable, __file__, self._host, *pem],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on()
        self.process.kill()
        self.process.communicate(timeout=HANG)

    def options(self, model: str = "calm") -> dict[str, Any]:
        """Return what a client needs to meet the behaviour of that name."""
        scheme = "ws" if self._pem is None else "wss"
        return {
            "host_name": f"{scheme}://{self._host}:{self.port}",
            "deployment": model,
            "api_key": "close-key",
        }

    def freeze(self) -> None:
        """Stop the process where it stands; its connections stay, and the system answers for its TCP."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self.process.send_signal(signal.SIGCONT)


async def _meet(peer: Any) -> None:
    """Serve one client as its model says."""
    from websockets.exceptions import ConnectionClosed

    model = _model(peer.request.path)
    with contextlib.suppress(ConnectionClosed):
        for greeting in GREETING:
            await peer.send(greeting)
        talking = {"talks": 0.05, "deaf": 0.25, "floods": 0.0}.get(model)
        if talking is not None:
            speaker = asyncio.create_task(_talk(peer, talking))
        if model == "deaf":
            await speaker
        async for command in peer:
            if model == "closes":
                await peer.close(1001, "enough")
            elif model == "drops":
                peer.transport.abort()
            elif len(command) < 200 and "input_audio_buffer.clear" in command:
                await peer.send(CLEARED)


async def _talk(peer: Any, pause: float) -> None:
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):
        while True:
            await peer.send(WORDS)
            await asyncio.sleep(pause)


async def _at_the_door(peer: Any, request: Any) -> Any:
    model = _model(request.path)
    if model == "refuses":
        return peer.respond(HTTPStatus.UNAUTHORIZED, "{}")
    if model == "hangs":
        await peer.wait_closed()
    return None


def _model(path: str) -> str:
    query = parse_qs(urlsplit(path).query)
    return (query.get("model") or query.get("deployment") or ["calm"])[0]


async def _serve(host: str, pem: str | None) -> None:
    from websockets.asyncio.server import serve

    context = None
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
    async with serve(
        _meet,
        host,
        0,
        ssl=context,
        process_request=_at_the_door,
        compression=None,
        ping_interval=None,
        open_timeout=60,
        close_timeout=1,
        max_size=None,
        max_queue=1,
    ) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)  # clients that leave in mid-handshake are its daily bread
    asyncio.run(_serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
