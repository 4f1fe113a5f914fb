"""
Events received and audio sent per second, side by side in one run.

``python tests/benchmarks/compare.py`` prints a table: this library through its default dispatcher and
inline, and the synchronous client of the ``openai`` package. Rounds are interleaved, medians are shown;
machines are noisy, so compare within a table only.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI
from peer import APPENDS, DELTA_CHARACTERS, FLOOD

from azure_rt_audio import AzureRealTimeAudio, Dispatcher, InlineDispatcher

ROUNDS = 5
CHUNK = bytes(4800)  # 100 ms of PCM16
HANG_BOUND = 60.0


@contextmanager
def service() -> Iterator[int]:
    """Run the peer in a process of its own and yield its port."""
    command = [sys.executable, str(Path(__file__).with_name("peer.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def ours(port: int, dispatcher: Callable[[], Dispatcher | None]) -> tuple[float, float, float]:
    """Return events received and chunks sent per second, and CPU microseconds per event received."""
    options = {"host_name": f"ws://127.0.0.1:{port}", "deployment": "m", "api_key": "k"}
    with AzureRealTimeAudio(options, dispatcher=dispatcher()) as client:
        seen, finished, committed = [0], threading.Event(), threading.Event()

        def count(_: object) -> None:
            seen[0] += 1

        client.on("response.audio.delta", count)
        client.on("response.audio_transcript.delta", count)
        client.on("response.done", lambda _: finished.set())
        client.on("input_audio_buffer.committed", lambda _: committed.set())
        began, cpu = time.perf_counter(), time.process_time()
        client.create_response()
        assert finished.wait(HANG_BOUND)
        received, burnt = time.perf_counter() - began, time.process_time() - cpu
        assert seen[0] == FLOOD
        began = time.perf_counter()
        for _ in range(APPENDS):
            client.append_audio(CHUNK)
        assert committed.wait(HANG_BOUND)
        return FLOOD / received, APPENDS / (time.perf_counter() - began), burnt / FLOOD * 1e6


def theirs(port: int) -> tuple[float, float, float]:
    """Return the same for the openai package."""
    import base64

    client = OpenAI(api_key="k", base_url=f"http://127.0.0.1:{port}/openai/v1")
    with client.realtime.connect(model="m") as connection:
        connection.recv()
        connection.session.update(session={"type": "realtime"})
        connection.recv()
        began, cpu, seen = time.perf_counter(), time.process_time(), 0
        connection.response.create()
        for event in connection:
            if event.type == "response.done":
                break
            seen += 1
        received, burnt = time.perf_counter() - began, time.process_time() - cpu
        assert seen == FLOOD
        began = time.perf_counter()
        for _ in range(APPENDS):
            connection.input_audio_buffer.append(audio=base64.b64encode(CHUNK).decode())
        while connection.recv().type != "input_audio_buffer.committed":
            pass
        return FLOOD / received, APPENDS / (time.perf_counter() - began), burnt / FLOOD * 1e6


def main() -> None:
    """Run all rounds and print the table."""
    runs: dict[str, Callable[[int], tuple[float, float, float]]] = {
        "azure_rt_audio, default": lambda port: ours(port, lambda: None),
        "azure_rt_audio, inline": lambda port: ours(port, InlineDispatcher),
        "openai, synchronous": theirs,
    }
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in runs}
    with service() as port:
        for number in range(ROUNDS):
            for name, run in runs.items():
                figures[name].append(run(port))
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    print(f"{FLOOD} events, 4 in 5 with audio of {DELTA_CHARACTERS} characters; {APPENDS} chunks of 100 ms")
    print(f"{'':26}{'received/s':>12}{'CPU us/event':>14}{'sent/s':>10}")
    for name, rounds in figures.items():
        received, sent, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:26}{received:12,.0f}{cpu:14.1f}{sent:10,.0f}")


if __name__ == "__main__":
    main()
