"""
Let the model call functions of this program.

Threads: the functions run on the main thread, between the model's function calls and its answer.
"""

from __future__ import annotations

import json
from typing import Annotated

from _service import service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.tools import Tools

tools = Tools()


@tools.add
def get_weather(city: Annotated[str, "Name of the city"]) -> dict[str, str]:
    """Get the current weather in a city."""
    return {"city": city, "sky": "sunny", "temperature": "24 degrees"}


@tools.add
def get_time(city: Annotated[str, "Name of the city"]) -> str:
    """Get the current time of day in a city."""
    return f"It is noon in {city}"


def ask(client: AzureRealTimeAudio, question: str) -> str:
    """Ask, call the functions that the model requests, and return its final answer."""
    response = client.ask(question)
    while response.function_calls:
        for call in response.function_calls:
            output = tools.call(call)
            arguments = json.dumps(json.loads(call.arguments or "{}"))  # models write several lines
            print(f"  {call.name}({arguments}) -> {output.output}")
            client.create_conversation_item(output)
        response = client.create_response().result()
    return response.text


def main() -> None:
    """Ask questions that need the functions."""
    session = {"modalities": ["text"], "tools": tools.declarations, "tool_choice": "auto"}
    with service(session) as options, AzureRealTimeAudio(options) as client:
        for question in ("What is the weather in Lisbon?", "And what time is it in Tokyo?"):
            print(question)
            print(ask(client, question))


if __name__ == "__main__":
    main()
