"""
A process for each contestant, so that none pays for another's imports, garbage or threads.

It stays from the first round to the last. It reads an :class:`Order` a line and answers with a
:class:`Sample`, both as JSON. :class:`Stage` is the side of the process that orders.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
import selectors
import subprocess
import sys
import time
from typing import IO, Any, Final

import attrs
from contestants import CONTESTANTS
from service import Service

__all__ = ["Failure", "Order", "Sample", "Stage"]

_HANG_SECONDS: Final = 90.0
_CHUNK_BYTES: Final = {"send_100": 4800, "send_20": 960}
"""100 ms and 20 ms of PCM16 at 24 000 Hz."""


@attrs.frozen
class Order:
    """
    What to do, once.

    Attributes:
        measure: ``"receive"``, ``"send_100"``, ``"send_20"`` or ``"round_trip"``.
        count: Of events, chunks or round trips.
        elsewhere: How many listeners of other events the client shall have.
    """

    measure: str
    count: int
    service: Service
    elsewhere: int = 0


@attrs.frozen
class Sample:
    """
    What came of it.

    Attributes:
        seconds: For all of it.
        cpu_seconds: Of all threads of the process, likewise.
        trips: Seconds of each round trip.
    """

    count: int
    seconds: float
    cpu_seconds: float
    trips: tuple[float, ...] = ()

    def percentile_us(self, percent: float) -> float:
        """Return a percentile of the round trips in microseconds."""
        return sorted(self.trips)[min(len(self.trips) - 1, int(len(self.trips) * percent / 100))] * 1e6


class Failure(Exception):  # noqa: N818 - a result like others
    """A contestant did not finish."""


class Stage:
    """
    The process of one contestant, started when it is first needed, and again after a failure.

    Args:
        key: Of :data:`contestants.CONTESTANTS`.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._process: subprocess.Popen[str] | None = None

    def perform(self, order: Order) -> Sample:
        """
        Carry the order out. Blocks.

        Raises:
            Failure: If it failed or took too long.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(attrs.asdict(order)) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            raise Failure("it had died since the last time") from None
        answer: dict[str, Any] = json.loads(self._answer(process.stdout))
        if "error" in answer:
            self.close()
            raise Failure(answer["error"])
        return Sample(**answer)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, self._key]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._process

    def _answer(self, stdout: IO[str]) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            line = stdout.readline() if selector.select(_HANG_SECONDS) else ""
        if not line:
            self.close()
            raise Failure("it hung or died")
        return line

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            # Leaving the process closes its pipe, in which an order may be stuck.
            with contextlib.suppress(BrokenPipeError), self._process as process:
                process.kill()
            self._process = None


def _perform(key: str, order: Order) -> Sample:
    contestant = CONTESTANTS[key].open(order.service)
    try:
        if order.elsewhere:
            contestant.listen_elsewhere(order.elsewhere)  # type: ignore[attr-defined]
        trips: list[float] = []
        pcm = random.Random(0).randbytes(_CHUNK_BYTES.get(order.measure, 0))
        gc.collect()
        began, cpu = time.perf_counter(), time.process_time()
        if order.measure == "receive":
            contestant.receive()
        elif order.measure == "round_trip":
            trips = contestant.round_trips(order.count)
        else:
            contestant.send(pcm, order.count)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        return Sample(order.count, seconds, cpu_seconds, tuple(trips))
    finally:
        contestant.close()


def main() -> None:
    """Carry out orders until standard input ends."""
    key = sys.argv[1]
    for line in sys.stdin:
        fields = json.loads(line)
        order = Order(**{**fields, "service": Service(**fields["service"])})
        answer: dict[str, Any]
        try:
            answer = attrs.asdict(_perform(key, order))
        except Exception as exc:  # noqa: BLE001 - a contestant may fail in any way, and the others go on
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
