"""
Push to talk: the program decides when the user has finished, not the service.

Threads: the main thread is the button and the microphone; the answer is iterated there as well.
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
        client.commit_audio()  # what was said becomes a message ...
        pending = client.create_response()  # ... and this asks for an answer to it
        sound = b"".join(pending.audio())
        print(f"{len(sound) / 48_000:.1f} s: {pending.result().text}")

        print("pressed and released at once")
        client.append_audio(speech[:CHUNK_BYTES])
        client.clear_audio_buffer().result(timeout=5)
        print("nothing was said, nothing is asked")


if __name__ == "__main__":
    main()
