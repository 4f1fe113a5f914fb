"""
What becomes of a conversation when its connection is cut: a table of so many positions for each kind of cut,
each dialect, with and without TLS::

    python tests/reconnect/chaos_table.py --positions 1000

A position is a random message or byte, either way; more cuts may follow, while the conversation is restored,
too. A case that fails is printed with its number, and leaves a recording in ``--recordings``; with the same
``--seed``, ``--case`` repeats it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import gc
import itertools
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[2]))  # the checkout, unless it is installed

from chaos import KINDS, Case, Network, Table, draw_one
from scripted_conversation import Outcome

from azure_rt_audio import ReconnectPolicy

POLICY = ReconnectPolicy(initial_delay=0.05, max_delay=0.5, max_seconds=20)
CELLS = tuple(itertools.product(KINDS, ("ga", "preview"), (False, True)))

Result: TypeAlias = "tuple[int, Case, Outcome]"

_BATCH = 2 * len(CELLS)
_SPARE = 8  # descriptors that a process opens once
_HANG = 10.0


def case_of(number: int, seed: int) -> Case:
    """Return a case of the table; its cells take turns."""
    how, dialect, is_secure = CELLS[number % len(CELLS)]
    case = draw_one(random.Random(f"{seed} {number}"))
    first = replace(case.cuts[0], how=how)
    return replace(case, cuts=(first, *case.cuts[1:]), dialect=dialect, is_secure=is_secure)


@functools.cache
def _network(recordings: Path) -> Network:
    logging.disable()  # thousands of losses are told
    own = recordings / str(os.getpid())
    own.mkdir(parents=True)
    network = Network(own)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # a tenth of the time would be spent on it: clients have many objects
    return network


def run_batch(numbers: list[int], seed: int, recordings: Path, at_once: int) -> list[Result]:
    """Run some cases in this process, so many at a time; nothing may be left of them."""
    network = _network(recordings)
    before = len(os.listdir("/proc/self/fd"))
    cases = [case_of(number, seed) for number in numbers]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(network.run, case, reconnect=POLICY) for case in cases]
    results = [
        (number, case, future.result()) for number, case, future in zip(numbers, cases, futures, strict=True)
    ]
    deadline = time.monotonic() + _HANG
    while left := _left(before):
        if time.monotonic() > deadline:
            results[-1][2].failures.append(f"a batch has left {left}")
            break
        gc.collect()  # what websockets made
        threading.Event().wait(0.05)
    return results


def _left(descriptors: int) -> str:
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith(("azure-rt", "cut"))]
    more = len(os.listdir("/proc/self/fd")) - descriptors
    return ", ".join(threads) or (f"{more} descriptors" if more > _SPARE else "")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell(tables: dict[str, Table]) -> None:
    """Print the table, and what was lost."""
    heads = ("runs", "cuts", "again", "lost", "short", "errors", "p50 s", "p99 s", "failed")
    say(" " * 16 + "".join(f"{head:>7}" for head in heads))
    for name, table in tables.items():
        told = "".join(f"{table.told[kind]:7}" for kind in ("lost", "shortened", "turn"))
        gaps = f"{table.gap_s(0.5):7.2f}{table.gap_s(0.99):7.2f}"
        say(f"{name:16}{table.runs:7}{table.cuts:7}{table.reconnects:7}{told}{gaps}{table.failed:7}")
    say("\nLost, shortened and told:")
    for reason, count in tables["all"].reasons.most_common():
        say(f"{count:7}  {reason}")


def main() -> int:
    """Run the cases and print the table; return 1 if one failed."""
    parser = argparse.ArgumentParser(description="Cut a conversation wherever it can be cut, and count.")
    parser.add_argument("--positions", type=int, default=1000, help="for each kind of cut, dialect and TLS")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--case", type=int, help="run only this one")
    parser.add_argument("--recordings", type=Path, help="where those of failed cases are left")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--at-once", type=int, default=14, help="cases in each process: they mostly wait")
    chosen = parser.parse_args()
    recordings = chosen.recordings or Path(tempfile.mkdtemp(prefix="chaos-"))
    count = chosen.positions * len(CELLS)
    numbers = list(range(count)) if chosen.case is None else [chosen.case]
    say(f"seed {chosen.seed}; {len(numbers)} cases; recordings of those that fail: {recordings}")
    tables: dict[str, Table] = defaultdict(Table)
    for name in (*KINDS, "ga", "preview", "plain", "tls", "all"):
        tables[name] = Table()
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # also in a shell's background
        signal.signal(number, signal.default_int_handler)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(chosen.processes, context) as pool:
        batches = [
            pool.submit(run_batch, numbers[start : start + _BATCH], chosen.seed, recordings, chosen.at_once)
            for start in range(0, len(numbers), _BATCH)
        ]
        try:
            for batch in concurrent.futures.as_completed(batches):
                for number, case, outcome in batch.result():
                    for failure in outcome.failures:
                        say(f"FAILED --case {number}: {case}: {failure}")
                    names = (case.cuts[0].how, case.dialect, "tls" if case.is_secure else "plain", "all")
                    for name in names:
                        tables[name].add(case, outcome)
                done = tables["all"].runs
                sys.stderr.write(f"\r{done} of {len(numbers)} in {time.monotonic() - began:.0f} s ")
                sys.stderr.flush()
        except KeyboardInterrupt:
            say("\nended early")
            tell(tables)
            for process in multiprocessing.active_children():
                process.kill()
            os._exit(1)  # the pool would wait for what it has begun
    minutes = (time.monotonic() - began) / 60
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / max(1, tables["all"].runs)
    say(f"\nseed {chosen.seed}, {minutes:.1f} min, {cpu:.2f} s of CPU for each run")
    tell(tables)
    return int(bool(tables["all"].failed))


if __name__ == "__main__":
    sys.exit(main())
