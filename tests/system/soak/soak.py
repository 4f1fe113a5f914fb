# ruff: noqa: T201 - a program, which prints
"""
A soak: what users do, over and over, for minutes or hours, and a look at what that leaves behind.

``python tests/system/soak/soak.py [--minutes 5 | --hours 4] [--plot soak.png] [--tls]``

Six long conversations (both dialects, plain and TLS, listeners on the worker, inline and in a queue),
short visits, forgotten clients, listeners that come and go, questions to the emulator, and fourteen kinds
of faults in turn. The service is another process. Every piece of sound is numbered and has a
checksum, in both directions, so "nothing lost" is exact. Every few seconds there is a look at memory
(resident, and what malloc has given out), Python's objects, descriptors and threads. In the end there is
a table, a graph, and a verdict for each criterion; the exit code is 0 only if all hold. Ctrl-C ends it
early, with all of that. What is flat in a run of an hour or more is so in its second half.

Resident memory is flat only with one heap, so the soak has one, see :func:`with_one_heap`; ``--heaps 0``
leaves that to the C library.

It takes a third of a core, so that it can run beside other work.

Threads: the main thread samples; each member of the crew is one thread; one more reads what the service says.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import io
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from soak_crew import Asker, Dropper, Fickle, Member, Talker, Visitor
from soak_faults import Unlucky
from soak_report import (
    Log,
    Sample,
    Verdict,
    flat,
    heading,
    print_graph,
    print_table,
    require_matplotlib,
    resolution,
    row,
    save_plot,
    warmed_up,
)
from soak_talk import PATIENCE, Kind, Site, Tally

TALKERS: Final = [
    Kind("ga", True, "worker"),
    Kind("preview", False, "worker"),
    Kind("ga", False, "inline"),
    Kind("preview", True, "inline"),
    Kind("ga", True, "queue"),
    Kind("preview", False, "queue"),
]
DELTAS: Final = 400
"""In one response of a talker, over 0.7 seconds."""
GIVEN_BACK_SECONDS: Final = 3.0
LEAK_BYTES: Final = 1 << 16


class Service:
    """The process at the far end, and what it says about itself."""

    def __init__(self, sabotage: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("soak_service.py")), f"--sabotage={sabotage}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the service did not start; what it says is above")
        self.facts: dict[str, Any] = json.loads(line)
        self.counts: Counter[str] = Counter()  # replaced as a whole
        self.is_finished = False
        self._listener = threading.Thread(target=self._listen, name="soak-service", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.counts = Counter(json.loads(line))
            self.is_finished = bool(self.counts["is_final"])

    def end(self) -> bool:
        """Have it finish, and return whether it did so in good order."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join(PATIENCE)
        return code == 0 and self.is_finished and not self.counts["failed"] and not self.counts["open"]


def resident_bytes() -> int:
    """Memory of this process; where there is no /proc, the most it ever was; 0 on Windows."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")), 0)
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return 0


def with_one_heap(heaps: int) -> None:
    """
    Run this program again with so many heaps of glibc's, if it has more.

    glibc has up to eight for each core, one for every few threads, and each keeps what the largest message
    that was ever cut out of it has left free: ``malloc_trim`` gives back the end of the first one only. So
    resident memory goes up in steps for hours (111 to 120 MiB in 12 minutes) while what is in use does not
    (12 to 22 MiB all the time). With one heap the same work takes 51 to 53 MiB.
    """
    wanted = {"MALLOC_ARENA_MAX": str(heaps)}
    if heaps and sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


class _MallInfo(ctypes.Structure):
    """What glibc 2.33 and later says of all heaps; see ``man mallinfo2``."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


class Malloc:
    """The C library's: asked to give back what is free, and what it has given out."""

    def __init__(self) -> None:
        self._trim: Any = None
        self._info: Any = None
        with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library, or Windows
            library = ctypes.CDLL(None)
            self._trim = library.malloc_trim
            self._info = library.mallinfo2
            self._info.restype = _MallInfo

    def give_back_what_is_free(self) -> None:
        """Have it give back to the system what is not in use, where it can be asked to."""
        if self._trim is not None:
            self._trim(0)

    def bytes_in_use(self) -> int:
        """Return what it has given out; 0 if it does not tell."""
        if self._info is None:
            return 0
        info = self._info()
        return int(info.uordblks + info.hblkhd)


MALLOC: Final = Malloc()


