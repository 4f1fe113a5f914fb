# ruff: noqa: T201 - what it says is printed
"""What a soak says in the end: a table, a graph, and whether it holds."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import statistics
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

__all__ = [
    "Log",
    "Sample",
    "Verdict",
    "draw",
    "flat",
    "heading",
    "print_graph",
    "print_table",
    "require_matplotlib",
    "resolution",
    "row",
    "save_plot",
    "warmed_up",
]

WARM_UP: Final = 0.2
"""Share of the run, and at most so many seconds, in which pools and caches may still fill."""
WARM_UP_SECONDS: Final = 120.0
LONG_SECONDS: Final = 3600.0
"""From this length on, the second half is judged: by then everything has come to rest."""
LEAST_SECONDS: Final = 120.0
"""A run shorter than this says nothing about memory: the allocator has not come to rest."""
_ROWS: Final = 24
_WIDTH: Final = 64
_BARS: Final = "▁▂▃▄▅▆▇█"


@attrs.frozen
class Sample:
    """
    How things stand; numbers only, so that the samples of an hour are no growth of their own.

    Attributes:
        seconds: Since the beginning.
        rss: Resident memory in bytes; 0 where the system does not tell.
        malloc: Bytes that the C library has given out; 0 where it does not tell.
        blocks: Pieces of memory that Python's objects take.
        descriptors: Open ones; 0 where the system does not tell.
        cpu: Seconds of it that were used so far.
        events: Audio deltas received so far, as all that follows is so far.
        sends: Pieces of audio sent.
        lost: Pieces that never arrived, in either direction.
        corrupted: Pieces that arrived damaged or twice, in either direction.
    """

    seconds: float
    rss: float = 0
    malloc: float = 0
    blocks: float = 0
    descriptors: float = 0
    threads: float = 0
    cpu: float = 0
    events: float = 0
    sends: float = 0
    connects: float = 0
    faults: float = 0
    lost: float = 0
    corrupted: float = 0
    surprises: float = 0


class Log:
    """Samples in a row, without an object for each."""

    def __init__(self) -> None:
        self._numbers = array("d")
        self._width = len(attrs.fields(Sample))

    def append(self, sample: Sample) -> None:
        """Keep one more."""
        self._numbers.extend(attrs.astuple(sample))

    def latest(self, count: int) -> list[Sample]:
        """Return the last ones."""
        rows = len(self._numbers) // self._width
        return [self._row(index) for index in range(max(0, rows - count), rows)]

    def all(self) -> list[Sample]:
        """Return all of them."""
        return self.latest(len(self._numbers))

    def _row(self, index: int) -> Sample:
        return Sample(*self._numbers[index * self._width : (index + 1) * self._width])


@attrs.frozen
class Verdict:
    """Whether a criterion holds; ``None`` if the run cannot tell."""

    name: str
    holds: bool | None
    words: str

    def __str__(self) -> str:
        sign = {True: "holds", False: "FAILS", None: "not judged"}[self.holds]
        return f"{self.name:32}{sign:12}{self.words}"


def warmed_up(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples after the warm-up."""
    length = samples[-1].seconds if samples else 0.0
    start = length / 2 if length >= LONG_SECONDS else min(length * WARM_UP, WARM_UP_SECONDS)
    return [sample for sample in samples if sample.seconds >= start]


def flat(
    name: str,
    samples: Sequence[Sample],
    value: Callable[[Sample], float],
    tolerance: Callable[[float], float],
    unit: str,
    why: str,
) -> Verdict:
    """
    Judge whether something stays as it is: the median of the last third against that of the first.

    Medians, because a single sample may fall into a burst; after the warm-up.

    Args:
        tolerance: How much more is allowed, given the median of the first third.
        why: The reason for that tolerance.
    """
    settled = warmed_up(samples)
    third = len(settled) // 3
    if not third or settled[-1].seconds < LEAST_SECONDS:
        return Verdict(name, None, f"a run of less than {LEAST_SECONDS / 60:g} minutes cannot tell")
    before = statistics.median(value(sample) for sample in settled[:third])
    after = statistics.median(value(sample) for sample in settled[-third:])
    if not before:
        return Verdict(name, None, "the system does not tell")
    allowed = tolerance(before)
    words = f"{before:.1f} -> {after:.1f}{unit}, allowed +{allowed:.1f}: {why}"
    return Verdict(name, after - before <= allowed, words)


