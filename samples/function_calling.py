"""
Let the model call functions of this program.

Threads: the functions run on threads of the client, which print their results at once: before the answer that
the main thread waits for.
"""

from __future__ import annotations

from typing import Annotated

from _service import service

from azure_rt_audio import AzureRealTimeAudio, InlineDispatcher
from azure_rt_audio.events import ToolEnded


def get_weather(city: Annotated[str, "Name of the city"]) -> dict[str, str]:
    """Get the current weather in a city."""
    return {"city": city, "sky": "sunny", "temperature": "24 degrees"}


def get_time(city: Annotated[str, "Name of the city"]) -> str:
    """Get the current time of day in a city."""
    return f"It is noon in {city}"


tools = [get_weather, get_time]


def show(event: ToolEnded) -> None:
    """Print what a function has returned."""
    print(f"  {event.name} -> {event.output}")


def main() -> None:
    """Ask questions that need the functions."""
    with service({"modalities": ["text"]}) as options, AzureRealTimeAudio(options, tools=tools) as client:
        client.on(ToolEnded, show, dispatcher=InlineDispatcher())
        for question in ("What is the weather in Lisbon?", "And what time is it in Tokyo?"):
            print(question)
            print(client.ask(question).text)


if __name__ == "__main__":
    main()
