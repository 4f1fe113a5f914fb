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
    steps, clicks, understood = [2**16] * turns, [], []
    for _ in range(4):  # a busy machine stutters now and then: what a swap does, it does each time
        once, often = (
            converse(room, turns, swaps=swaps, dialect=dialect, seed=seed) for swaps in (False, True)
        )
        with capsys.disabled():
            print(f"\n{dialect}, one connection: {once}\n{dialect}, with swaps: {often}")  # noqa: T201 - figures
        assert [*once.errors, *often.errors] == []
        assert len(often.swaps) >= turns
        assert all(event.is_planned and not event.lost for _, event in often.swaps)
        assert [answer.is_given for answer in often.answers] == [True] * turns
        assert len(often.understood) == turns
        if not (once.is_real_time and often.is_real_time):
            return  # devices stutter whenever the machine is busy
        steps = list(map(min, steps, often.steps(once)))
        clicks.append(often.click)
        understood.append(often.understood)
        if max(steps) == 0 and min(clicks) <= 1 and often.said in understood:
            break

    assert often.said in understood
    assert steps == [0] * turns
    assert min(clicks) <= 1
