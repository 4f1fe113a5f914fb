"""
Plot a spoken turn: the waveforms of both sides, the service's events and the latencies, on one time axis.

Needs matplotlib. The question is sent in real time, as by a microphone.

Threads: the main thread is the microphone; events are recorded on ``azure-rt-events-N``.
"""

from __future__ import annotations

import threading
from importlib.resources import files
from time import monotonic
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _service import parser, service, synthesiser

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import read_audio

RATE = 24_000
CHUNK = 2 * RATE // 20  # 50 ms
ARROW = {"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0}


def take_turn(client: AzureRealTimeAudio, question: bytes) -> tuple[bytes, list[tuple[float, Any]]]:
    """Ask; return the audio sent, and the events with their times in seconds."""
    said: list[tuple[float, Any]] = []
    has_ended = threading.Event()
    began = monotonic()
    client.on("*", lambda event: said.append((monotonic() - began, event)))
    client.on("response.done", lambda event: has_ended.set())
    sent = bytearray()
    while not has_ended.wait(max(0.0, began + len(sent) / 2 / RATE - monotonic())):
        chunk = question[len(sent) : len(sent) + CHUNK].ljust(CHUNK, b"\0")  # silence after the question
        client.append_audio(chunk)
        sent += chunk
    return bytes(sent), said


def plot(sent: bytes, said: list[tuple[float, Any]], picture: str) -> None:
    """Plot the turn, and save the picture."""
    deltas = [(second, event.audio) for second, event in said if event.type == "response.output_audio.delta"]
    answer, first, last = b"".join(pcm for _, pcm in deltas), deltas[0][0], deltas[-1][0]
    started, begin = next(pair for pair in said if pair[1].type == "input_audio_buffer.speech_started")
    stopped, end = next(pair for pair in said if pair[1].type == "input_audio_buffer.speech_stopped")
    figure, (you, model) = plt.subplots(2, sharex=True, sharey=True, figsize=(10, 4.5), layout="constrained")
    for axes, pcm, start, colour in ((you, sent, 0.0, "tab:blue"), (model, answer, first, "tab:green")):
        wave = np.frombuffer(pcm, "<i2") / 32_768
        axes.plot(start + np.arange(len(wave)) / RATE, wave, color=colour, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        for second in (started, stopped, first):
            axes.axvline(second, color="0.4", linewidth=1, linestyle=":")
    you.axvspan(begin.audio_start_ms / 1000, end.audio_end_ms / 1000, color="tab:blue", alpha=0.12)
    model.plot([first, last], [-0.75, -0.75], color="tab:green", linewidth=5, alpha=0.4)
    received = f"  all received within {last - first:.1f} s"
    model.text(last, -0.75, received, va="center", color="tab:green")
    you.text(started, -0.75, "  heard as speech", va="center", color="tab:blue")  # right of the line
    for second, name, side in ((started, "speech started", "center"), (stopped, "speech stopped ", "right")):
        you.text(second, 0.9, name, ha=side)
    you.text(first, 0.9, " first sound")
    silent = np.flatnonzero(abs(np.frombuffer(sent, "<i2")) > 600)[-1] / RATE
    for axes, since, what in ((you, silent, "you wait"), (model, stopped, "the service takes")):
        axes.annotate("", (first, 0.6), (since, 0.6), arrowprops=ARROW)
        axes.text(first, 0.6, f"  {what} {(first - since) * 1000:.0f} ms", va="center", weight="bold")
    you.set_ylabel("you")
    model.set(ylabel="model", xlabel="seconds", ylim=(-0.85, 0.85), xlim=(0, first + len(answer) / 2 / RATE))
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Take a turn and plot it."""
    parser.add_argument("picture", nargs="?", default="turn.png")
    picture = parser.parse_args().picture
    question = read_audio(str(files("azure_rt_audio") / "data" / "question.wav"))
    session = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
    with (
        service(
            session,
            responder=lambda *_: "It is sunny in Lisbon today.",
            first_delay=0.2,
            synthesiser=synthesiser(),
        ) as options,
        AzureRealTimeAudio(options) as client,
    ):
        sent, said = take_turn(client, question)
    plot(sent, said, picture)
    print(next(event.response.text for _, event in said if event.type == "response.done"))
    print(f"saved as {picture}")


if __name__ == "__main__":
    main()