def resolution(samples: Sequence[Sample], tolerance_bytes: float) -> str:
    """Return how small a leak of memory would have been noticed, in words; empty for a short run."""
    settled = warmed_up(samples)
    third = len(settled) // 3
    if not third or settled[-1].seconds < LEAST_SECONDS:
        return ""
    before, after = settled[third // 2], settled[-1 - third // 2]
    connects = after.connects - before.connects
    events = after.events - before.events
    return (
        f"more than {tolerance_bytes / max(1, connects):,.0f} bytes left behind by each connection, "
        f"or {tolerance_bytes / max(1, events):.1f} by each event, would have failed"
    )


def _columns() -> list[tuple[str, int, Callable[[Sample, Sample], str]]]:
    """Heading, width, and what to write, given a sample and the one in the row before."""

    def rate(value: Callable[[Sample], float]) -> Callable[[Sample, Sample], str]:
        return lambda now, before: f"{_rate(now, before, value):,.0f}"

    return [
        ("time", 8, lambda now, _: f"{int(now.seconds) // 60}:{int(now.seconds) % 60:02}"),
        ("RSS MiB", 9, lambda now, _: f"{now.rss / 2**20:.1f}"),
        ("malloc", 8, lambda now, _: f"{now.malloc / 2**20:.1f}"),
        ("objects", 9, lambda now, _: f"{now.blocks / 1000:.0f}k"),
        ("fds", 5, lambda now, _: f"{now.descriptors:.0f}"),
        ("threads", 9, lambda now, _: f"{now.threads:.0f}"),
        ("CPU %", 7, lambda now, before: f"{100 * _rate(now, before, lambda sample: sample.cpu):.0f}"),
        ("events/s", 10, rate(lambda sample: sample.events)),
        ("sends/s", 9, rate(lambda sample: sample.sends)),
        ("connects", 10, lambda now, _: f"{now.connects:,.0f}"),
        ("faults", 8, lambda now, _: f"{now.faults:,.0f}"),
        ("lost", 6, lambda now, _: f"{now.lost:.0f}"),
        ("corrupt", 9, lambda now, _: f"{now.corrupted:.0f}"),
        ("surprises", 11, lambda now, _: f"{now.surprises:.0f}"),
    ]


def _rate(now: Sample, before: Sample, value: Callable[[Sample], float]) -> float:
    return (value(now) - value(before)) / max(0.001, now.seconds - before.seconds)


def heading() -> str:
    """Return the first line of the table."""
    return "".join(f"{name:>{width}}" for name, width, _ in _columns())


def row(now: Sample, before: Sample) -> str:
    """Return a line of the table; rates are those since *before*."""
    return "".join(f"{write(now, before):>{width}}" for _, width, write in _columns())


def print_table(samples: Sequence[Sample]) -> None:
    """Print the samples, thinned out if there are many; levels are then medians of those left out."""
    step = -(-len(samples) // _ROWS)
    print(heading())
    before = samples[0]
    for start in range(1, len(samples), step):
        group = samples[start : start + step]
        last = attrs.evolve(
            group[-1],
            rss=statistics.median(sample.rss for sample in group),
            malloc=statistics.median(sample.malloc for sample in group),
            blocks=statistics.median(sample.blocks for sample in group),
            descriptors=statistics.median(sample.descriptors for sample in group),
            threads=statistics.median(sample.threads for sample in group),
        )
        print(row(last, before))
        before = last


def _series(samples: Sequence[Sample]) -> list[tuple[str, list[float]]]:
    """What is drawn, by name; the values belong to all samples but the first."""
    pairs = list(zip(samples[1:], samples, strict=False))
    return [
        ("memory, MiB", [now.rss / 2**20 for now, _ in pairs]),
        ("malloc, MiB", [now.malloc / 2**20 for now, _ in pairs]),
        ("objects, thousands", [now.blocks / 1000 for now, _ in pairs]),
        ("descriptors", [now.descriptors for now, _ in pairs]),
        ("threads", [now.threads for now, _ in pairs]),
        ("events per second", [_rate(*pair, lambda sample: sample.events) for pair in pairs]),
        ("lost or corrupted", [now.lost + now.corrupted for now, _ in pairs]),
    ]


def draw(values: Sequence[float], width: int = _WIDTH) -> str:
    """Return a line of bars, each as high as the mean of its share of the values; the scale begins at 0."""
    if not values:
        return ""
    columns = min(width, len(values))
    bounds = [len(values) * index // columns for index in range(columns + 1)]
    means = [statistics.fmean(values[a:b]) for a, b in itertools.pairwise(bounds)]
    top = max(means) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int(len(_BARS) * mean / top))] for mean in means)


def print_graph(samples: Sequence[Sample]) -> None:
    """Draw everything with letters, over the whole time."""
    for name, values in _series(samples):
        print(f"{name:>19} {draw(values):{_WIDTH}} {min(values):,.0f} to {max(values):,.0f}")


def save_plot(samples: Sequence[Sample], path: Path, title: str) -> None:
    """Save the graph as a picture, for which matplotlib must be installed."""
    importlib.import_module("matplotlib").use("Agg")  # for a process without a screen
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    series = _series(samples)
    minutes = [sample.seconds / 60 for sample in samples[1:]]
    settled = warmed_up(samples)
    figure, axes = pyplot.subplots(len(series), 1, sharex=True, figsize=(11, 2 * len(series)))
    for axis, (name, values) in zip(axes, series, strict=True):
        axis.plot(minutes, values, linewidth=0.9)
        axis.set_ylabel(name)
        top = max(1.0, max(values) * 1.15)
        axis.set_ylim(-0.04 * top, top)
        axis.axvspan(0, settled[0].seconds / 60, color="0.92")
        axis.grid(alpha=0.3)
    axes[0].set_title(title)
    axes[-1].set_xlabel("minutes (grey: warm-up)")
    figure.align_ylabels(axes)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def require_matplotlib() -> None:
    """
    Make sure that :func:`save_plot` will work, without a look into it: it would add to what is measured.

    Raises:
        SystemExit: If matplotlib is not installed; says how to get it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib (the text graph needs nothing)")
