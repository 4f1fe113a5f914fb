"""What clients of others and the service say to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from azure_rt_audio.emulator import Emulator, FunctionCall, speak

Serve = Callable[..., Emulator]

KEY = "a key for a test"
WEATHER = "What is the weather in Oslo?"
LONG = "This answer is long enough that there is time to break it off in the middle. " * 10
CHUNK = 4_800
"""A tenth of a second in bytes: PCM16, 24 000 Hz, mono."""

SECONDS = 20.0
"""Until a wait counts as a hang; some clients import much on first use."""

_T = TypeVar("_T")


def speech() -> list[bytes]:
    """A spoken question, in chunks."""
    pcm = bytes(CHUNK * 4) + speak("What time is it?")
    return [pcm[start : start + CHUNK].ljust(CHUNK, b"\0") for start in range(0, len(pcm), CHUNK)]


def silence() -> list[bytes]:
    """The silence that ends it."""
    return [bytes(CHUNK)] * 8


def respond(conversation: Any, session: Any) -> Any:
    """Call a tool that is there for the question, tell what it returned, or repeat what was asked."""
    last = conversation.items[-1]
    if last.type == "function_call_output":
        return f"The tool says: {last.output}"
    if session.tools and conversation.last_user_text == WEATHER:
        return FunctionCall("get_weather", {"city": "Oslo"})
    return f"Echo: {conversation.last_user_text}"


def interrupted(conversation: Any, session: Any) -> str:
    """Answer at length first, and shortly from then on."""
    return LONG if sum(item.role == "user" for item in conversation.items) == 1 else "Yes?"


def ended(service: Emulator) -> list[tuple[str, str | None]]:
    """Status and reason of each response that is over."""
    done = [event["response"] for event in service.sent("response.done")]
    return [(one["status"], (one["status_details"] or {}).get("reason")) for one in done]


def cuts(service: Emulator) -> list[tuple[str, int]]:
    """Item and milliseconds of each truncation that the service has carried out."""
    return [
        (event["item_id"], event["audio_end_ms"]) for event in service.sent("conversation.item.truncated")
    ]


def refusals(service: Emulator) -> list[dict[str, Any]]:
    """What the service refused, of all that the client has sent."""
    return [event["error"] for event in service.sent("error")]


async def within(what: Awaitable[_T]) -> _T:
    """Wait, with the bound of a hang."""
    return await asyncio.wait_for(what, SECONDS)


async def received(service: Emulator, command: str) -> dict[str, Any]:
    """Wait for a command of the client."""
    return await asyncio.to_thread(service.wait_for_command, command, SECONDS)
