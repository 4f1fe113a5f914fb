"""
The service that a sample uses: Azure if the environment configures it, otherwise an emulator.

Your own program does not need this: ``AzureRealTimeAudio(AzureRealTimeOptions.from_env())`` is enough.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure_rt_audio import AzureRealTimeOptions, MissingExtraError
from azure_rt_audio.emulator import Emulator, Synthesiser

VARIABLES = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT")

parser = ArgumentParser()
parser.add_argument(
    "--emulator", action="store_true", help="use the emulator, even if the environment configures Azure"
)
parser.add_argument("--dialect", choices=("ga", "preview"), default="ga")


@contextmanager
def service(session_config: dict[str, Any] | None = None, **emulator: Any) -> Iterator[AzureRealTimeOptions]:
    """Yield options to connect with; *emulator* holds arguments of the emulator."""
    arguments = parser.parse_args()
    if all(os.environ.get(name) for name in VARIABLES) and not arguments.emulator:
        yield AzureRealTimeOptions.from_env(session_config=session_config, dialect=arguments.dialect)
        return
    with Emulator(**emulator) as running:
        # The emulator transcribes with any name; on Azure, set AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT.
        config = {"input_audio_transcription": {"model": "gpt-4o-transcribe"}, **(session_config or {})}
        yield AzureRealTimeOptions(**running.options(arguments.dialect), session_config=config)


def synthesiser() -> Synthesiser | None:
    """Return a speech synthesiser of this machine for the emulator; ``None`` for tones, if it has none."""
    try:
        return Synthesiser()
    except (MissingExtraError, RuntimeError):
        return None
