"""
Ask with one WAV file, save the answer in another.

The service notices by itself that the question is over, and answers.

Threads: all of this runs on the main thread, in one loop over the events.
"""

from __future__ import annotations

from importlib.resources import files

from _service import parser, service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import WavWriter, read_wav
from azure_rt_audio.protocol.events import ResponseAudioDelta, ResponseAudioTranscriptDelta, ResponseDone

SILENCE = bytes(48_000)  # one second of PCM16, 24 000 Hz


def main() -> None:
    """Ask, and listen to the answer while it comes."""
    parser.add_argument("question", nargs="?", default=str(files("azure_rt_audio") / "data" / "question.wav"))
    parser.add_argument("answer", nargs="?", default="answer.wav")
    arguments = parser.parse_args()

    session = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
    with (
        service(session, ears=["Hello, can you hear me?"]) as options,
        AzureRealTimeAudio(options) as client,
        WavWriter(arguments.answer) as answer,
        client.events(ResponseAudioTranscriptDelta, ResponseAudioDelta, ResponseDone, timeout=30) as events,
    ):
        client.append_audio(read_wav(arguments.question))
        client.append_audio(SILENCE)
        for event in events:
            if isinstance(event, ResponseAudioTranscriptDelta):
                print(event.delta, end="", flush=True)
            elif isinstance(event, ResponseAudioDelta):
                answer.write(event.audio)
            else:
                print(f"\n{event.response.status}, saved as {arguments.answer}")
                break


if __name__ == "__main__":
    main()
