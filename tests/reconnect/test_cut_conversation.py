"""
A conversation goes on over whatever happens to its connection.

What must be true is in ``scripted_conversation.Program.check``. A case that fails leaves a recording in the
test's folder, and is repeated by its seed.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chaos import KINDS, Case, Network, Table, boundaries, draw, run_all

from azure_rt_audio import ReconnectPolicy

_ONCE = 8
"""Descriptors that a process opens once; a run that leaves one leaves dozens in all."""

POLICY = ReconnectPolicy(initial_delay=0.05, max_delay=0.5, max_seconds=20)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A network; no descriptor may be left of it."""
    network = Network(tmp_path)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield network
    for _ in range(100):  # the service's threads may still be closing theirs
        gc.collect()  # what websockets made
        if len(os.listdir("/proc/self/fd")) <= before + _ONCE:
            break
        threading.Event().wait(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + _ONCE


def held(network: Network, cases: list[Case], capsys: pytest.CaptureFixture[str]) -> Table:
    table = run_all(network, cases, reconnect=POLICY)
    with capsys.disabled():
        print(f"\n{table}")  # noqa: T201 - the report

    assert table.failures == []
    return table


@pytest.mark.parametrize("part", range(4))
def test_cut_at_each_boundary(
    part: int, network: Network, effort: float, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between any two messages, either way; kinds of cut, dialects and TLS take turns."""
    cases = boundaries(seed)[part::4]
    count = max(1, round(len(cases) * min(1.0, effort)))
    table = held(network, random.Random(seed).sample(cases, count), capsys)

    assert table.uncut <= 0.05 * count + 1  # a run that is shorter than most


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut"])
def test_planned_swaps(
    is_cut: bool, network: Network, effort: float, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going over to another connection all the time loses nothing, whatever happens to either."""
    fit = (case for case in draw(seed) if is_cut or not case.faults)
    drawn = itertools.islice(fit, max(1, round(10 * effort)))
    cases = [replace(case, swaps=True, cuts=case.cuts if is_cut else ()) for case in drawn]
    table = held(network, cases, capsys)

    assert table.planned > 2 * len(cases)


@pytest.mark.parametrize("how", KINDS)
def test_cut_anywhere(
    how: str, network: Network, effort: float, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """At random bytes and messages, once or more, restoring included; ``chaos_table.py`` has thousands."""
    fit = (case for case in draw(seed) if case.cuts[0].how == how)
    held(network, list(itertools.islice(fit, max(1, round(8 * effort)))), capsys)
