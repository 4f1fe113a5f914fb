"""Which commands of a recording were dropped before they were sent. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from .format import Dropped, Entry, Sent

__all__ = ["dropped_sound"]

_ROUNDED_SECONDS = 1e-6


def dropped_sound(entries: Sequence[Entry]) -> frozenset[int]:
    """Return the ``id()`` of each command with sound that was not sent, because the line was too slow."""
    runs = [entry for entry in entries if isinstance(entry, Dropped)]
    if not runs:
        return frozenset()
    appends: dict[int, list[Sent]] = {}
    for entry in entries:
        if isinstance(entry, Sent) and entry.type == "input_audio_buffer.append":
            appends.setdefault(entry.connection, []).append(entry)
    for sent in appends.values():
        sent.sort(key=lambda entry: entry.t)
    found: set[int] = set()
    for run in runs:
        sent = appends.get(run.connection, [])
        # A command is recorded with a time just before it is queued.
        first = bisect.bisect_right(sent, run.since + _ROUNDED_SECONDS, key=lambda entry: entry.t) - 1
        if first >= 0:
            found.update(map(id, sent[first : first + run.count]))
    return frozenset(found)
