"""
Ctrl-C at every step of a call.

The interrupts come from a thread that competes for the interpreter: each time it gets that away from the
main thread in the middle of a call, the interrupt strikes there. So a few thousand of them strike wherever
one can, and a gap of a single step is found some hundred times.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTS = 2000


class Storm:
    """Presses Ctrl-C all the time; what is called through it may be interrupted anywhere, once."""

    def __init__(self) -> None:
        self._is_armed = False

    @contextlib.contextmanager
    def blowing(self) -> Iterator[None]:
        """Press as long as the block runs, on the main thread."""
        for name in list(logging.root.manager.loggerDict):  # who is stopped in logging's first look locks it
            for level in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).isEnabledFor(level)
        is_over = threading.Event()

        def press() -> None:
            while not is_over.wait(1e-6):  # lets the other thread run, if there is one processor only
                _thread.interrupt_main()

        gc.disable()  # an interrupt in a callback of the collector's is lost, with a warning
        previous, interval = signal.signal(signal.SIGINT, self._strike), sys.getswitchinterval()
        pressing = threading.Thread(target=press, name="pressing")
        sys.setswitchinterval(1e-6)
        pressing.start()
        try:
            yield
        finally:
            is_over.set()
            pressing.join()
            sys.setswitchinterval(interval)
            signal.signal(signal.SIGINT, previous)
            gc.enable()

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed:
            self._is_armed = False
            raise KeyboardInterrupt

    def strikes(self, call: Callable[[], object]) -> bool:
        """Call it, and return whether it was interrupted."""
        try:
            self._is_armed = True
            call()
            self._is_armed = False
        except KeyboardInterrupt:
            return True
        return False


def count_stuck(call: Callable[[], object], *locks: threading.Lock) -> int:
    """Return how many of so many interrupted calls left one of the *locks* taken; they are freed again."""
    storm = Storm()
    struck = stuck = 0
    with storm.blowing():
        while struck < INTERRUPTS:
            struck += storm.strikes(call)
            for lock in locks:
                if lock.locked():
                    lock.release()
                    stuck += 1
    return stuck
