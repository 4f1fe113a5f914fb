"""
What a connection that does nothing costs: many in one process, each with its session ready.

Run as a program it makes them and prints an :class:`Idle` as JSON; :func:`weigh` runs it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import attrs
from service import Service
from stage import Failure

__all__ = ["Idle", "weigh"]

_HANG_SECONDS: Final = 120.0


@attrs.frozen
class Idle:
    """
    What was found.

    Attributes:
        connections: How many there were.
        kilobytes_each: By how much the process grew, divided among them; resident, private and shared.
        threads_each: Of the process, likewise.
        seconds: From the first to the last session's being ready, one after the other.
        cpu_seconds: Of the process in the second after that.
    """

    connections: int
    kilobytes_each: float
    threads_each: float
    seconds: float
    cpu_seconds: float


def weigh(service: Service, connections: int) -> Idle:
    """
    Make the connections in a process of their own. Blocks.

    Raises:
        Failure: If they could not be made, or this system does not say how large a process is.
    """
    command = [sys.executable, __file__, json.dumps(attrs.asdict(service)), str(connections)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_HANG_SECONDS)
    except subprocess.CalledProcessError as exc:
        raise Failure(exc.stderr.strip().rpartition("\n")[2]) from exc
    except subprocess.TimeoutExpired as exc:
        raise Failure(f"took over {_HANG_SECONDS:g} seconds") from exc
    return Idle(**json.loads(done.stdout))


def _resident_kilobytes() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise OSError("smaps_rollup has no Rss")


def _measure(service: Service, connections: int) -> Idle:
    from azure_rt_audio import AzureRealTimeAudio, WebSocketOptions

    # A thread, its wake-up pair and the socket of each take several descriptors.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    web = WebSocketOptions(ssl_context=service.tls())
    options = {
        "host_name": f"{service.scheme}://{service.netloc}",
        "deployment": service.model,
        "api_key": "k",
    }

    def connect() -> AzureRealTimeAudio:
        client = AzureRealTimeAudio(options, web)
        told = threading.Event()  # the thread for listeners starts with the first event
        client.once("init", lambda _: told.set())
        if not told.wait(30.0):
            raise TimeoutError(f"{client!r} was not ready")
        return client

    clients = [connect() for _ in range(10)]  # what the first of a kind loads or caches is not theirs alone
    memory, threads, began = _resident_kilobytes(), threading.active_count(), time.perf_counter()
    clients += [connect() for _ in range(connections)]
    seconds = time.perf_counter() - began
    grown = (_resident_kilobytes() - memory) / connections
    threads_each = (threading.active_count() - threads) / connections
    cpu = time.process_time()
    threading.Event().wait(1.0)
    return Idle(connections, grown, threads_each, seconds, time.process_time() - cpu)


def main() -> None:
    """Measure, print and leave without ceremony: the service does not mind."""
    found = _measure(Service(**json.loads(sys.argv[1])), int(sys.argv[2]))
    print(json.dumps(attrs.asdict(found)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
