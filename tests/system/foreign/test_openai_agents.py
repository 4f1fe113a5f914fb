"""``openai-agents``: a realtime agent, with its tools, its interruption and its account of what was played."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner, RealtimeSession
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

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.foreign


@function_tool
def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"7 degrees in {city}"


@asynccontextmanager
async def session_of(
    service: Emulator, tracker: RealtimePlaybackTracker | None = None, **settings: Any
) -> AsyncIterator[RealtimeSession]:
    """A session of an agent with a tool."""
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Guide", instructions="Be brief.", tools=[get_weather])
    config: dict[str, Any] = {
        "url": service.url(),
        "headers": {"api-key": KEY},
        "initial_model_settings": {
            "model_name": DEPLOYMENT,
            "voice": "ash",
            "input_audio_transcription": {"model": "gpt-4o-transcribe"},
            "turn_detection": {
                "type": "server_vad",
                "silence_duration_ms": 300,
                "interrupt_response": True,
            },
            **settings,
        },
    }
    if tracker is not None:
        config["playback_tracker"] = tracker
    async with await RealtimeRunner(agent).run(model_config=config) as session:  # type: ignore[arg-type]
        yield session


async def until(session: RealtimeSession, wanted: Callable[[Any], bool]) -> list[Any]:
    """All events up to a wanted one; none may be an error."""
    heard: list[Any] = []

    async def listen() -> None:
        async for event in session:
            heard.append(event)
            assert event.type != "error", event
            if event.type == "raw_model_event":
                assert event.data.type not in ("error", "exception"), event.data
            if wanted(event):
                return

    await within(listen())
    return heard


def is_over(event: Any) -> bool:
    """Whether the agent's turn has ended."""
    return bool(event.type == "agent_end")


def transcript(events: list[Any]) -> str:
    """What was said or written."""
    kinds = ("transcript_delta", "output_text_delta")
    raw = [event.data for event in events if event.type == "raw_model_event"]
    return "".join(data.delta for data in raw if data.type in kinds)


def test_text_turn() -> None:
    """A question in writing is answered in writing."""

    async def main() -> None:
        with serve(responder=respond) as service:
            async with session_of(service, modalities=["text"]) as session:
                await session.send_message("good morning")
                heard = await until(session, is_over)
                assert transcript(heard) == "Echo: good morning"
            assert (ended(service), refusals(service)) == ([("completed", None)], [])

    run(main)


def test_voice_turn() -> None:
    """Speech is transcribed and answered in sound."""

    async def main() -> None:
        with serve(responder=respond, recogniser=["what time is it"]) as service:
            async with session_of(service) as session:
                for chunk in question():
                    await session.send_audio(chunk)
                heard = await until(session, is_over)
                sound = b"".join(event.audio.data for event in heard if event.type == "audio")
                words = [
                    event.data.transcript
                    for event in heard
                    if event.type == "raw_model_event"
                    and event.data.type == "input_audio_transcription_completed"
                ]
                assert words == ["what time is it"]
                assert transcript(heard) == "Echo: what time is it"
                assert len(sound) > 24_000
            assert refusals(service) == []

    run(main)


def test_tool_turn() -> None:
    """The agent runs the function that was called, and its result is spoken about."""

    async def main() -> None:
        with serve(responder=respond) as service:
            async with session_of(service, modalities=["text"]) as session:
                await session.send_message(WEATHER)
                heard = await until(session, lambda event: event.type == "tool_end")
                assert heard[-1].output == "7 degrees in Oslo"
                heard = await until(session, lambda event: bool(transcript([event]).endswith("Oslo")))
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_users_voice() -> None:
    """The agent stops playing, cuts the answer to what was played, and hears the next one."""

    async def main() -> None:
        tracker = RealtimePlaybackTracker()
        with serve(responder=talkative, recogniser=["wait"], pace=2) as service:
            async with session_of(service, tracker) as session:
                await session.send_message("go on")
                begun = (await until(session, lambda event: event.type == "audio"))[-1]
                tracker.on_play_ms(begun.item_id, begun.content_index, 60)
                for chunk in question():
                    await session.send_audio(chunk)
                await until(session, lambda event: event.type == "audio_interrupted")
                cut = await received(service, "conversation.item.truncate")
                heard = await until(session, lambda event: is_over(event) and len(ended(service)) == 2)
                assert transcript(heard).endswith("Yes?")
                assert (cut["item_id"], cut["audio_end_ms"]) == (begun.item_id, 60)
            assert ended(service) == [("cancelled", "turn_detected"), ("completed", None)]
            assert refusals(service) == []

    run(main)


def test_interruption_by_the_program() -> None:
    """``interrupt()`` cancels and truncates where the service does not interrupt by itself."""

    async def main() -> None:
        tracker = RealtimePlaybackTracker()
        with serve(responder=lambda conversation, session: LONG, pace=2) as service:
            manual = {"type": "server_vad", "interrupt_response": False}
            async with session_of(service, tracker, turn_detection=manual) as session:
                await session.send_message("go on")
                begun = (await until(session, lambda event: event.type == "audio"))[-1]
                tracker.on_play_ms(begun.item_id, begun.content_index, 80)
                await session.interrupt()
                await until(session, is_over)
            assert ended(service) == [("cancelled", "client_cancelled")]
            assert [
                (e["item_id"], e["audio_end_ms"]) for e in service.sent("conversation.item.truncated")
            ] == [(begun.item_id, 80)]
            assert refusals(service) == []

    run(main)
