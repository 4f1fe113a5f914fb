"""
Push to talk: the program decides when the user has finished, not the service.

Threads: the main thread is the button and the microphone, and iterates over the answer.
"""

from __future__ import annotations

from importlib.resources import files

from _service import service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import read_wav

CHUNK_BYTES = 4_800  # 100 ms of PCM16, 24 000 Hz


def main() -> None:
    """Press, speak, release; press by accident; press again."""
    with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
        speech = read_wav(file)

    with (
        service({"turn_detection": None}, recogniser=["Hello, who are you?"]) as options,
        AzureRealTimeAudio(options) as client,
    ):
        print("pressed")
        for start in range(0, len(speech), CHUNK_BYTES):
            client.append_audio(speech[start : start + CHUNK_BYTES])
        print("released")
        client.commit_audio()  # the audio becomes a message ...
        pending = client.create_response()  # ... and this requests an answer
        sound = b"".join(pending.audio())
        print(f"{len(sound) / 48_000:.1f} s: {pending.result().text}")

        print("pressed and released at once")
        client.append_audio(speech[:CHUNK_BYTES])
        client.clear_audio_buffer().result(timeout=5)
        print("discarded, no answer was requested")


if __name__ == "__main__":
    main()
