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
from pathlib import Path
from types import FrameType

import azure_rt_audio

INTERRUPTS = 2000

_PACKAGE = str(Path(azure_rt_audio.__file__).parent)


class Storm:
    """
    Presses Ctrl-C all the time; what is called through it may be interrupted anywhere, once.

    Args:
        times: With 2 the next one comes at the next step, which is one of what cleans up after the first.

    Attributes:
        in_cleanup: How many second ones struck in the package.
    """

    def __init__(self, times: int = 1) -> None:
        self._times = times
        self._left = 0
        self.in_cleanup = 0

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
        if self._left:
            self._left -= 1
            if self._left:
                _thread.interrupt_main()
            elif self._times > 1:
                self.in_cleanup += _is_in_package(frame)
            raise KeyboardInterrupt

    def strikes(self, call: Callable[[], object]) -> bool:
        """Call it, and return whether it was interrupted."""
        is_struck = False
        try:
            try:
                self._left = self._times
                call()
                self._left = 0
            except KeyboardInterrupt:
                is_struck, self._left = True, 0
        except KeyboardInterrupt:  # the second one, in the line before
            is_struck, self._left = True, 0
        return is_struck


def _is_in_package(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
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
