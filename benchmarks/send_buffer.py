"""
What it costs that the system may hold little that is unsent: throughput with that limit and without.

``python benchmarks/send_buffer.py`` sends sound as fast as it is taken, in pieces of 20 ms to 10 s, plain and
over TLS, by two clients in turns: one as it is, one whose ``sockopt`` takes the limit away. Each time ends
when the service has counted all of it. Of each pair there is a ratio; shown is the median of all, with the
interval in which it lies with 95 % (bootstrap). 1 is no cost, above it is faster with the limit.
"""

from __future__ import annotations

import argparse
import random
import socket
import statistics
import time
from collections.abc import Sequence
from typing import Final

from service import HANG_SECONDS, Service, serving

from azure_rt_audio import AzureRealTimeAudio

_BYTES_PER_SECOND: Final = 48_000
_PIECES_S: Final = (0.02, 0.1, 1.0, 10.0)
_UNLIMITED: Final = ((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2**31 - 1),)
_GOAL: Final = 0.97


def main() -> None:
    """Measure, and print a line for each size of pieces."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60, metavar="N", help="of each size (default: 60)")
    parser.add_argument("--seconds", type=float, default=120.0, help="of sound, each time (default: 120)")
    arguments = parser.parse_args()
    ratios: dict[tuple[str, float], list[tuple[float, float]]] = {}
    with serving() as services:
        for scheme, service in services.items():
            for piece_s in _PIECES_S:
                ratios[scheme, piece_s] = _measure(service, piece_s, arguments.pairs, arguments.seconds)
                _tell(f"{scheme}, pieces of {piece_s:g} s", ratios[scheme, piece_s])
    _tell("all", [pair for pairs in ratios.values() for pair in pairs])


def _measure(service: Service, piece_s: float, pairs: int, seconds: float) -> list[tuple[float, float]]:
    """Return, for each pair, how fast it was with the limit by how fast without: the clock's, the CPU's."""
    piece = random.Random(0).randbytes(round(_BYTES_PER_SECOND * piece_s))
    count = max(2, round(seconds / piece_s))
    found = []
    with _client(service, ()) as limited, _client(service, _UNLIMITED) as unlimited:
        for client in (limited, unlimited):
            _send(client, piece, count)
        for number in range(pairs):
            took = {}
            for client in (limited, unlimited) if number % 2 else (unlimited, limited):
                took[client is limited] = _send(client, piece, count)
            found.append((took[False][0] / took[True][0], took[False][1] / took[True][1]))
    return found


def _client(service: Service, sockopt: Sequence[tuple[int, int, int]]) -> AzureRealTimeAudio:
    options = {
        "host_name": f"{service.scheme}://{service.netloc}",
        "deployment": service.model,
        "api_key": "key-of-nobody",
        "session_config": {"turn_detection": None},
    }
    return AzureRealTimeAudio(options, {"ssl_context": service.tls(), "sockopt": sockopt})


def _send(client: AzureRealTimeAudio, piece: bytes, count: int) -> tuple[float, float]:
    """Send so many pieces, and wait until the service has them; return the seconds, and those of CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        client.append_audio(piece)
    client.commit_audio().result(HANG_SECONDS)
    return time.perf_counter() - began, time.process_time() - cpu


def _tell(what: str, pairs: Sequence[tuple[float, float]]) -> None:
    speed, cpu = ([pair[index] for pair in pairs] for index in (0, 1))
    low, high = _interval(speed)
    verdict = "yes" if low >= _GOAL else "no" if high < _GOAL else "cannot be told"
    print(
        f"{what + ':':26} {statistics.median(speed):.3f} ({low:.3f} to {high:.3f}), "
        f"CPU {statistics.median(cpu):.3f}; costs 3 % at most: {verdict}",
        flush=True,
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(1000))
    return medians[25], medians[974]


if __name__ == "__main__":
    main()
