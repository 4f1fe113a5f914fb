"""The tables, in Markdown that can be read as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from contestants import CONTESTANTS
from findings import Figure, Findings, cpu_ns_per_byte, cpu_us, p50_us, p99_us, rate
from goals import goals
from race import LISTENERS, MEASURES, SCHEMES, SIZES, Case

__all__ = ["report"]

_OVER: Final = {"ws": "plain", "wss": "TLS"}


def report(found: Findings) -> str:
    """Return everything, for people."""
    bytes_head = ["CPU ns per byte received, least", *(f"{size // 1024:,} KB" for size in SIZES)]
    events_head = ["CPU us per event, least, by listeners elsewhere", *(f"{count:,}" for count in LISTENERS)]
    parts = [
        _versus(found),
        _imports(found),
        _idle(found),
        _series(bytes_head, found, [(size, 0) for size in SIZES], cpu_ns_per_byte),
        _series(events_head, found, [(10_240, count) for count in LISTENERS], cpu_us),
        _goals(found),
        "\n".join(f"Did not finish: {failure}" for failure in found.failures),
        "\n".join(found.machine),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, words on the left and figures on the right; empty without rows."""
    if not rows:
        return ""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]

    def line(cells: Iterable[str]) -> str:
        (name, width), *others = zip(cells, widths, strict=True)
        return f"| {name:<{width}} | " + " | ".join(f"{cell:>{width}}" for cell, width in others) + " |"

    ruler = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(ruler), *map(line, rows)])


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _versus(found: Findings) -> str:
    head = ["", "over", "received/s", "CPU us", "sent/s, 100 ms", "CPU us", "sent/s, 20 ms", "CPU us"]
    rows = []
    for scheme in SCHEMES:
        for key, entry in CONTESTANTS.items():
            cases = {measure: Case(key, scheme, measure) for measure in MEASURES}
            if not any(case in found.samples for case in cases.values()):
                continue
            row = [entry.name, _OVER[scheme]]
            for measure in ("receive", "send_100", "send_20"):
                row.append(_number(found.median(cases[measure], rate)))
                row.append(_number(found.median(cases[measure], cpu_us), 1))
            row += [_number(found.median(cases["round_trip"], figure)) for figure in (p50_us, p99_us)]
            rows.append(row)
    return _table([*head, "round trip us, p50", "p99"], rows)


def _imports(found: Findings) -> str:
    bare = found.imports.get("nothing")
    if bare is None:
        return ""
    head = ["import", "ms", "CPU ms", "less the interpreter, ms", "CPU ms", "the statement alone, ms"]
    rows = []
    for name, one in found.imports.items():
        net = (one.wall_ms - bare.wall_ms, one.cpu_ms - bare.cpu_ms)
        rows.append([name, *map(_number, (one.wall_ms, one.cpu_ms, *net, one.statement_ms))])
    return _table(head, rows)


def _idle(found: Findings) -> str:
    head = ["idle connections in one process", "KB each", "threads each", "ms to be ready", "CPU % of all"]
    rows = [
        [
            f"{idle.connections:,}, {_OVER[scheme]}",
            _number(idle.kilobytes_each),
            _number(idle.threads_each, 1),
            _number(idle.seconds / idle.connections * 1e3, 1),
            _number(idle.cpu_seconds * 100, 1),
        ]
        for scheme, idle in found.idle.items()
    ]
    return _table(head, rows)


def _series(head: Sequence[str], found: Findings, steps: Sequence[tuple[int, int]], figure: Figure) -> str:
    """Return a line for each who has two steps at least."""
    rows = []
    for scheme in SCHEMES:
        for key, entry in CONTESTANTS.items():
            cases = [Case(key, scheme, "receive", characters, elsewhere) for characters, elsewhere in steps]
            values = [found.least(case, figure) for case in cases]
            if len(values) - values.count(None) > 1:
                rows.append([f"{entry.name}, {_OVER[scheme]}", *(_number(value, 2) for value in values)])
    return _table(head, rows)


def _goals(found: Findings) -> str:
    rows = []
    for goal in goals(found):
        reached = ["" if value is None else _number(value, goal.digits) + goal.unit for value in goal.reached]
        reached += [""] * (len(SCHEMES) - len(reached))
        rows.append([goal.name, goal.limit, *reached, {True: "yes", False: "no", None: ""}[goal.is_met]])
    return _table(["goal", "limit", *(_OVER[scheme] for scheme in SCHEMES), "met"], rows)
