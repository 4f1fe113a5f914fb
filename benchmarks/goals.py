"""What this library wants to reach, as ratios within a run, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen
from contestants import PEERS
from findings import Figure, Findings, cpu_ns_per_byte, cpu_us, p50_us, rate
from race import LISTENERS, SCHEMES, SIZES, Case

__all__ = ["Goal", "goals"]

_NOISE: Final = 1.25
"""What still counts as flat."""


@frozen
class Goal:
    """
    A goal, plain and over TLS.

    Attributes:
        limit: In words; empty for what is only told.
        reached: With their unit; ``None`` if it was not measured.
        is_met: By each of those that were measured.
    """

    name: str
    limit: str
    unit: str
    digits: int
    reached: tuple[float | None, ...]
    is_met: bool | None


def goals(found: Findings) -> list[Goal]:
    """Return all of them that this run says something about."""
    return [goal for goal in _all(found) if any(goal.reached)]


def _all(found: Findings) -> Iterator[Goal]:
    yield _at_least(5, "received/s, of the best peer's", found, "default", "receive", PEERS)
    yield _at_least(8, "received/s inline, of the best peer's", found, "inline", "receive", PEERS)
    yield _at_least(
        None, "the same, of websocket-client's, UTF-8 unchecked", found, "inline", "receive", ["tuned"]
    )
    for measure, chunk in (("send_100", "100 ms"), ("send_20", "20 ms")):
        yield _at_least(1.5, f"sent/s, {chunk}, of the best peer's", found, "default", measure, PEERS)
    for key, how in (("default", ""), ("inline", " inline")):
        yield _at_most(1.5, f"round trip{how}, p50, of the raw socket's", found, key, "floor")
        yield _at_most(None, "the same, of the raw socket's with two threads", found, key, "floor2")
    ours, bare = found.imports.get("azure_rt_audio"), found.imports.get("nothing")
    if ours is not None and bare is not None:
        yield _goal("import, less the interpreter", 130, " ms", [ours.wall_ms - bare.wall_ms])
    each = [found.idle[scheme].kilobytes_each if scheme in found.idle else None for scheme in SCHEMES]
    yield _goal("an idle connection", 150, " KB", each)
    for key, how in (("default", ""), ("inline", " inline")):
        yield _flat(f"CPU per byte{how}, 1 KB to 1 MB, worst step", found, cpu_ns_per_byte, _sizes(key))
        yield _flat(f"CPU per event{how}, 1 to 1 000 listeners elsewhere", found, cpu_us, _listeners(key))


def _goal(
    name: str, limit: float | None, unit: str, reached: Sequence[float | None], *, least: bool = False
) -> Goal:
    known = [value for value in reached if value is not None]
    told = "" if limit is None else f"{'≥' if least else '≤'} {limit:g}{unit}"
    met = None if limit is None else all(value >= limit if least else value <= limit for value in known)
    return Goal(name, told, unit, 2 if unit == " ×" else 0, tuple(reached), met)


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours and theirs else None


def _at_least(
    limit: float | None, name: str, found: Findings, key: str, measure: str, others: Sequence[str]
) -> Goal:
    ratios = []
    for scheme in SCHEMES:
        rates = [found.median(Case(other, scheme, measure), rate) for other in others]
        best = max((value for value in rates if value), default=None)
        ratios.append(_ratio(found.median(Case(key, scheme, measure), rate), best))
    return _goal(name, limit, " ×", ratios, least=True)


def _at_most(limit: float | None, name: str, found: Findings, key: str, floor: str) -> Goal:
    trips = [
        [found.median(Case(who, scheme, "round_trip"), p50_us) for who in (key, floor)] for scheme in SCHEMES
    ]
    return _goal(name, limit, " ×", [_ratio(ours, theirs) for ours, theirs in trips])


def _sizes(key: str) -> Callable[[str], list[tuple[Case, Case]]]:
    """Pair each size with the one before it: what is fixed for an event weighs less and less."""

    def pairs(scheme: str) -> list[tuple[Case, Case]]:
        cases = [Case(key, scheme, "receive", characters=size) for size in SIZES]
        return list(pairwise(cases))

    return pairs


def _listeners(key: str) -> Callable[[str], list[tuple[Case, Case]]]:
    """Pair each number of listeners with a single one."""

    def pairs(scheme: str) -> list[tuple[Case, Case]]:
        first, *others = (Case(key, scheme, "receive", elsewhere=count) for count in LISTENERS)
        return [(first, other) for other in others]

    return pairs


def _flat(
    name: str, found: Findings, figure: Figure, pairs: Callable[[str], list[tuple[Case, Case]]]
) -> Goal:
    worst = []
    for scheme in SCHEMES:
        ratios = [
            _ratio(found.least(after, figure), found.least(before, figure)) for before, after in pairs(scheme)
        ]
        worst.append(max((ratio for ratio in ratios if ratio), default=None))
    return _goal(name, _NOISE, " ×", worst)
