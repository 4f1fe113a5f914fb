"""``livekit-plugins-openai``: its model for Azure, without a room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from foreign_service import (
    CHUNK,
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
from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai.realtime import RealtimeModel, RealtimeSession
from openai.types.beta.realtime.session import InputAudioTranscription, TurnDetection

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.foreign


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
        self.errors: list[Any] = []
        session.on("generation_created", self.generations.put_nowait)
        session.on("input_speech_started", self.speech.put_nowait)
        session.on("input_audio_transcription_completed", self.transcripts.put_nowait)
        session.on("error", self.errors.append)

    async def say(self, text: str) -> llm.GenerationCreatedEvent:
        """A message in writing, and its answer when that begins."""
        context = self.session.chat_ctx
        context.add_message(role="user", content=text)
        await within(self.session.update_chat_ctx(context))
        return await within(self.session.generate_reply())

    def speak(self) -> None:
        """A spoken question."""
        for chunk in question():
            self.session.push_audio(rtc.AudioFrame(chunk, 24_000, 1, CHUNK // 2))


@asynccontextmanager
async def talk_with(service: Emulator, **settings: Any) -> AsyncIterator[Talk]:
    """A session of the model."""
    model = RealtimeModel.with_azure(
        azure_deployment=DEPLOYMENT,
        azure_endpoint=f"http://127.0.0.1:{service.port}",
        api_key=KEY,
        input_audio_transcription=InputAudioTranscription(model="gpt-4o-transcribe"),
        turn_detection=TurnDetection(
            type="server_vad", silence_duration_ms=300, create_response=True, interrupt_response=True
        ),
        **settings,
    )
    session = model.session()
    talk = Talk(session)
    try:
        await session.update_instructions("Be brief.")
        yield talk
    finally:
        await session.aclose()
        await model.aclose()
    assert talk.errors == []


async def heard(generation: llm.GenerationCreatedEvent) -> tuple[str, int, str]:
    """The words of a generation, the samples of its sound and the id of its message."""

    async def listen() -> tuple[str, int, str]:
        text, samples, item = "", 0, ""
        async for message in generation.message_stream:
            item = message.message_id
            async for words in message.text_stream:
                text += words
            async for frame in message.audio_stream:
                samples += frame.samples_per_channel
        return text, samples, item

    return await within(listen())


def test_text_turn() -> None:
    """A question in writing is answered in writing."""

    async def main() -> None:
        with serve(responder=respond) as service:
            async with talk_with(service, modalities=["text"]) as talk:
                text, samples, _ = await heard(await talk.say("good morning"))
                assert (text, samples) == ("Echo: good morning", 0)
            assert (ended(service), refusals(service)) == ([("completed", None)], [])

    run(main)


def test_voice_turn() -> None:
    """Speech is transcribed and answered in sound."""

    async def main() -> None:
        with serve(responder=respond, recogniser=["what time is it"]) as service:
            async with talk_with(service) as talk:
                talk.speak()
                text, samples, _ = await heard(await within(talk.generations.get()))
                assert text == "Echo: what time is it"
                assert samples > 12_000
                while not (words := await within(talk.transcripts.get())).is_final:
                    pass
                assert words.transcript == "what time is it"
            assert refusals(service) == []

    run(main)


def test_tool_turn() -> None:
    """A function is called, its result goes back as an item, and is spoken about."""

    async def main() -> None:
        with serve(responder=respond) as service:
            async with talk_with(service, modalities=["text"]) as talk:
                await talk.session.update_tools([get_weather])
                generation = await talk.say(WEATHER)
                call = await within(anext(aiter(generation.function_stream)))
                assert (call.name, call.arguments) == ("get_weather", '{  \n "city": "Oslo" \n} \n')
                context = talk.session.chat_ctx
                context.items.append(
                    llm.FunctionCallOutput(call_id=call.call_id, output="7 degrees", is_error=False)
                )
                await within(talk.session.update_chat_ctx(context))
                text, _, _ = await heard(await within(talk.session.generate_reply()))
                assert text == "The tool says: 7 degrees"
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_users_voice() -> None:
    """The client is told that the user speaks, cuts the answer to what was played, and hears the next one."""

    async def main() -> None:
        with serve(responder=talkative, recogniser=["wait"], pace=2) as service:
            async with talk_with(service) as talk:
                generation = await talk.say("go on")
                await within(talk.generations.get())
                message = await within(anext(aiter(generation.message_stream)))
                await within(anext(aiter(message.audio_stream)))
                talk.speak()
                await within(talk.speech.get())
                talk.session.truncate(
                    message_id=message.message_id, modalities=["audio", "text"], audio_end_ms=60
                )
                await received(service, "conversation.item.truncate")
                text, _, _ = await heard(await within(talk.generations.get()))
                assert text == "Yes?"
            assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
            assert [e["audio_end_ms"] for e in service.sent("conversation.item.truncated")] == [60]
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_program() -> None:
    """``interrupt()`` cancels the answer and ends its streams."""

    async def main() -> None:
        with serve(responder=lambda conversation, session: LONG, pace=2) as service:
            async with talk_with(service) as talk:
                generation = await talk.say("go on")
                message = await within(anext(aiter(generation.message_stream)))
                await within(anext(aiter(message.audio_stream)))
                talk.session.interrupt()
                assert await within(anext(aiter(generation.message_stream), None)) is None
            assert ended(service) == [("cancelled", "client_cancelled")]
            assert refusals(service) == []

    run(main)
