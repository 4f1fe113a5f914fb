"""
Interleaved rounds: everybody once, then everybody again, so that a machine's moods are shared.

How much each of them is given to do is found out in a first round that does not count.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from contestants import CONTESTANTS
from service import Service
from stage import Failure, Order, Sample, Stage

__all__ = ["LISTENERS", "MEASURES", "SCHEMES", "SIZES", "Case", "Race"]

SCHEMES: Final = ("ws", "wss")
MEASURES: Final = ("receive", "send_100", "send_20", "round_trip")
SIZES: Final = (1024, 10_240, 102_400, 1_048_576)
"""Characters of a delta."""
LISTENERS: Final = (1, 10, 100, 1000)
_TRIAL: Final = {"receive": 200, "send_100": 500, "send_20": 500, "round_trip": 100}
_MOST: Final = 100_000
_MOST_BYTES: Final = 400_000_000


@attrs.frozen
class Case:
    """Who does what, and where."""

    key: str
    scheme: str
    measure: str
    characters: int = 10_240
    elsewhere: int = 0


class Race:
    """
    All the rounds.

    Attributes:
        samples: What came of each case, a sample a round.
        failures: What did not finish, in words.
    """

    def __init__(self, services: Mapping[str, Service], seconds: float, trips: int) -> None:
        self._services = services
        self._seconds = seconds
        self._trips = trips
        self._stages = {key: Stage(key) for key in CONTESTANTS}
        self._counts: dict[Case, int] = {}
        self.samples: dict[Case, list[Sample]] = {}
        self.failures: list[str] = []

    def run(self, cases: Sequence[Case], rounds: int, say: Callable[[str], None]) -> None:
        """Run the cases in turn, so many times, after a trial."""
        for case in cases:
            self._try_out(case)
        say("trial done")
        for number in range(rounds):
            for case in cases:
                if case in self._counts:
                    self._perform(case, self._counts[case])
            say(f"round {number + 1} of {rounds}")

    def _try_out(self, case: Case) -> None:
        sample = self._order(case, min(_TRIAL[case.measure], self._bound(case)))
        if sample is None:
            return
        wanted = (
            self._trips
            if case.measure == "round_trip"
            else int(sample.count / sample.seconds * self._seconds)
        )
        self._counts[case] = max(min(wanted, self._bound(case)), 20)

    def _bound(self, case: Case) -> int:
        return min(_MOST, _MOST_BYTES // case.characters) if case.measure == "receive" else _MOST

    def _perform(self, case: Case, count: int) -> None:
        sample = self._order(case, count)
        if sample is not None:
            self.samples.setdefault(case, []).append(sample)

    def _order(self, case: Case, count: int) -> Sample | None:
        service = attrs.evolve(
            self._services[case.scheme],
            events=count if case.measure == "receive" else 0,
            characters=case.characters,
        )
        try:
            return self._stages[case.key].perform(Order(case.measure, count, service, case.elsewhere))
        except Failure as failure:
            self.failures.append(f"{CONTESTANTS[case.key].name}, {case.scheme}, {case.measure}: {failure}")
            print(self.failures[-1], file=sys.stderr)
            return None

    def close(self) -> None:
        """End all processes."""
        for stage in self._stages.values():
            stage.close()
