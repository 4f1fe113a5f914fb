"""
Ask with one sound file and save the answer in another, at any sample rates.

``python samples/wav_in_wav_out.py question.mp3 answer.wav --rate 11025``. Without names it asks with a
recording of the package, at an unusual rate.

Threads: all of this runs on the main thread; the answer is saved while it arrives.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from _service import parser, service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import WavWriter, read_wav, resample, write_wav

ODD_HZ = 17_000


def odd_question() -> str:
    """Write a question at an odd rate, and return the name of the file."""
    with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
        write_wav("question.wav", resample(read_wav(file), 24_000, ODD_HZ), ODD_HZ)
    return "question.wav"


def main() -> None:
    """Send the question, save the answer."""
    parser.add_argument("question", nargs="?", help="WAV, FLAC, OGG or MP3")
    parser.add_argument("answer", nargs="?", default="answer.wav")
    parser.add_argument("--rate", type=int, default=22_050, help="of the answer, in Hz (default: 22050)")
    arguments = parser.parse_args()
    question = arguments.question or odd_question()

    with (
        service({"turn_detection": None}, recogniser=["Hello, can you hear me?"]) as options,
        AzureRealTimeAudio(options) as client,
        WavWriter(arguments.answer, arguments.rate) as answer,
    ):
        client.send_audio_file(question)
        client.commit_audio()
        pending = client.create_response()
        for pcm in pending.audio(sample_rate_hz=arguments.rate):
            answer.write(pcm)
        response = pending.result()
    print(response.text)
    print(f"{Path(question).name}: {response.status}, saved as {arguments.answer} at {arguments.rate} Hz")


if __name__ == "__main__":
    main()
