"""
What tools cost a client that runs none of them: CPU per event with ``tools=`` and without, in turns.

``python benchmarks/tool_loop.py`` has a service say as fast as it can what answers consist of: with sound,
2 of 3 events are deltas; in short answers 1 of 8 is. Each pair gives a ratio; the median counts. ``--other
../checkout`` measures, in place of a client with tools, one of another checkout without them.

Clients and the service are processes of their own; the service's CPU does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SERVICE = """
import json, sys
from websockets.sync.server import serve
session = '"session":{"type":"realtime","id":"s","object":"realtime.session","model":"m"}}'
count, deltas = int(sys.argv[1]), int(sys.argv[2])

def answer(n):
    base = {"event_id": f"event_{n}", "response_id": f"resp_{n}", "item_id": f"item_{n}"}
    place = {**base, "output_index": 0, "content_index": 0}
    item = {"id": f"item_{n}", "object": "realtime.item", "type": "message", "role": "assistant"}
    item |= {"status": "completed", "content": []}
    response = {"id": f"resp_{n}", "object": "realtime.response", "status": "in_progress", "output": []}
    response |= {"conversation_id": "conv"}
    part = {"type": "text", "text": ""}
    yield {"type": "response.created", "event_id": "e", "response": response}
    yield {"type": "response.output_item.added", **base, "output_index": 0, "item": item}
    yield {"type": "response.content_part.added", **place, "part": part}
    for _ in range(deltas):
        yield {"type": "response.output_audio.delta", **place, "delta": "A" * 1280}
    yield {"type": "response.output_audio.done", **place}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", **base, "output_index": 0, "item": item}
    yield {"type": "response.done", "event_id": "e", "response": {**response, "status": "completed"}}

def talk(socket):
    begun = 0
    socket.send('{"type":"session.created","event_id":"a",' + session)
    for message in socket:
        if '"session.update"' in message:
            socket.send('{"type":"session.updated","event_id":"a",' + session)
        elif '"input_audio_buffer.clear"' in message:
            for n in range(begun, begun + count):
                for event in answer(n):
                    socket.send(json.dumps(event))
            begun += count
            socket.send('{"type":"input_audio_buffer.cleared","event_id":"x"}')

with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"""
KINDS = {"with sound": (300, 14), "short answers": (600, 1)}
"""How many answers, and how many deltas each has."""

OTHERS = 7
"""Events of an answer that are no deltas."""

TIMEOUT = 120.0


def main() -> None:
    """Measure, and print a line for each kind of answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, metavar="N", help="measurements of each (default: 9)")
    parser.add_argument("--other", type=Path, help="another checkout, whose client has no tools")
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        port, events, has_tools = map(int, arguments.client)
        print(measure(port, events, bool(has_tools)))
        return
    here = Path(__file__).parent.parent
    for kind, (count, deltas) in KINDS.items():
        service = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(count), str(deltas)], stdout=subprocess.PIPE, text=True
        )
        assert service.stdout is not None
        try:
            port = service.stdout.readline().strip()
            events = str(count * (deltas + OTHERS))
            costs: tuple[list[float], list[float]] = ([], [])
            for pair in range(arguments.pairs):
                for which in (0, 1) if pair % 2 else (1, 0):
                    tree = arguments.other.resolve() if which and arguments.other else here
                    has_tools = str(int(bool(which and not arguments.other)))
                    costs[which].append(_run(tree, port, events, has_tools))
        finally:
            service.kill()
            service.wait()
        ratios = [two / one for one, two in zip(*costs, strict=True)]
        what = "another checkout" if arguments.other else "with tools"
        print(
            f"{kind}: {statistics.median(costs[0]):.1f} µs per event, {what} "
            f"{statistics.median(costs[1]):.1f} µs: {statistics.median(ratios):.3f} times"
        )


def _run(tree: Path, *client: str) -> float:
    done = subprocess.run(
        [sys.executable, __file__, "--client", *client],
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return float(done.stdout)


def measure(port: int, events: int, has_tools: bool) -> float:
    """Return microseconds of CPU per event of a client in this process, the least of three."""
    from azure_rt_audio import AzureRealTimeAudio

    def look_up(name: str) -> str:
        """Look something up."""
        return name

    options: dict[str, Any] = {
        "host_name": f"ws://127.0.0.1:{port}",
        "api_key": "key-of-nobody",
        "deployment": "m",
        "session_config": {"turn_detection": None},
    }
    with AzureRealTimeAudio(options, **({"tools": [look_up]} if has_tools else {})) as client:
        client.on("response.done", lambda event: None)
        costs = []
        for _ in range(3):
            before = time.process_time()
            client.clear_audio_buffer().result(TIMEOUT)
            costs.append((time.process_time() - before) / events * 1e6)
    return min(costs)


if __name__ == "__main__":
    main()
