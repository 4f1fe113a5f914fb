"""
Who is compared: each does three things, in the way its documentation tells its users to.

A contestant is opened on a service, and then asked to receive a flood to its last event, to send chunks of
audio until the service has them all, and to go round trips. Whoever asks takes the time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, Final, Protocol, TypeVar

from attrs import frozen
from floors import Floor, TwoThreadFloor
from service import HANG_SECONDS, Service, expect

__all__ = ["CONTESTANTS", "PEERS", "Contestant", "Entry"]

T = TypeVar("T")

_AUDIO: Final = "response.output_audio.delta"
_TRANSCRIPT: Final = "response.output_audio_transcript.delta"


class Contestant(Protocol):
    """A client with an open connection."""

    def receive(self) -> None:
        """Ask for a response and take all of its events."""

    def send(self, pcm: bytes, chunks: int) -> None:
        """Send the same audio so many times, and return when the service has it."""

    def round_trips(self, count: int) -> list[float]:
        """Ask and be answered so many times, one after the other; return the seconds of each."""

    def close(self) -> None:
        """End the connection."""


class _Ours:
    """
    This library. Listeners count; the round trip is from the call to the end of a listener, which releases
    a ``threading.Lock`` that the caller waits for.
    """

    def __init__(self, service: Service, dispatcher: Any = None) -> None:
        from azure_rt_audio import AzureRealTimeAudio, WebSocketOptions

        self._expected = service.events
        self._seen = 0
        self._committed = ""
        self._happened = threading.Lock()
        self._happened.acquire()
        options = {
            "host_name": f"{service.scheme}://{service.netloc}",
            "deployment": service.model,
            "api_key": "k",
        }
        web = WebSocketOptions(ssl_context=service.tls())
        self._client = AzureRealTimeAudio(options, web, dispatcher=dispatcher)
        self._client.on("response.output_audio.delta", self._count)
        self._client.on("response.output_audio_transcript.delta", self._count)
        self._client.on("response.done", lambda _: self._happened.release())
        self._client.on("input_audio_buffer.cleared", lambda _: self._happened.release())
        self._client.on("input_audio_buffer.committed", self._on_committed)
        self._client.wait_until_ready()

    def _count(self, event: Any) -> None:
        if event.delta:
            self._seen += 1

    def _on_committed(self, event: Any) -> None:
        self._committed = event.item_id
        self._happened.release()

    def _wait(self) -> None:
        if not self._happened.acquire(timeout=HANG_SECONDS):
            raise TimeoutError(f"{self._client!r} did not hear from the service")

    def receive(self) -> None:
        self._seen = 0
        self._client.create_response()
        self._wait()
        expect("events", self._expected, self._seen)

    def send(self, pcm: bytes, chunks: int) -> None:
        for _ in range(chunks):
            self._client.append_audio(pcm)
        self._client.commit_audio()
        self._wait()
        expect("appends", f"item_{chunks}", self._committed)

    def round_trips(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self._client.clear_audio_buffer()
            self._wait()
            took.append(time.perf_counter() - began)
        return took

    def listen_elsewhere(self, count: int) -> None:
        """Add listeners of events that do not come."""
        names = ("response.output_text.delta", "conversation.item.added", "rate_limits.updated", "error")
        for number in range(count):
            self._client.on(names[number % len(names)], self._count)

    def close(self) -> None:
        self._client.close()


def _ours_inline(service: Service) -> Contestant:
    from azure_rt_audio import InlineDispatcher

    return _Ours(service, InlineDispatcher())


class _OpenAI:
    """The ``openai`` package's synchronous client: iterate, or ``recv``, on the thread that sends."""

    def __init__(self, service: Service) -> None:
        from openai import OpenAI

        self._expected = service.events
        self._stack = ExitStack()
        base_url = f"{service.http_scheme}://{service.netloc}/openai/v1"
        client = self._stack.enter_context(OpenAI(api_key="k", base_url=base_url))
        options: dict[str, Any] = {}
        if (tls := service.tls()) is not None:
            options["ssl"] = tls
        manager = client.realtime.connect(model=service.model, websocket_connection_options=options)  # type: ignore[arg-type]
        self._connection = self._stack.enter_context(manager)
        expect("greeting", "session.created", self._connection.recv().type)
        self._connection.session.update(session={"type": "realtime"})
        expect("answer", "session.updated", self._connection.recv().type)

    def receive(self) -> None:
        seen = 0
        self._connection.response.create()
        for event in self._connection:
            if event.type == _AUDIO or event.type == _TRANSCRIPT:
                seen += 1 if event.delta else 0
            elif event.type == "response.done":
                break
        expect("events", self._expected, seen)

    def send(self, pcm: bytes, chunks: int) -> None:
        connection = self._connection
        for _ in range(chunks):
            connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        connection.input_audio_buffer.commit()
        event = connection.recv()
        expect("answer", "input_audio_buffer.committed", event.type)
        expect("appends", f"item_{chunks}", getattr(event, "item_id", None))

    def round_trips(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self._connection.input_audio_buffer.clear()
            event = self._connection.recv()
            took.append(time.perf_counter() - began)
            expect("answer", "input_audio_buffer.cleared", event.type)
        return took

    def close(self) -> None:
        self._stack.close()


class _VoiceLive:
    """``azure-ai-voicelive``, which exists for asyncio only: everything on one event loop."""

    def __init__(self, service: Service) -> None:
        self._expected = service.events
        self._loop = asyncio.new_event_loop()
        self._run(self._open(service))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, HANG_SECONDS))

    async def _open(self, service: Service) -> None:
        from azure.ai.voicelive.aio import connect
        from azure.core.credentials import AzureKeyCredential

        tls = service.tls()
        self._manager = connect(
            credential=AzureKeyCredential("k"),
            endpoint=f"{service.http_scheme}://{service.netloc}",
            model=service.model,
            connection_options={} if tls is None else {"vendor_options": {"ssl": tls}},
        )
        self._connection: Any = await self._manager.__aenter__()
        expect("greeting", "session.created", (await self._connection.recv()).type)
        await self._connection.session.update(session={"modalities": ["text", "audio"]})
        expect("answer", "session.updated", (await self._connection.recv()).type)

    def receive(self) -> None:
        self._run(self._receive())

    async def _receive(self) -> None:
        from azure.ai.voicelive.models import ServerEventType

        deltas = (ServerEventType.RESPONSE_AUDIO_DELTA, ServerEventType.RESPONSE_AUDIO_TRANSCRIPT_DELTA)
        seen = 0
        await self._connection.response.create()
        async for event in self._connection:
            if event.type in deltas:
                seen += 1 if event.delta else 0
            elif event.type == ServerEventType.RESPONSE_DONE:
                break
        expect("events", self._expected, seen)

    def send(self, pcm: bytes, chunks: int) -> None:
        self._run(self._send(pcm, chunks))

    async def _send(self, pcm: bytes, chunks: int) -> None:
        connection = self._connection
        for _ in range(chunks):
            await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await connection.input_audio_buffer.commit()
        event = await connection.recv()
        expect("answer", "input_audio_buffer.committed", event.type)
        expect("appends", f"item_{chunks}", event.item_id)

    def round_trips(self, count: int) -> list[float]:
        return self._run(self._round_trips(count))

    async def _round_trips(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await self._connection.input_audio_buffer.clear()
            event = await self._connection.recv()
            took.append(time.perf_counter() - began)
            expect("answer", "input_audio_buffer.cleared", event.type)
        return took

    def close(self) -> None:
        self._run(self._manager.__aexit__(None, None, None))
        self._loop.close()


class _WebSocketClient:
    """websocket-client and ``json``: what one writes without a library for the API."""

    def __init__(self, service: Service, **options: Any) -> None:
        import websocket

        self._expected = service.events
        self._socket = websocket.create_connection(
            f"{service.scheme}://{service.netloc}/openai/v1/realtime?model={service.model}",
            header=["api-key: k"],
            sslopt={"ca_certs": service.authority_file},
            **options,
        )
        self._expect("session.created")
        self._send({"type": "session.update", "session": {"type": "realtime"}})
        self._expect("session.updated")

    def _send(self, command: Mapping[str, object]) -> None:
        self._socket.send(json.dumps(command))

    def _expect(self, kind: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._socket.recv())
        expect("answer", kind, event["type"])
        return event

    def receive(self) -> None:
        seen = 0
        self._send({"type": "response.create"})
        while True:
            event = json.loads(self._socket.recv())
            kind = event["type"]
            if kind in (_AUDIO, _TRANSCRIPT):
                seen += 1 if event["delta"] else 0
            elif kind == "response.done":
                break
        expect("events", self._expected, seen)

    def send(self, pcm: bytes, chunks: int) -> None:
        for _ in range(chunks):
            audio = base64.b64encode(pcm).decode()
            self._send({"type": "input_audio_buffer.append", "audio": audio})
        self._send({"type": "input_audio_buffer.commit"})
        expect("appends", f"item_{chunks}", self._expect("input_audio_buffer.committed")["item_id"])

    def round_trips(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self._send({"type": "input_audio_buffer.clear"})
            self._expect("input_audio_buffer.cleared")
            took.append(time.perf_counter() - began)
        return took

    def close(self) -> None:
        self._socket.close(timeout=1)


def _websocket_client_tuned(service: Service) -> Contestant:
    return _WebSocketClient(service, skip_utf8_validation=True)


@frozen
class Entry:
    """
    A line of the table.

    Attributes:
        name: In the table.
        open: Connects, and returns when the session is ready.
        package: What must be installed for it.
        measures: Which of the three it takes part in.
    """

    name: str
    open: Callable[[Service], Contestant]
    package: str | None = None
    measures: tuple[str, ...] = ("receive", "send_100", "send_20", "round_trip")

    @property
    def is_installed(self) -> bool:
        """Whether it can take part."""
        try:
            return self.package is None or find_spec(self.package) is not None
        except ModuleNotFoundError:  # of the parent package
            return False


CONTESTANTS: Final[Mapping[str, Entry]] = {
    "default": Entry("azure_rt_audio", _Ours),
    "inline": Entry("azure_rt_audio, inline", _ours_inline),
    "openai": Entry("openai, synchronous", _OpenAI, "openai"),
    "voicelive": Entry("azure-ai-voicelive", _VoiceLive, "azure.ai.voicelive"),
    "websocket": Entry("websocket-client + json", _WebSocketClient, "websocket"),
    "tuned": Entry("the same, UTF-8 unchecked", _websocket_client_tuned, "websocket"),
    "floor": Entry("raw socket", Floor),
    "floor2": Entry("raw socket, two threads", TwoThreadFloor, measures=("round_trip",)),
}
"""In the order of the table."""

PEERS: Final = ("openai", "voicelive", "websocket")
"""Those that the goals are measured against."""
