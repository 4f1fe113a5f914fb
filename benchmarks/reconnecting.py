"""
What ``reconnect=`` costs a client that never loses its connection: with and without it, in turns.

CPU per received event and per ``append_audio`` of 20 ms, both of the whole process; memory per client, idle
and after a conversation, less the sound that is kept for another connection: that is the point of it.

``python benchmarks/reconnecting.py``; a minute. The services are in other processes, and do not count.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from recording import BLOCK, FLOOD, SERVICE, TIMEOUT, flood

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator

CLIENTS = 8
APPENDS = 3_000
TURNS = 3
SESSION = {
    "modalities": ["text"],  # answers in sound would be most of the memory of either
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
    "input_audio_transcription": {"model": "gpt-4o-transcribe"},
}
SPEECH = (b"\x00\x20" * 24 + b"\x00\xe0" * 24) * 500 + bytes(14_400)
"""One second, and 300 ms of silence."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, metavar="N", help="of measurements of CPU (15)")
    parser.add_argument("--weigh", metavar="OPTIONS", help=argparse.SUPPRESS)
    parser.add_argument("--off", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.weigh is not None:
        weigh(json.loads(chosen.weigh), is_on=not chosen.off)
        return
    print(f"{'':36}{'with':>9}{'without':>9}{'ratio':>7}")
    with service() as options:
        tell("CPU per received event, least, µs", cpu(options, receive, chosen.pairs))
        tell("CPU per append of 20 ms, least, µs", cpu(options, append, chosen.pairs))
    on, off = memory()
    tell("KB per client, idle", [(on["idle"], off["idle"])])
    tell("KB per client, after a conversation", [(on["talked"], off["talked"])])
    print(f"{'  besides, sound that is kept, KB':36}{on['kept']:9.1f}{off['kept']:9.1f}")


def tell(name: str, pairs: list[tuple[float, float]]) -> None:
    """Print the least of each, because other programs only add, and their ratio."""
    on, off = map(min, zip(*pairs, strict=True))
    print(f"{name:36}{on:9.1f}{off:9.1f}{on / off:7.2f}", flush=True)


def arguments(*, is_on: bool) -> dict[str, Any]:
    """Return what a client is made with, besides its options."""
    return {} if is_on else {"reconnect": None}


# ------------------------------------------------------------ CPU


@contextmanager
def service() -> Iterator[dict[str, Any]]:
    """Run the service of ``recording.py`` in a process of its own; yields options for it."""
    delta = {
        "type": "response.output_audio.delta",
        "event_id": "event_0123456789abcdefghij",
        "response_id": "resp_0123456789abcdefghij",
        "item_id": "item_0123456789abcdefghij",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(bytes(9_600)).decode(),
    }
    command = [sys.executable, "-c", SERVICE, str(FLOOD)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(delta) + b"\n")
        process.stdin.flush()
        try:
            yield {
                "host_name": f"ws://127.0.0.1:{int(process.stdout.readline())}",
                "api_key": "key-of-nobody",
                "deployment": "m",
                "session_config": {"turn_detection": {"type": "server_vad"}},
            }
        finally:
            process.kill()


def receive(client: AzureRealTimeAudio) -> int:
    """Receive many events; return how many."""
    return flood(client)


def append(client: AzureRealTimeAudio) -> int:
    """Append many blocks; return how many."""
    for _ in range(APPENDS):
        client.append_audio(BLOCK)
    return APPENDS


def cpu(
    options: dict[str, Any], work: Callable[[AzureRealTimeAudio], int], pairs: int
) -> list[tuple[float, float]]:
    """Return microseconds of CPU for each piece of work, with and without, in pairs."""
    found = []
    for pair in range(pairs):
        took: dict[bool, float] = {}
        for is_on in (pair % 2 == 0, pair % 2 == 1):
            with AzureRealTimeAudio(options, **arguments(is_on=is_on)) as client:
                client.on("response.output_audio.delta", lambda event: None)
                client.wait_until_ready(TIMEOUT)
                began = time.process_time()
                count = work(client)
                took[is_on] = (time.process_time() - began) / count * 1e6
        found.append((took[True], took[False]))
    return found


# ------------------------------------------------------------ memory


def memory() -> tuple[dict[str, float], dict[str, float]]:
    """Return what clients with and without it take, each in a process of their own."""
    found = []
    for flags in ([], ["--off"]):
        with Emulator(pace=0) as emulator:
            options = json.dumps(emulator.options(session_config=SESSION))
            command = [sys.executable, __file__, "--weigh", options, *flags]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found[0], found[1]


def weigh(options: dict[str, Any], *, is_on: bool) -> None:
    """Print KB per client as JSON: idle, after a conversation, and the sound that is kept."""

    def connect() -> AzureRealTimeAudio:
        client = AzureRealTimeAudio(options, **arguments(is_on=is_on))
        client.wait_until_ready(TIMEOUT)
        return client

    def talk(client: AzureRealTimeAudio) -> None:
        for number in range(TURNS):
            client.ask(f"question {number}", timeout=TIMEOUT)
            with client.events("response.done", timeout=TIMEOUT) as done:
                for start in range(0, len(SPEECH), len(BLOCK)):
                    client.append_audio(SPEECH[start : start + len(BLOCK)])
                next(done)

    first = [connect() for _ in range(5)]  # what the first of a kind loads or caches is not theirs alone
    for client in first:
        talk(client)
    tracemalloc.start()
    before = taken_kb()
    clients = [connect() for _ in range(CLIENTS)]
    idle = (taken_kb() - before) / CLIENTS
    for client in clients:
        talk(client)
    kept = sum(map(kept_bytes, clients)) / 1024 / CLIENTS
    talked = (taken_kb() - before) / CLIENTS - kept
    print(json.dumps({"idle": idle, "talked": talked, "kept": kept}), flush=True)
    os._exit(0)  # without ceremony: the service does not mind


def kept_bytes(client: AzureRealTimeAudio) -> int:
    """Return the memory of the sound that is kept for another connection."""
    sound = client._engine.journal.sound
    chunks = [chunk for _, chunk in sound._ring._chunks]
    return sum(map(sys.getsizeof, [*chunks, *sound._turns.sound.values()]))


def taken_kb() -> float:
    """Return the KB that Python has handed out: of a process's size more depends on the allocator's luck."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


if __name__ == "__main__":
    main()
