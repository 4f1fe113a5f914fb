"""``openai-agents``: a realtime agent with its tools, its interruption and its account of what was played."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner, RealtimeSession
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

from azure_rt_audio.emulator import Emulator

pytestmark = [pytest.mark.foreign, pytest.mark.anyio]


@function_tool
def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"7 degrees in {city}"


@asynccontextmanager
async def session_with(
    service: Emulator,
    tracker: RealtimePlaybackTracker | None = None,
    *,
    interrupts: bool = True,
    **settings: Any,
) -> AsyncIterator[RealtimeSession]:
    """A session of an agent with a tool."""
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Guide", instructions="Be brief.", tools=[get_weather])
    detection = {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": interrupts}
    config: Any = {
        "url": service.url(),
        "headers": {"api-key": KEY},
        "initial_model_settings": {
            "input_audio_transcription": {"model": "gpt-4o-transcribe"},
            "turn_detection": detection,
            **settings,
        },
        **({"playback_tracker": tracker} if tracker is not None else {}),
    }
    async with await RealtimeRunner(agent).run(model_config=config) as session:
        yield session


async def until(session: RealtimeSession, is_enough: Callable[[list[Any]], bool]) -> list[Any]:
    """All events until there are enough; none may be an error."""
    heard: list[Any] = []

    async def listen() -> None:
        async for event in session:
            heard.append(event)
            kinds = (event.type, event.data.type if event.type == "raw_model_event" else None)
            assert not {"error", "exception"}.intersection(kinds), event
            if is_enough(heard):
                return

    await within(listen())
    return heard


def is_playing(heard: list[Any]) -> bool:
    """Whether sound has come."""
    return bool(heard[-1].type == "audio")


def is_over(heard: list[Any]) -> bool:
    """Whether the agent's turn has ended."""
    return bool(heard[-1].type == "agent_end")


def of_model(events: list[Any], *kinds: str) -> list[Any]:
    """The events of the model below, of some kinds."""
    found = [event.data for event in events if event.type == "raw_model_event"]
    return [data for data in found if data.type in kinds]


def words(events: list[Any]) -> str:
    """What was said or written."""
    return "".join(data.delta for data in of_model(events, "transcript_delta", "output_text_delta"))


async def test_text_turn(serve: Serve) -> None:
    """A question in writing is answered in writing."""
    with serve(responder=respond) as service:
        async with session_with(service, modalities=["text"]) as session:
            await session.send_message("good morning")
            heard = await until(session, is_over)

        assert words(heard) == "Echo: good morning"
        assert (ended(service), refusals(service)) == ([("completed", None)], [])


async def test_voice_turn(serve: Serve) -> None:
    """Speech is transcribed and answered in sound."""
    with serve(responder=respond, recogniser=["what time is it"]) as service:
        async with session_with(service) as session:
            for chunk in (*speech(), *silence()):
                await session.send_audio(chunk)
            heard = await until(session, is_over)

        transcripts = of_model(heard, "input_audio_transcription_completed")
        assert [one.transcript for one in transcripts] == ["what time is it"]
        assert words(heard) == "Echo: what time is it"
        assert sum(len(event.audio.data) for event in heard if event.type == "audio") > 24_000
        assert refusals(service) == []


async def test_tool_turn(serve: Serve) -> None:
    """The agent runs the function that was called, and its result is told."""
    with serve(responder=respond) as service:
        async with session_with(service, modalities=["text"]) as session:
            await session.send_message(WEATHER)
            heard = await until(session, lambda heard: is_over(heard) and words(heard) != "")

        assert [event.output for event in heard if event.type == "tool_end"] == ["7 degrees in Oslo"]
        assert words(heard) == "The tool says: 7 degrees in Oslo"
        assert refusals(service) == []


async def test_interruption_by_voice(serve: Serve) -> None:
    """The agent stops playing, cuts the answer to what was played, and hears the next one."""
    tracker = RealtimePlaybackTracker()
    with serve(responder=interrupted, recogniser=["wait"], pace=2) as service:
        async with session_with(service, tracker) as session:
            await session.send_message("go on")
            begun = (await until(session, is_playing))[-1]
            tracker.on_play_ms(begun.item_id, begun.content_index, 60)
            for chunk in speech():
                await session.send_audio(chunk)
            await until(session, lambda heard: bool(heard[-1].type == "audio_interrupted"))
            await received(service, "conversation.item.truncate")
            for chunk in silence():
                await session.send_audio(chunk)
            await until(session, lambda heard: is_over(heard) and words(heard).endswith("Yes?"))

        assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
        assert cuts(service) == [(begun.item_id, 60)]
        assert refusals(service) == []


async def test_interruption_by_the_program(serve: Serve) -> None:
    """``interrupt()`` truncates, and cancels where the service does not by itself."""
    tracker = RealtimePlaybackTracker()
    with serve(responder=lambda conversation, session: LONG, pace=2) as service:
        async with session_with(service, tracker, interrupts=False) as session:
            await session.send_message("go on")
            begun = (await until(session, is_playing))[-1]
            tracker.on_play_ms(begun.item_id, begun.content_index, 40)
            await session.interrupt()
            await until(session, is_over)

        assert ended(service) == [("cancelled", "client_cancelled")]
        assert cuts(service) == [(begun.item_id, 40)]
        assert refusals(service) == []
