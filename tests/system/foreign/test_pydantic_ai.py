"""``pydantic-ai``: an agent's realtime session with the model for Azure, over TLS as it insists."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from foreign_service import (
    DEPLOYMENT,
    KEY,
    LONG,
    WEATHER,
    ended,
    question,
    received,
    refusals,
    respond,
    run,
    serve,
    talkative,
    within,
)
from pydantic_ai import Agent
from pydantic_ai.messages import FunctionToolResultEvent, SpeechPart, TextPart
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.realtime import (
    RealtimeInputTranscriptionErrorEvent,
    RealtimeSession,
    RealtimeSessionErrorEvent,
    RealtimeTurnCompleteEvent,
)
from pydantic_ai.realtime.azure import AzureRealtimeModel

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.foreign


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A context for a service whose certificate this process trusts."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@asynccontextmanager
async def session_of(
    service: Emulator, *, handle_barge_in: bool = False, **settings: Any
) -> AsyncIterator[RealtimeSession]:
    """A session of an agent with a tool."""
    agent = Agent(instructions="Be brief.")

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Current weather of a city."""
        return f"7 degrees in {city}"

    provider = AzureProvider.for_realtime(azure_endpoint=f"https://localhost:{service.port}", api_key=KEY)
    model = AzureRealtimeModel(DEPLOYMENT, provider=provider)
    chosen: Any = {
        "openai_turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        **settings,
    }
    async with agent.realtime(model, model_settings=chosen).session(
        handle_barge_in=handle_barge_in
    ) as session:
        yield session


async def until(session: RealtimeSession, wanted: Callable[[Any], bool]) -> list[Any]:
    """All events up to a wanted one; none may be an error."""
    heard: list[Any] = []

    async def listen() -> None:
        async for event in session:
            assert not isinstance(event, (RealtimeSessionErrorEvent, RealtimeInputTranscriptionErrorEvent)), (
                event
            )
            heard.append(event)
            if wanted(event):
                return

    await within(listen())
    return heard


def is_over(event: Any) -> bool:
    """Whether nothing more is to be expected."""
    return isinstance(event, RealtimeTurnCompleteEvent)


def said(session: RealtimeSession) -> list[str | None]:
    """What the assistant has said or written."""
    parts = [part for message in session.all_messages() for part in message.parts]
    spoken = [
        part.transcript for part in parts if isinstance(part, SpeechPart) and part.speaker == "assistant"
    ]
    return [*(part.content for part in parts if isinstance(part, TextPart)), *spoken]


def test_text_turn(tls: ssl.SSLContext) -> None:
    """A question in writing is answered in writing."""

    async def main() -> None:
        with serve(responder=respond, ssl_context=tls) as service:
            async with session_of(service, output_modality="text") as session:
                await session.send("good morning")
                await until(session, is_over)
                assert said(session) == ["Echo: good morning"]
            assert (ended(service), refusals(service)) == ([("completed", None)], [])

    run(main)


def test_voice_turn(tls: ssl.SSLContext) -> None:
    """Speech is transcribed and answered in sound."""

    async def main() -> None:
        with serve(responder=respond, recogniser=["what time is it"], ssl_context=tls) as service:
            async with session_of(service) as session:
                sound = session.stream_audio()
                for chunk in question():
                    await session.send_audio(chunk)
                await until(session, is_over)
                assert said(session) == ["Echo: what time is it"]
                assert len(await within(anext(sound))) > 0
                words = [
                    part.transcript
                    for message in session.all_messages()
                    for part in message.parts
                    if isinstance(part, SpeechPart) and part.speaker == "user"
                ]
                assert words == ["what time is it"]
            assert refusals(service) == []

    run(main)


def test_tool_turn(tls: ssl.SSLContext) -> None:
    """The agent runs the function that was called, and its result is spoken about."""

    async def main() -> None:
        with serve(responder=respond, ssl_context=tls) as service:
            async with session_of(service, output_modality="text") as session:
                await session.send(WEATHER)
                heard = await until(session, is_over)
                assert any(isinstance(event, FunctionToolResultEvent) for event in heard)
                assert said(session) == ["The tool says: 7 degrees in Oslo"]
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_users_voice(tls: ssl.SSLContext) -> None:
    """The session cuts the answer to what was taken from its stream of sound, and hears the next one."""

    async def main() -> None:
        service = serve(responder=talkative, recogniser=["wait"], pace=2, ssl_context=tls)
        with service:
            async with session_of(service, handle_barge_in=True) as session:
                sound = session.stream_audio()
                await session.send("go on")
                heard = len(await within(anext(sound)))
                await within(anext(sound))  # to ask for the second is to have played the first
                for chunk in question():
                    await session.send_audio(chunk)
                await until(session, lambda event: is_over(event) and said(session)[-1] == "Yes?")
                cut = await received(service, "conversation.item.truncate")
                assert cut["audio_end_ms"] == heard // 48
            assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
            assert len(service.sent("conversation.item.truncated")) == 1
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_program(tls: ssl.SSLContext) -> None:
    """``interrupt()`` truncates and cancels."""

    async def main() -> None:
        service = serve(responder=lambda conversation, session: LONG, pace=2, ssl_context=tls)
        with service:
            async with session_of(service) as session:
                sound = session.stream_audio()
                await session.send("go on")
                await within(anext(sound))
                await session.interrupt(played_ms=40)
                await until(session, is_over)
            assert ended(service) == [("cancelled", "client_cancelled")]
            assert [event["audio_end_ms"] for event in service.sent("conversation.item.truncated")] == [40]
            assert refusals(service) == []

    run(main)
