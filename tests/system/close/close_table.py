"""
The longest time that close() takes in every state: ``python tests/system/close/close_table.py --runs 20``.

``--only`` names the rows to run by a part of their names.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parents[3]))  # the checkout, unless it is installed

from close_callers import LIMIT
from close_interrupts import BLOCKING_CALLS, interrupt_all
from close_rows import ROWS
from close_scripts import SCRIPTS


def main() -> int:
    """Print the table; return 1 if a row took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    rows: dict[str, tuple[Callable[[], float], float]] = {
        name: (row.run, LIMIT) for name, row in ROWS.items()
    }
    rows.update((name, (script.run, script.limit)) for name, script in SCRIPTS.items())
    say(f"{'state':40} {'runs':>5} {'median s':>9} {'longest s':>9} {'limit s':>8}")
    is_late = False
    for name, (run, limit) in rows.items():
        if arguments.only in name:
            is_late |= tell(name, [run() for _ in range(arguments.runs)], limit)
    if arguments.only in "Ctrl-C":
        presses = [interrupt_all() for _ in range(arguments.runs)]
        for name in BLOCKING_CALLS:
            is_late |= tell(f"Ctrl-C: {name}", [seconds[name] for seconds in presses], 1.0)
    return int(is_late)


def tell(name: str, seconds: list[float], limit: float) -> bool:
    """Print a line; return whether the limit was exceeded."""
    median, longest = statistics.median(seconds), max(seconds)
    is_late = longest >= limit
    say(f"{name:40} {len(seconds):5} {median:9.3f} {longest:9.3f} {limit:8.1f}{' LATE' * is_late}")
    return is_late


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
