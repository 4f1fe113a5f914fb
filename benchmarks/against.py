"""
This checkout against another one: ``python benchmarks/against.py ../other-checkout --pairs 15``.

Both are measured by the same programs, in pairs whose order alternates. Each pair gives a ratio, this
checkout to the other. The table has the geometric mean of the ratios with its 95 % interval; below
1 this checkout is cheaper or quicker. CPU time is of all threads of the client's process. Machines are noisy:
trust the interval, not the mean.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent

_T_95 = {5: 2.776, 10: 2.262, 15: 2.145, 20: 2.093, 30: 2.045, 60: 2.001}
"""Student's t for so many ratios; between them the next smaller number counts."""

Figures = dict[tuple[str, str, str], float]


def _measure(checkout: Path, arguments: Sequence[str]) -> Figures:
    """Return microseconds of CPU per event, and of a round trip, by contestant, scheme and measure."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / "compare.py"), "--rounds", "1", "--parts", "race"]
        command += ["--only", "default", "inline", "--json", str(found), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, timeout=600)
        samples = json.loads(found.read_text(encoding="utf-8"))["samples"]
    figures = {}
    for sample in samples:
        key = (sample["key"], sample["scheme"], sample["measure"])
        figures[key] = 1e6 * sample["cpu_seconds"] / sample["count"]
        if sample.get("p50_us"):
            figures[(*key[:2], f"{key[2]}, p50")] = sample["p50_us"]
    return figures


def _time_import(checkout: Path) -> Figures:
    """Return milliseconds of CPU that importing the package takes, compiled, the least of five."""
    program = (
        "import time; began = time.process_time(); import azure_rt_audio; print(time.process_time() - began)"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""}
    took = [
        float(subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True).stdout)
        for _ in range(5)
    ]
    return {("import", "", "CPU ms"): 1000 * min(took)}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("other", type=Path, help="another checkout of this project")
    parser.add_argument("--pairs", type=int, default=15, help="how many; 15")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement; 0.4")
    parser.add_argument("--scheme", nargs="+", choices=("ws", "wss"), default=["ws", "wss"])
    chosen = parser.parse_args()
    trees = {"this": HERE.parent.resolve(), "other": chosen.other.resolve()}
    arguments = ["--seconds", str(chosen.seconds), "--scheme", *chosen.scheme]
    found: dict[str, list[Figures]] = {"this": [], "other": []}
    for pair in range(chosen.pairs):
        for name in ("this", "other") if pair % 2 else ("other", "this"):
            found[name].append(_measure(trees[name], arguments) | _time_import(trees[name]))
        print(f"pair {pair + 1} of {chosen.pairs}", file=sys.stderr, flush=True)
    t = _T_95[max((n for n in _T_95 if n <= chosen.pairs), default=5)]
    print("| who | over | what | this | other | ratio | 95 % |\n| :-- | :-- | :-- | --: | --: | --: | --: |")
    for key in found["this"][0]:
        ours, theirs = ([figures[key] for figures in found[name]] for name in ("this", "other"))
        logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
        mean = statistics.fmean(logs)
        half = t * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
        low, high = math.exp(mean - half), math.exp(mean + half)
        middle = f"{statistics.median(ours):.1f} | {statistics.median(theirs):.1f}"
        print(f"| {' | '.join(key)} | {middle} | {math.exp(mean):.3f} | {low:.3f}-{high:.3f} |")


if __name__ == "__main__":
    main()
