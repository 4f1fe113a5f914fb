"""
A voice assistant as a class, which prints its status: listening, thinking, speaking.

It uses microphone and speaker, until Ctrl-C. Without sound devices, or with a sound file as argument,
it answers a recording, on a simulated speaker.

Threads: listeners run one at a time on ``azure-rt-events-N``; the voice session has threads for the devices;
the main thread waits.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib.resources import files
from typing import Any

from _service import parser, service

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, MissingExtraError, ModelStatusEnum
from azure_rt_audio.audio import read_audio
from azure_rt_audio.devices import DeviceError, DeviceLost, SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.events import StatusChanged

QUESTION = str(files("azure_rt_audio") / "data" / "question.wav")


class VoiceAssistant:
    """A spoken conversation with a status."""

    def __init__(self, options: AzureRealTimeOptions) -> None:
        self.client = AzureRealTimeAudio(options)
        self.has_answered = threading.Event()
        self.client.once("init", lambda session: print(f"ready, with the voice {session.voice}"))
        self.client.on("status_changed", self.show_status)
        self.client.on("response.done", lambda event: print(f"said: {event.response.text}"))
        self.client.on("error", lambda error: print(f"{error.type}: {error.message}"))

    def talk(self) -> None:
        """Talk with the user, by microphone and loudspeaker, until Ctrl-C; a lost connection is raised."""
        with self.client.talk(on_event=self.show_trouble) as voice, suppress(KeyboardInterrupt):
            voice.wait()

    def answer(self, recording: bytes) -> None:
        """Answer a recording. PCM16: int16, little-endian, mono, 24 000 Hz."""
        microphone = SimulatedMicrophone(recording)
        with self.client.talk(microphone, SimulatedSpeaker(), echo="headphones"):
            self.has_answered.wait(timeout=60)

    def show_status(self, event: StatusChanged) -> None:
        print(f"{event.status}...")
        if (event.previous, event.status) == (ModelStatusEnum.SPEAKING, ModelStatusEnum.IDLE):
            self.has_answered.set()  # the answer has been played

    def show_trouble(self, event: Any) -> None:
        if isinstance(event, DeviceLost):
            print(f"lost {event.device_name}: {event.reason}")


def main() -> None:
    """Talk, or answer a recording."""
    parser.add_argument(
        "--recording", action="store_true", help="use a recording, even if there is a microphone"
    )
    parser.add_argument("file", nargs="?", help="a sound file to answer instead of talking")
    arguments = parser.parse_args()
    path = arguments.file or (QUESTION if arguments.recording else None)
    detection = {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 800}
    session = {"instructions": "You are a professional voice assistant.", "turn_detection": detection}
    with service(session, responder=lambda *_: "It is sunny in Lisbon.") as options:
        assistant = VoiceAssistant(options)
        try:
            if path is None:
                assistant.talk()
        except (DeviceError, MissingExtraError) as error:
            print(f"no microphone or speaker: {error}")
            path = QUESTION
        if path is not None:
            assistant.answer(read_audio(path))
        assistant.client.close()


if __name__ == "__main__":
    main()
