"""
What a recording costs: CPU per event with and without one, in turns, and bytes per minute.

``python benchmarks/recording.py`` measures a conversation in real time: 50 blocks of 20 ms are sent in a
second, and each is answered by as much sound. ``--flood`` measures sound that comes as fast as it can be
read, which no service sends: there is nothing else to do, so the share of a recording is at its highest.

The service is a process of its own, and its CPU does not count.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from azure_rt_audio import AzureRealTimeAudio

SERVICE = """
import sys
from websockets.sync.server import serve
session = '"session":{"type":"realtime","id":"s","object":"realtime.session","model":"m"}}'
delta = sys.stdin.readline().strip()
count = int(sys.argv[1])

def talk(socket):
    socket.send('{"type":"session.created","event_id":"a",' + session)
    for message in socket:
        if '"session.update"' in message:
            socket.send('{"type":"session.updated","event_id":"a",' + session)
        elif '"input_audio_buffer.append"' in message:
            socket.send(delta)
        elif '"input_audio_buffer.clear"' in message:
            for _ in range(count):
                socket.send(delta)
            socket.send('{"type":"input_audio_buffer.cleared","event_id":"x"}')

with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"""
BLOCK = bytes(960)
BLOCKS_PER_SECOND = 50
SOUND_MS = 20
FLOOD_SOUND_MS = 200
FLOOD = 3_000
TIMEOUT = 60.0


def main() -> None:
    """Measure, and print a line for each kind of sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--flood", action="store_true", help="sound as fast as it can be read")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="measurements of each (default: 7)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a conversation (default: 4)")
    arguments = parser.parse_args()
    work = flood if arguments.flood else lambda client: converse(client, arguments.seconds)
    for sound in ("wire", "none"):
        sound_ms = FLOOD_SOUND_MS if arguments.flood else SOUND_MS
        off, on, size = measure(work, sound, sound_ms, arguments.pairs)
        minutes = "" if arguments.flood else f", {size / arguments.seconds * 60 / 1e6:.1f} MB per minute"
        print(f"sound={sound}: {off:.1f} µs per event, recorded {on:.1f} µs: {on / off:.2f} times{minutes}")


def converse(client: AzureRealTimeAudio, seconds: float) -> int:
    """Send blocks in real time; return how many events there were."""
    began, sent = time.monotonic(), 0
    while sent < seconds * BLOCKS_PER_SECOND:
        client.append_audio(BLOCK)
        sent += 1
        time.sleep(max(0.0, began + sent / BLOCKS_PER_SECOND - time.monotonic()))  # noqa: TID251
    return 2 * sent


def flood(client: AzureRealTimeAudio) -> int:
    """Ask for much sound; return how many events there were."""
    client.clear_audio_buffer().result(TIMEOUT)
    return FLOOD


def measure(work: Callable[[Any], int], sound: str, sound_ms: int, pairs: int) -> tuple[float, float, int]:
    """Return microseconds of CPU per event without and with a recording, and its bytes; medians."""
    costs: dict[bool, list[float]] = {False: [], True: []}
    sizes = [0]
    delta = {
        "type": "response.output_audio.delta",
        "event_id": "event_0123456789abcdefghij",
        "response_id": "resp_0123456789abcdefghij",
        "item_id": "item_0123456789abcdefghij",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(bytes(48 * sound_ms)).decode(),
    }
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(FLOOD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert service.stdin is not None
    assert service.stdout is not None
    try:
        service.stdin.write(orjson.dumps(delta) + b"\n")
        service.stdin.flush()
        options = {
            "host_name": f"ws://127.0.0.1:{int(service.stdout.readline())}",
            "api_key": "key-of-nobody",
            "deployment": "m",
            "session_config": {"turn_detection": None},
        }
        for pair in range(pairs):
            for is_recorded in (pair % 2 == 0, pair % 2 == 1):
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "session.rta")
                    record = {"path": path, "sound": sound} if is_recorded else None
                    with AzureRealTimeAudio(options, record=record) as client:
                        client.on("response.output_audio.delta", lambda event: None)
                        before = time.process_time()
                        events = work(client)
                        if client.recorder is not None:
                            client.recorder.flush(TIMEOUT)
                        costs[is_recorded].append((time.process_time() - before) / events * 1e6)
                    if is_recorded:
                        sizes.append(path.stat().st_size)
    finally:
        service.kill()
        service.wait()
    return statistics.median(costs[False]), statistics.median(costs[True]), sizes[-1]


if __name__ == "__main__":
    main()
