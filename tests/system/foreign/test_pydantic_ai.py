"""``pydantic-ai``: an agent's realtime session with the model for Azure, over TLS, on which that insists."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from foreign_service import (
    KEY,
    LONG,
    WEATHER,
    Serve,
    cuts,
    ended,
    interrupted,
    received,
    refusals,
    respond,
    silence,
    speech,
    within,
)
from pydantic_ai import Agent
from pydantic_ai.messages import FunctionToolResultEvent, SpeechPart, TextPart
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.realtime import (
    RealtimeInputSpeechStartEvent,
    RealtimeInputTranscriptionErrorEvent,
    RealtimeSession,
    RealtimeSessionErrorEvent,
    RealtimeTurnCompleteEvent,
)
from pydantic_ai.realtime.azure import AzureRealtimeModel

from azure_rt_audio.emulator import Emulator

pytestmark = [pytest.mark.foreign, pytest.mark.anyio]


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A context for a service whose certificate this process trusts."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def serve_tls(serve: Serve, tls: ssl.SSLContext) -> Serve:
    """Makes services behind TLS."""
    return functools.partial(serve, ssl_context=tls)


@asynccontextmanager
async def session_with(
    service: Emulator, *, handle_barge_in: bool = False, **settings: Any
) -> AsyncIterator[RealtimeSession]:
    """A session of an agent with a tool."""
    agent = Agent(instructions="Be brief.")

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Current weather of a city."""
        return f"7 degrees in {city}"

    endpoint = service.host_name.replace("wss", "https")
    provider = AzureProvider.for_realtime(azure_endpoint=endpoint, api_key=KEY)
    model = AzureRealtimeModel("gpt-realtime", provider=provider)
    chosen: Any = {"openai_turn_detection": {"type": "server_vad", "silence_duration_ms": 300}, **settings}
    async with agent.realtime(model, model_settings=chosen).session(
        handle_barge_in=handle_barge_in
    ) as session:
        yield session


async def until(session: RealtimeSession, wanted: Callable[[Any], bool]) -> list[Any]:
    """All events up to a wanted one; none may be an error."""
    heard: list[Any] = []
    errors = (RealtimeSessionErrorEvent, RealtimeInputTranscriptionErrorEvent)

    async def listen() -> None:
        async for event in session:
            assert not isinstance(event, errors), event
            heard.append(event)
            if wanted(event):
                return

    await within(listen())
    return heard


def is_over(event: Any) -> bool:
    """Whether nothing more is to be expected."""
    return isinstance(event, RealtimeTurnCompleteEvent)


def words(session: RealtimeSession, speaker: str) -> list[str | None]:
    """What someone has said, or the assistant has written."""
    parts = [part for message in session.all_messages() for part in message.parts]
    return [
        part.content if isinstance(part, TextPart) else part.transcript
        for part in parts
        if (isinstance(part, SpeechPart) and part.speaker == speaker)
        or (isinstance(part, TextPart) and speaker == "assistant")
    ]


async def test_text_turn(serve_tls: Serve) -> None:
    """A question in writing is answered in writing."""
    with serve_tls(responder=respond) as service:
        async with session_with(service, output_modality="text") as session:
            await session.send("good morning")
            await until(session, is_over)

        assert words(session, "assistant") == ["Echo: good morning"]
        assert (ended(service), refusals(service)) == ([("completed", None)], [])


async def test_voice_turn(serve_tls: Serve) -> None:
    """Speech is transcribed and answered in sound."""
    with serve_tls(responder=respond, recogniser=["what time is it"]) as service:
        async with session_with(service) as session:
            sound = session.stream_audio()
            for chunk in (*speech(), *silence()):
                await session.send_audio(chunk)
            await until(session, is_over)
            first = await within(anext(sound))

        assert words(session, "user") == ["what time is it"]
        assert words(session, "assistant") == ["Echo: what time is it"]
        assert len(first) > 0
        assert refusals(service) == []


async def test_tool_turn(serve_tls: Serve) -> None:
    """The agent runs the function that was called, and its result is told."""
    with serve_tls(responder=respond) as service:
        async with session_with(service, output_modality="text") as session:
            await session.send(WEATHER)
            heard = await until(session, is_over)

        assert any(isinstance(event, FunctionToolResultEvent) for event in heard)
        assert words(session, "assistant") == ["The tool says: 7 degrees in Oslo"]
        assert refusals(service) == []


async def test_interruption_by_voice(serve_tls: Serve) -> None:
    """The session cuts the answer to what was taken from its stream of sound, and hears the next one."""
    with serve_tls(responder=interrupted, recogniser=["wait"], pace=2) as service:
        async with session_with(service, handle_barge_in=True) as session:
            sound = session.stream_audio()
            await session.send("go on")
            played = len(await within(anext(sound)))
            await within(anext(sound))  # to ask for the second is to have played the first
            for chunk in speech():
                await session.send_audio(chunk)
            await until(session, lambda event: isinstance(event, RealtimeInputSpeechStartEvent))
            await received(service, "conversation.item.truncate")
            for chunk in silence():
                await session.send_audio(chunk)
            await until(session, lambda event: is_over(event) and words(session, "assistant")[-1] == "Yes?")

        assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
        assert [end_ms for _, end_ms in cuts(service)] == [played // 48]
        assert refusals(service) == []


async def test_interruption_by_the_program(serve_tls: Serve) -> None:
    """``interrupt()`` truncates and cancels."""
    with serve_tls(responder=lambda conversation, session: LONG, pace=2) as service:
        async with session_with(service) as session:
            sound = session.stream_audio()
            await session.send("go on")
            await within(anext(sound))
            await session.interrupt(played_ms=40)
            await until(session, is_over)

        assert ended(service) == [("cancelled", "client_cancelled")]
        assert [end_ms for _, end_ms in cuts(service)] == [40]
        assert refusals(service) == []
