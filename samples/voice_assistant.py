"""
A voice assistant as a class: it listens, thinks and speaks, and says which of them it does.

Threads: listeners run one at a time on ``azure-rt-events-N``; the main thread is the microphone and waits.
"""

from __future__ import annotations

import threading
from importlib.resources import files

from _service import service

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, RealtimeError
from azure_rt_audio.audio import read_wav
from azure_rt_audio.protocol.events import ResponseAudioDelta, ResponseDone


class VoiceAssistant:
    """An assistant that answers what is said to it."""

    def __init__(self, options: AzureRealTimeOptions) -> None:
        self.client = AzureRealTimeAudio(options)
        self.played = bytearray()
        self.has_answered = threading.Event()
        self.client.once("init", lambda session: print(f"ready, with the voice {session.voice}"))
        self.client.on("status_changed", lambda event: print(f"{event.status}..."))
        self.client.on("response.audio.delta", self.play_audio)
        self.client.on("response.done", self.finish)
        self.client.on("error", self.handle_error)

    def start_conversation(self, speech: bytes) -> None:
        """Bring what a microphone would bring: 100 ms at a time, and silence when the user has finished."""
        for start in range(0, len(speech), 4_800):
            self.client.append_audio(speech[start : start + 4_800])
        self.client.append_audio(bytes(48_000))

    def stop_conversation(self) -> None:
        self.client.clear_audio_buffer()
        self.client.close()

    def play_audio(self, event: ResponseAudioDelta) -> None:
        self.played += event.audio  # PCM16, 24 000 Hz, mono

    def finish(self, event: ResponseDone) -> None:
        print(f"said: {event.response.text}")
        self.client.set_model_speak_done()  # a real loudspeaker calls it when all has been played
        self.has_answered.set()

    def handle_error(self, error: RealtimeError) -> None:
        print(f"{error.type}: {error.message}")


if __name__ == "__main__":
    detection = {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 800}
    session = {"instructions": "You are a professional voice assistant.", "turn_detection": detection}
    with service(session, ears=["What is the weather like in Lisbon today?"]) as options:
        assistant = VoiceAssistant(options)
        with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as recording:
            assistant.start_conversation(read_wav(recording))
        assistant.has_answered.wait(timeout=30)
        assistant.stop_conversation()
    print(f"{len(assistant.played) / 48_000:.1f} s of speech")
