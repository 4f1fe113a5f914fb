"""The examples in the docstrings of the most used names run."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pages

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, PendingResponse
from azure_rt_audio.emulator import Emulator

EXAMPLES: list[Any] = [
    *(AzureRealTimeAudio, AzureRealTimeOptions, PendingResponse, Emulator),
    *(AzureRealTimeAudio.ask, AzureRealTimeAudio.append_audio, AzureRealTimeAudio.create_response),
    *(AzureRealTimeAudio.on, AzureRealTimeAudio.wait_for, AzureRealTimeAudio.events),
]
BEFORE = """
from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions
from azure_rt_audio.emulator import Emulator

client = first = AzureRealTimeAudio(AzureRealTimeOptions.from_env())
"""


def example(value: Any) -> str:
    """Return the first literal block of a docstring."""
    found = re.search(r"::\n\n((?:    .*\n|\n)+)", f"{inspect.getdoc(value)}\n")
    assert found, value
    return textwrap.dedent(found[1])


def test_examples_run(tmp_path: Path) -> None:
    """On the emulator, each with a client that is ready."""
    blocks = [pages.Block("python", BEFORE, 1)]
    for value in EXAMPLES:
        blocks.append(pages.Block("python", "client = first\n" + example(value), 1))
    blocks.append(pages.Block("python", "first.close()\n", 1))

    pages.run(blocks, "docstrings", tmp_path)
