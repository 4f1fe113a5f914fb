"""
This library beside others, in figures: ``tox -e bench``, or ``python benchmarks/compare.py``.

What is measured, always in one run, by interleaved rounds of which the medians are shown:

* events received and delivered to a listener: audio deltas of 10 KB with transcripts between;
* chunks of 100 ms and 20 ms sent, from bytes of PCM16, until the service has them;
* round trips: from the call of a method to the end of the listener that hears the answer;
* what ``import`` takes, what an idle connection takes, and how costs grow with sizes and listeners.

Machines are noisy: compare within a table only. CPU time, of all threads of the client's process, is the
steadier figure; the service is a process of its own. Nothing is asserted: the goals say yes or no. It takes
some four minutes, ``--quick`` one, on Linux; on macOS without what is known there only.

The files: ``peer.py`` is the service, ``service.py`` runs it and says where; ``contestants.py`` are those who
are compared, ``floors.py`` the raw sockets beside them, ``stage.py`` the process of each, ``race.py`` the
rounds; ``imports.py`` and ``idle.py`` measure what they say; ``findings.py`` is all that was found,
``goals.py`` what is wanted, ``machine.py`` where it was, ``report.py`` the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from contestants import CONTESTANTS
from findings import Findings
from idle import weigh
from imports import IMPORTS, time_imports
from machine import describe
from race import LISTENERS, MEASURES, SCHEMES, SIZES, Case, Race
from report import report
from service import serving
from stage import Failure

_IDLE: Final = 1000
_TRIPS: Final = 1000
_PARTS: Final = ("race", "scale", "import", "idle")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="less of everything, in less than a minute")
    parser.add_argument("--rounds", type=int, help="how often; 5, or 3 if quick")
    parser.add_argument("--seconds", type=float, help="of each measurement; 0.4, or 0.12 if quick")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="WHO")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, metavar="PART")
    parser.add_argument("--scheme", nargs="+", choices=SCHEMES, default=SCHEMES)
    parser.add_argument("--unpinned", action="store_true", help="give the service no core of its own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there, too")
    chosen = parser.parse_args(arguments)
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 5)
    chosen.seconds = chosen.seconds or (0.12 if chosen.quick else 0.4)
    return chosen


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def _race_cases(chosen: argparse.Namespace) -> list[Case]:
    return [
        Case(key, scheme, measure)
        for scheme in chosen.scheme
        for measure in MEASURES
        for key in chosen.only
        if CONTESTANTS[key].is_installed and measure in CONTESTANTS[key].measures
    ]


def _scale_cases(chosen: argparse.Namespace) -> list[Case]:
    ours = [key for key in ("default", "inline") if key in chosen.only]
    floor = [key for key in ("floor",) if key in chosen.only]
    return [
        *(
            Case(key, scheme, "receive", characters=size)
            for scheme in chosen.scheme
            for size in SIZES
            for key in (*ours, *floor)
        ),
        *(
            Case(key, scheme, "receive", elsewhere=count)
            for scheme in chosen.scheme
            for count in LISTENERS
            for key in ours
        ),
    ]


def measure(chosen: argparse.Namespace) -> Findings:
    """Measure what was chosen. Blocks for minutes."""
    with (
        serving(not chosen.unpinned) as services,
        contextlib.closing(Race(services, chosen.seconds, _TRIPS)) as race,
    ):
        if "race" in chosen.parts:
            _say("race")
            race.run(_race_cases(chosen), chosen.rounds, _say)
        if "scale" in chosen.parts:
            _say("sizes and listeners")
            race.run(_scale_cases(chosen), 2 if chosen.quick else chosen.rounds, _say)
        race.close()
        imports, idle = {}, {}
        if "import" in chosen.parts:
            _say("import")
            entries = {"openai": "openai", "azure-ai-voicelive": "voicelive"}
            names = [n for n in IMPORTS if n not in entries or CONTESTANTS[entries[n]].is_installed]
            imports = time_imports(5 if chosen.quick else 15, names)
        if "idle" in chosen.parts:
            for scheme in chosen.scheme:
                _say(f"{_IDLE:,} idle connections, {scheme}")
                try:
                    idle[scheme] = weigh(services[scheme], _IDLE)
                except Failure as failure:
                    race.failures.append(f"idle connections, {scheme}: {failure}")
        return Findings(race.samples, imports, idle, race.failures, describe())


def _plain(found: Findings) -> dict[str, object]:
    """Return all that was found for a program, a row for each sample; of round trips two percentiles."""
    rows = [
        {
            **attrs.asdict(case),
            "count": sample.count,
            "seconds": sample.seconds,
            "cpu_seconds": sample.cpu_seconds,
            **({f"p{p}_us": sample.percentile_us(p) for p in (50, 99)} if sample.trips else {}),
        }
        for case, samples in found.samples.items()
        for sample in samples
    ]
    return {
        "machine": list(found.machine),
        "samples": rows,
        "imports": {name: attrs.asdict(one) for name, one in found.imports.items()},
        "idle": {scheme: attrs.asdict(one) for scheme, one in found.idle.items()},
        "failures": list(found.failures),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    chosen = _arguments(arguments)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    began = time.monotonic()
    found = measure(chosen)
    print(report(found))
    print(f"{chosen.rounds} rounds, medians; {time.monotonic() - began:.0f} s in all")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(_plain(found), indent=1))


if __name__ == "__main__":
    main()
