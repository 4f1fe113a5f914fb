"""
A kiosk that answers questions about the weather; its tests are in test_kiosk.py.

``python kiosk.py --emulator --record sunny.rta "How is the weather in Lisbon?"`` made the recording that one
of them replays.

Threads: the function runs on a thread of the client; the main thread waits for the answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, RealtimeError
from azure_rt_audio.emulator import Emulator

SORRY = "Sorry, I cannot answer at the moment."


def get_weather(city: Annotated[str, "Name of the city"]) -> str:
    """Get the current weather in a city."""
    return f"sunny in {city}"


class Kiosk:
    """Answers one question after the other."""

    def __init__(self, options: Mapping[str, Any], record: Path | None = None) -> None:
        session = {"modalities": ["text"], "instructions": "Be brief."}
        self.client = AzureRealTimeAudio(
            {**options, "session_config": session}, tools=[get_weather], record=record
        )
        self.client.on("error", lambda error: None)  # handled where the question is asked

    def answer(self, question: str) -> str:
        """Return the answer to a question, or an apology."""
        try:
            return self.client.ask(question, timeout=10).text or SORRY
        except (RealtimeError, TimeoutError):
            return SORRY


def main() -> None:
    """Answer the questions of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--emulator", action="store_true", help="use the emulator in place of Azure")
    parser.add_argument("--record", type=Path, metavar="FILE", help="record the session")
    parser.add_argument("questions", nargs="+", metavar="QUESTION")
    arguments = parser.parse_args()
    if arguments.emulator:
        with Emulator() as emulator:
            run(emulator.options(), arguments)
    else:
        found = AzureRealTimeOptions.from_env()
        run(
            {"host_name": found.host_name, "deployment": found.deployment, "api_key": found.api_key},
            arguments,
        )


def run(options: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Print the answers."""
    kiosk = Kiosk(options, arguments.record)
    for question in arguments.questions:
        print(kiosk.answer(question))
    kiosk.client.close()


if __name__ == "__main__":
    main()
