"""All that was measured, and the figures that are taken from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from idle import Idle
from imports import Import
from race import Case
from stage import Sample

__all__ = ["Figure", "Findings", "cpu_ns_per_byte", "cpu_us", "p50_us", "p99_us", "rate"]

Figure = Callable[[Case, Sample], float]


def rate(_: Case, sample: Sample) -> float:
    """How many a second."""
    return sample.count / sample.seconds


def cpu_us(_: Case, sample: Sample) -> float:
    """CPU microseconds each."""
    return sample.cpu_seconds / sample.count * 1e6


def cpu_ns_per_byte(case: Case, sample: Sample) -> float:
    """CPU nanoseconds for each character of a delta."""
    return sample.cpu_seconds / sample.count / case.characters * 1e9


def p50_us(_: Case, sample: Sample) -> float:
    """The median of the round trips in microseconds."""
    return sample.percentile_us(50)


def p99_us(_: Case, sample: Sample) -> float:
    """What 99 in 100 round trips do not exceed, in microseconds."""
    return sample.percentile_us(99)


@frozen
class Findings:
    """
    What came of everything.

    Attributes:
        samples: Of each case, a sample a round.
        imports: By what was imported.
        idle: By scheme.
        failures: What did not finish, in words.
        machine: Where it was, line by line.
    """

    samples: Mapping[Case, Sequence[Sample]]
    imports: Mapping[str, Import]
    idle: Mapping[str, Idle]
    failures: Sequence[str]
    machine: Sequence[str]

    def median(self, case: Case, figure: Figure) -> float | None:
        """Return the median of the rounds; ``None`` if there is none."""
        values = [figure(case, sample) for sample in self.samples.get(case, ())]
        return statistics.median(values) if values else None

    def least(self, case: Case, figure: Figure) -> float | None:
        """Return the least of the rounds, to which noise has added least; ``None`` if there is none."""
        return min((figure(case, sample) for sample in self.samples.get(case, ())), default=None)
