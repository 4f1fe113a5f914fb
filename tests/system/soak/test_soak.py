"""The soak itself: that a short one holds, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soak_numbers import Checker, are_whole, numbered, words
from soak_report import Log, Sample, draw, flat

import azure_rt_audio

pytestmark = pytest.mark.thorough

SOAK = Path(__file__).with_name("soak.py")
PACKAGE = Path(azure_rt_audio.__file__).parent
MINUTES = "0.07"
HANG = 90.0


def start(*arguments: str) -> subprocess.Popen[str]:
    """Begin a short soak in a process of its own."""
    command = [sys.executable, str(SOAK), "--minutes", MINUTES, *arguments]
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen(command, env=environment, **pipes)


def said_of(output: str, criterion: str) -> str:
    """Return the verdict on a criterion."""
    lines = [line for line in output.splitlines() if line.startswith(criterion)]
    assert len(lines) == 1, output
    return lines[0].removeprefix(criterion).split()[0]


def test_a_soak_holds_and_one_with_faults_of_its_own_does_not() -> None:
    """A few seconds lose nothing; a lost delta, a lost append and a leak each fail what looks for them."""
    with start() as good, start("--sabotage=delta,append,leak") as bad:  # at the same time, to be quick
        try:
            good_output, bad_output = good.communicate(timeout=HANG)[0], bad.communicate(timeout=HANG)[0]
        finally:
            good.kill()
            bad.kill()

    checked = ("everything given back", "nothing lost, to here", "nothing lost, to the service")
    healthy = ("nobody stuck", "no surprise", "the service is well")
    assert [said_of(good_output, name) for name in (*checked, *healthy)] == ["holds"] * 6, good_output
    assert "surprise:" not in good_output
    assert "memory, MiB" in good_output
    assert good.returncode == 0
    assert [said_of(bad_output, name) for name in checked] == ["FAILS"] * 3, bad_output
    assert said_of(bad_output, "the service is well") == "holds"
    assert bad.returncode == 1


def samples(level: Callable[[float], float], minutes: float) -> list[Sample]:
    """Return samples of a run, five seconds apart, of a memory that is so large after so many seconds."""
    return [Sample(seconds, rss=level(seconds)) for seconds in range(0, int(60 * minutes), 5)]


def climbs(seconds: float) -> float:
    """A hundred and then one more every minute."""
    return 100 + seconds / 60


def fills(seconds: float) -> float:
    """A pool that is full after a minute, with a peak every now and then."""
    return 100 + min(seconds, 60) + (50 if seconds % 60 == 0 else 0)


@pytest.mark.parametrize(
    ("level", "minutes", "expected"),
    [(climbs, 60, False), (fills, 60, True), (fills, 5, True), (climbs, 1, None), (lambda _: 0, 60, None)],
)
def test_what_is_flat(level: Callable[[float], float], minutes: float, expected: bool | None) -> None:
    """A steady climb fails, a pool that fills and peaks do not; a short run and no figures tell nothing."""
    verdict = flat("x", samples(level, minutes), lambda sample: sample.rss, lambda _: 5.0, "MiB", "a reason")

    assert verdict.holds is expected


def test_samples_are_kept_as_numbers() -> None:
    """What goes into the log comes out of it, and the latest are the last."""
    log = Log()
    for number in range(5):
        log.append(Sample(number, rss=100 + number, surprises=number))

    assert log.all() == [Sample(number, rss=100 + number, surprises=number) for number in range(5)]
    assert log.latest(2) == log.all()[-2:]
    assert log.latest(9) == log.all()


def judged(*pieces: bytes, total: int) -> tuple[int, int]:
    """Return how many of the pieces are found to be lost, and corrupted."""
    lost: list[int] = []
    corrupted: list[None] = []
    checker = Checker(lost.append, lambda: corrupted.append(None))
    for piece in pieces:
        checker.take(piece)
    checker.finish(total)
    return sum(lost), len(corrupted)


def test_what_is_lost_or_corrupted() -> None:
    """A gap, an end that is missing, a changed byte, a repetition and a wrong order are all seen."""
    first, second, third = (numbered(number, 4800) for number in range(3))
    damaged = second[:100] + bytes([second[100] ^ 1]) + second[101:]

    assert judged(first, second, third, total=3) == (0, 0)
    assert judged(first, third, total=3) == (1, 0)
    assert judged(first, second, total=3) == (1, 0)
    assert judged(first, damaged, third, total=3) == (0, 1)
    assert judged(first, first, second, third, total=3)[1] > 0
    assert judged(first, third, second, total=3)[0] > 0
    assert judged(b"", first, total=1)[1] > 0


@pytest.mark.parametrize("size", [12, 960, 1_000_000])
def test_sizes_are_what_was_asked_for(size: int) -> None:
    """A piece, and a text, is as long as it should be, and says what it is."""
    assert len(numbered(7, size)) == size
    assert len(words(7, size)) == size
    assert are_whole(words(7, size))
    assert not are_whole("0" + words(7, size))


def test_a_line_of_bars_begins_at_nothing() -> None:
    """What stays the same is drawn level, and what doubles is drawn twice as high."""
    assert draw([100.0, 101.0, 100.0, 99.0]) in ("▇█▇▇", "████")
    assert draw([1.0, 2.0]) == "▅█"
    assert draw([0.0, 0.0]) == "▁▁"
    assert len(draw([1.0] * 1000, width=64)) == 64
