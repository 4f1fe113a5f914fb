"""
A simulated microphone and speaker for a machine without sound: the microphone plays a recording.

Your own program does not need this: ``client.talk()`` opens the real devices.
"""

from __future__ import annotations

from importlib.resources import files

from _service import parser

from azure_rt_audio import RealtimeError
from azure_rt_audio.audio import read_wav
from azure_rt_audio.devices import (
    MicrophoneLike,
    SimulatedMicrophone,
    SimulatedSpeaker,
    SpeakerLike,
    list_devices,
)

parser.add_argument("--recording", action="store_true", help="use a recording, even if there is a microphone")


def devices() -> tuple[MicrophoneLike | None, SpeakerLike | None]:
    """Return a microphone and a speaker for ``client.talk()``; ``None`` for the real ones."""
    try:
        found = () if parser.parse_args().recording else list_devices()
    except RealtimeError:
        found = ()
    if any(each.input_channels for each in found) and any(each.output_channels for each in found):
        return None, None
    with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
        question = read_wav(file)
    pause = bytes(8 * 48_000)
    return SimulatedMicrophone(question + pause, repeat=True), SimulatedSpeaker()
