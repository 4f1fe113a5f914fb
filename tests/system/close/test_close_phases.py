"""
The close matrix for a client that is about to have another connection: after a loss, and in a planned swap.

``--effort`` 1 draws a seeded share of it, 8 runs all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import pytest
from close_callers import LIMIT
from close_phase_rows import PHASE_ROWS, PHASE_SCRIPTS, interrupt_in, run_script
from close_phases import PHASES
from sampling import sample
from test_close_matrix import keeps_its_time

pytestmark = pytest.mark.thorough

posix_only = pytest.mark.skipif(os.name != "posix", reason="forks and signals")


@pytest.fixture
def share(effort: float, seed: int) -> Callable[[Iterable[str]], list[str]]:
    """A function that draws from names of rows."""

    def draw(names: Iterable[str]) -> list[str]:
        return sample(names, effort / 8, seed)

    return draw


@pytest.mark.parametrize("phase", PHASES)
def test_close_returns_in_time_in(phase: str, share: Callable[[Iterable[str]], list[str]]) -> None:
    """Whoever closes, and wherever: it keeps its time, callers wake with the reason, and nothing is left."""
    for name in share(name for name in PHASE_ROWS if name.startswith(phase)):
        keeps_its_time(PHASE_ROWS[name].run, LIMIT)


@pytest.mark.parametrize("phase", PHASES)
def test_a_client_nobody_holds_goes_in(phase: str, share: Callable[[Iterable[str]], list[str]]) -> None:
    """A client that is dropped there is collected, and its threads and descriptors go in time."""
    dropped = [name for name, row in PHASE_ROWS.items() if name.startswith(phase) and row.is_dropped]
    for name in {f"{phase}: main thread", *share(dropped)}:
        PHASE_ROWS[name].drop()


@posix_only
@pytest.mark.parametrize("phase", PHASES)
def test_a_program_ends_in_time_in(phase: str, share: Callable[[Iterable[str]], list[str]]) -> None:
    """Wherever a program closes on its way out, it takes no longer, and has nothing to say about it."""
    for name in share(name for name in PHASE_SCRIPTS if name.startswith(phase)):
        keeps_its_time(lambda name=name: run_script(name), PHASE_SCRIPTS[name][1].limit)  # type: ignore[misc]


@posix_only
def test_ctrl_c_in_each_phase(share: Callable[[Iterable[str]], list[str]]) -> None:
    """Ctrl-C ends every blocking call at once there, and the client can then be closed as ever."""
    for phase in share(PHASES):
        keeps_its_time(lambda phase=phase: max(interrupt_in(phase).values()), 1.0)  # type: ignore[misc]
