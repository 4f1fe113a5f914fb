"""A spoken conversation goes over to another connection all the time, and nobody hears it."""

from __future__ import annotations

import pytest
from sound.room import Room
from sound.swaps import converse

pytestmark = pytest.mark.sound


@pytest.mark.timeout(600)
def test_swaps_are_not_heard(
    room: Room, effort: float, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each word arrives once, and the loudspeaker plays the same samples as over one connection."""
    turns = 2 if effort <= 1 else 30  # two minutes
    dialect = ("ga", "preview")[seed % 2]
    once = converse(room, turns, swaps=False, dialect=dialect, seed=seed)
    for _ in range(3):  # a busy machine stutters now and then: what a swap does, it does each time
        often = converse(room, turns, swaps=True, dialect=dialect, seed=seed)
        with capsys.disabled():
            print(f"\n{dialect}, one connection: {once}\n{dialect}, with swaps: {often}")  # noqa: T201 - figures
        if (often.gap_ms, often.step(once)) == (0.0, 0):
            break

    assert [*once.errors, *often.errors] == []
    assert len(often.swaps) >= turns
    assert all(event.is_planned and not event.lost for _, event in often.swaps)
    assert [answer.is_given for answer in often.answers] == [True] * turns
    assert len(often.understood) == turns
    if once.is_real_time and often.is_real_time:  # else devices stutter whenever the machine is busy
        assert often.understood == often.said
        assert (often.gap_ms, often.step(once)) == (0.0, 0)
        assert often.click <= 1
