"""``livekit-plugins-openai``: its model for Azure, without a room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from foreign_service import (
    CHUNK,
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
from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai.realtime import RealtimeModel, RealtimeSession
from openai.types.beta.realtime.session import InputAudioTranscription, TurnDetection

from azure_rt_audio.emulator import Emulator

pytestmark = [pytest.mark.foreign, pytest.mark.anyio]

DEPLOYMENT = "my-realtime"
DETECTION = TurnDetection(
    type="server_vad", silence_duration_ms=300, create_response=True, interrupt_response=True
)


@llm.function_tool
async def get_weather(city: str) -> str:
    """Current weather of a city.

    Args:
        city: Name of the city.
    """
    return f"7 degrees in {city}"


class Talk:
    """A session, and what it has emitted."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.generations: asyncio.Queue[llm.GenerationCreatedEvent] = asyncio.Queue()
        self.speech: asyncio.Queue[llm.InputSpeechStartedEvent] = asyncio.Queue()
        self.transcripts: asyncio.Queue[llm.InputTranscriptionCompleted] = asyncio.Queue()
        self.is_configured = asyncio.Event()
        self.errors: list[Any] = []
        session.on("generation_created", self.generations.put_nowait)
        session.on("input_speech_started", self.speech.put_nowait)
        session.on("input_audio_transcription_completed", self.transcripts.put_nowait)
        session.on("openai_server_event_received", self._take)
        session.on("error", self.errors.append)

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "session.updated":
            self.is_configured.set()

    async def ask(self, text: str) -> llm.GenerationCreatedEvent:
        """Put a message into the conversation and return the answer when that begins."""
        context = self.session.chat_ctx
        context.add_message(role="user", content=text)
        await within(self.session.update_chat_ctx(context))
        self.session.generate_reply()
        return await self.generation()

    async def generation(self) -> llm.GenerationCreatedEvent:
        """The next answer, asked for or not."""
        return await within(self.generations.get())

    def push(self, chunks: list[bytes]) -> None:
        """Send sound."""
        for chunk in chunks:
            self.session.push_audio(rtc.AudioFrame(chunk, 24_000, 1, CHUNK // 2))


@asynccontextmanager
async def talk_with(service: Emulator, **settings: Any) -> AsyncIterator[Talk]:
    """A session of the model."""
    model = RealtimeModel.with_azure(
        azure_deployment=DEPLOYMENT,
        azure_endpoint=service.host_name.replace("ws", "http"),
        api_key=KEY,
        input_audio_transcription=InputAudioTranscription(model="gpt-4o-transcribe"),
        turn_detection=DETECTION,
        **settings,
    )
    talk = Talk(model.session())
    try:
        await within(talk.is_configured.wait())  # livekit gives what follows five seconds
        await talk.session.update_instructions("Be brief.")
        yield talk
    finally:
        await talk.session.aclose()
        await model.aclose()
    assert talk.errors == []


async def heard(generation: llm.GenerationCreatedEvent) -> tuple[str, int]:
    """The words of an answer, and the samples of its sound."""

    async def listen() -> tuple[str, int]:
        text, samples = "", 0
        async for message in generation.message_stream:
            async for words in message.text_stream:
                text += words
            async for frame in message.audio_stream:
                samples += frame.samples_per_channel
        return text, samples

    return await within(listen())


async def playing(generation: llm.GenerationCreatedEvent) -> llm.MessageGeneration:
    """The message of an answer, when its sound begins."""
    message = await within(anext(aiter(generation.message_stream)))
    await within(anext(aiter(message.audio_stream)))
    return message


async def test_text_turn(serve: Serve) -> None:
    """A question in writing is answered in writing."""
    with serve(responder=respond) as service:
        async with talk_with(service, modalities=["text"]) as talk:
            answer = await heard(await talk.ask("good morning"))

        assert answer == ("Echo: good morning", 0)
        assert (ended(service), refusals(service)) == ([("completed", None)], [])


async def test_voice_turn(serve: Serve) -> None:
    """Speech is transcribed and answered in sound."""
    with serve(responder=respond, recogniser=["what time is it"]) as service:
        async with talk_with(service) as talk:
            talk.push([*speech(), *silence()])
            text, samples = await heard(await talk.generation())
            while not (user := await within(talk.transcripts.get())).is_final:
                pass

        assert (user.transcript, text) == ("what time is it", "Echo: what time is it")
        assert samples > 12_000
        assert refusals(service) == []


async def test_tool_turn(serve: Serve) -> None:
    """A function is called, its result goes back as an item, and is told."""
    with serve(responder=respond) as service:
        async with talk_with(service, modalities=["text"]) as talk:
            await talk.session.update_tools([get_weather])
            call = await within(anext(aiter((await talk.ask(WEATHER)).function_stream)))
            output = llm.FunctionCallOutput(call_id=call.call_id, output="7 degrees", is_error=False)
            context = talk.session.chat_ctx
            context.items.append(output)
            await within(talk.session.update_chat_ctx(context))
            text, _ = await heard(await within(talk.session.generate_reply()))

        assert (call.name, call.arguments) == ("get_weather", '{  \n "city": "Oslo" \n} \n')
        assert text == "The tool says: 7 degrees"
        assert refusals(service) == []


async def test_interruption_by_voice(serve: Serve) -> None:
    """The client learns that the user speaks, cuts the answer to what was played, and hears the next one."""
    with serve(responder=interrupted, recogniser=["wait"], pace=2) as service:
        async with talk_with(service) as talk:
            message = await playing(await talk.ask("go on"))
            talk.push(speech())
            await within(talk.speech.get())
            item = message.message_id
            talk.session.truncate(message_id=item, modalities=["audio", "text"], audio_end_ms=60)
            await received(service, "conversation.item.truncate")
            talk.push(silence())
            text, _ = await heard(await talk.generation())

        assert text == "Yes?"
        assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
        assert cuts(service) == [(item, 60)]
        assert refusals(service) == []


async def test_interruption_by_the_program(serve: Serve) -> None:
    """What was not played is cut off; ``interrupt()`` cancels the answer and ends its streams."""
    with serve(responder=lambda conversation, session: LONG, pace=2) as service:
        async with talk_with(service) as talk:
            generation = await talk.ask("go on")
            item = (await playing(generation)).message_id
            talk.session.truncate(message_id=item, modalities=["audio", "text"], audio_end_ms=40)
            talk.session.interrupt()
            assert await within(anext(aiter(generation.message_stream), None)) is None

        assert ended(service) == [("cancelled", "client_cancelled")]
        assert cuts(service) == [(item, 40)]
        assert refusals(service) == []