def open_descriptors() -> int:
    """How many this process has; 0 where the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(directory)) - 1  # that of the listing itself
    return 0


class Complaints(logging.Handler):
    """
    What the library logs as an error (a listener that failed, a thread that died) is a surprise.

    Warnings are not: they are about connections that were lost, and the crew sees to it that they are.
    """

    def __init__(self, tally: Tally) -> None:
        super().__init__(logging.WARNING)
        self._tally = tally

    def emit(self, record: logging.LogRecord) -> None:
        """Take note."""
        if record.levelno >= logging.ERROR:
            why = record.exc_info[1] if record.exc_info else None
            self._tally.surprise(record.name, RuntimeError(f"{record.getMessage()} ({why!r})"))


class Soak:
    """The run itself."""

    def __init__(self, service: Service, only_tls: bool, leaks: bool) -> None:
        self.service = service
        self.tally = Tally()
        logging.getLogger("azure_rt_audio").addHandler(Complaints(self.tally))
        self.log = Log()
        self._leaks = leaks
        self._kept: list[object] = []  # what sabotage does not give back
        self._stop = threading.Event()
        authority = ssl.create_default_context(cadata=service.facts["ca"])
        site = Site(service.facts, authority, only_tls)
        rest = (site, self.tally, self._stop)
        talkers = [Talker(number, kind, DELTAS, *rest, 0.3) for number, kind in enumerate(TALKERS)]
        self.crew: list[Member] = [
            *talkers,
            Visitor("visitor", *rest, 0.5),
            Dropper("dropper", *rest, 1.5),
            Fickle(talkers, *rest, 0.1),
            Asker(*rest, 0.5),
            Unlucky(*rest, 0.4),
        ]
        self._began = time.monotonic()
        self.before = self._sample()

    def _sample(self) -> Sample:
        MALLOC.give_back_what_is_free()
        here, there = self.tally.snapshot(), self.service.counts
        return Sample(
            seconds=time.monotonic() - self._began,
            rss=resident_bytes(),
            malloc=MALLOC.bytes_in_use(),
            blocks=sys.getallocatedblocks(),
            descriptors=open_descriptors(),
            threads=threading.active_count(),
            cpu=time.process_time(),
            events=here["events"],
            sends=here["sends"],
            connects=here["connects"],
            faults=here["faults"],
            lost=here["lost"] + there["lost"] + there["unannounced"],
            corrupted=here["corrupted"] + there["corrupted"],
            surprises=here["surprises"],
        )

    def run(self, seconds: float, interval: float) -> None:
        """Run for so long; blocks."""
        for member in self.crew:
            member.start()
        latest = self._sample()
        self.log.append(latest)
        pause = threading.Event()
        show, shown = _shower(), 0
        with contextlib.suppress(KeyboardInterrupt):
            while latest.seconds < seconds:
                pause.wait(min(interval, max(0.01, seconds - latest.seconds)))
                latest = self._sample()
                self.log.append(latest)
                show(self.log)
                for surprise in self.tally.surprises[shown:]:
                    print(f"surprise: {latest.seconds / 60:.0f} min: {surprise}", file=sys.stderr, flush=True)
                shown = len(self.tally.surprises)
                if self._leaks:
                    self._kept += [socket.socket(), bytearray(LEAK_BYTES)]

    def end(self) -> list[Verdict]:
        """Have everybody stop, and judge."""
        self._stop.set()
        deadline = time.monotonic() + 2 * PATIENCE
        for member in self.crew:
            member.join(max(0.0, deadline - time.monotonic()))
        stuck = [member.name for member in self.crew if member.is_alive()]
        for member in self.crew:
            if member.name not in stuck:
                try:
                    member.finish()
                except Exception as exc:  # noqa: BLE001 - as in Member.run
                    self.tally.surprise(member.name, exc)
        given_back = self._given_back()
        is_well = self.service.end()
        here, there = self.tally.snapshot(), self.service.counts
        return [
            self._flat("memory", lambda sample: sample.rss / 2**20, _memory_tolerance, " MiB"),
            self._flat("malloc", lambda sample: sample.malloc / 2**20, lambda _: 4.0, " MiB"),
            self._flat("objects", lambda sample: sample.blocks / 1000, _objects_tolerance, "k"),
            self._flat("descriptors", lambda sample: sample.descriptors, lambda _: 4.0, ""),
            self._flat("threads", lambda sample: sample.threads, lambda _: 3.0, ""),
            given_back,
            self._nothing_lost("nothing lost, to here", here, here["events"], "audio deltas"),
            self._nothing_lost("nothing lost, to the service", there, there["appends"], "appends"),
            Verdict(
                "nobody stuck",
                not stuck and all(member.turns for member in self.crew),
                "; ".join(f"{member.name.removeprefix('soak-')} {member.turns}" for member in self.crew)
                + (f"; stuck: {', '.join(stuck)}" if stuck else ""),
            ),
            Verdict("no surprise", not here["surprises"], f"{here['surprises']} of them"),
            Verdict("the service is well", is_well, f"{there['connections']:,} connections served"),
        ]

    def _flat(self, name: str, value: Any, tolerance: Any, unit: str) -> Verdict:
        return flat(f"{name} flat", self.log.all(), value, tolerance, unit, _REASONS[name])

    def _given_back(self) -> Verdict:
        """When all clients are closed, everything must be as it was before the first one."""
        deadline = time.monotonic() + GIVEN_BACK_SECONDS
        pause = threading.Event()
        while True:
            gc.collect()
            after = self._sample()
            more = {
                "descriptors": int(after.descriptors - self.before.descriptors),
                "threads": int(after.threads - self.before.threads),
                "clients": len(self.tally.clients),
            }
            if not any(more.values()) or time.monotonic() > deadline:
                break
            pause.wait(0.05)
        words = ", ".join(f"{count:+d} {name}" for name, count in more.items())
        return Verdict("everything given back", not any(more.values()), f"{words} after the last goodbye")

    def _nothing_lost(self, name: str, counts: Counter[str], seen: int, what: str) -> Verdict:
        lost, corrupted = counts["lost"] + counts["unannounced"], counts["corrupted"]
        words = f"{seen:,} {what} arrived, {lost} lost, {corrupted} corrupted"
        return Verdict(name, not lost and not corrupted and seen > 0, words)


_REASONS: Final = {
    "memory": "large messages come at random",
    "malloc": "a sample may catch a few large messages",
    "objects": "how many clients and events there are at the moment",
    "descriptors": "a sample may catch short-lived clients, two each",
    "threads": "a sample may catch short-lived clients, two each",
}


def _memory_tolerance(before_mib: float) -> float:
    return max(4.0, 0.05 * before_mib)


def _objects_tolerance(before: float) -> float:
    return 0.05 * before


def _shower() -> Any:
    """Return what tells how it goes: a line that is overwritten on a terminal, one a minute in a file."""
    is_terminal = sys.stderr.isatty()
    shown = [-60.0]

    def show(log: Log) -> None:
        *_, now = recent = log.latest(4)
        if not is_terminal and now.seconds - shown[0] < 60:
            return
        if shown[0] < 0:
            print(heading(), file=sys.stderr)
        shown[0] = now.seconds
        line = row(now, recent[0])
        print(line, end="\r" if is_terminal else "\n", file=sys.stderr, flush=True)

    return show


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Run what users do, over and over, and see what it leaves behind."
    )
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--minutes", type=float, default=5.0)
    how_long.add_argument("--hours", type=float)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--plot", type=Path, help="save the graph as a picture, with matplotlib")
    parser.add_argument("--heaps", type=int, default=1, help="of glibc's malloc; 0: as it likes")
    parser.add_argument("--tls", action="store_true", help="everything over TLS, instead of half")
    parser.add_argument(
        "--sabotage", default="", help=argparse.SUPPRESS
    )  # delta, append, leak: must make it fail
    return parser.parse_args()


@contextlib.contextmanager
def _served(sabotage: str) -> Iterator[Service]:
    service = Service(sabotage)
    try:
        yield service
    finally:
        service.end()


def main() -> int:
    """Run what the command line asks for."""
    arguments = _arguments()
    with_one_heap(arguments.heaps)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without the bars of the graph
    seconds = 3600 * arguments.hours if arguments.hours else 60 * arguments.minutes
    if arguments.plot is not None:
        require_matplotlib()  # rather now than after an hour
    with _served(arguments.sabotage) as service:
        soak = Soak(service, arguments.tls, "leak" in arguments.sabotage)
        soak.run(seconds, min(arguments.interval, seconds / 20))
        verdicts = soak.end()
    print(f"\n{'':80}\r", end="")
    samples = soak.log.all()
    print_table(samples)
    print()
    print_graph(samples)
    print("\nerrors that listeners were told, all of them provoked:")
    for kind, count in sorted(soak.tally.errors().items()):
        print(f"{count:>8,}  {kind}")
    print()
    for verdict in verdicts:
        print(verdict)
    settled = warmed_up(samples)
    print(resolution(samples, _memory_tolerance(settled[0].rss / 2**20) * 2**20))
    for surprise in soak.tally.surprises:
        print(f"surprise: {surprise}")  # once more: those told during the run are far above
    if arguments.plot is not None:
        version = ".".join(map(str, sys.version_info[:3]))
        save_plot(samples, arguments.plot, f"{seconds / 60:g} minutes, Python {version}, {sys.platform}")
        print(f"graph: {arguments.plot}")
    return 0 if all(verdict.holds is not False for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
