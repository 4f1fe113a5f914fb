"""Imports of optional dependencies, and what is said when they fail."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import BrokenExtraError, MissingExtraError, RealtimeError

__all__ = ["importing"]


@contextmanager
def importing(module: str, extra: str, what: str) -> Iterator[None]:
    """
    Import *module* in this block, with an import statement, which tools that freeze programs find.

    Ctrl-C takes effect when the import has ended: what it would leave of a compiled module cannot be imported
    again in this process, and the extra would be reported as broken.

    Args:
        module: Its full name, dots included.
        extra: The extra that installs it.
        what: What needs it, for the error.

    Raises:
        MissingExtraError: It is not installed.
        BrokenExtraError: It is installed, but its import fails, whatever that raises.
    """
    with _deferred_interrupt(module):
        try:
            yield
        except RealtimeError:
            raise
        except Exception as error:  # a C library that is missing is an OSError, another ABI a ValueError
            # What a package lacks that is there has another name: a dependency, its compiled part.
            if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
                raise MissingExtraError(what, extra) from error
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise BrokenExtraError(what, extra, module, reason) from error


@contextmanager
def _deferred_interrupt(module: str) -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, in which *module* is imported, unless it was before."""
    handler = signal.getsignal(signal.SIGINT)
    # Only the main thread is interrupted. What is no function ignores Ctrl-C, or is none of Python's.
    is_main = threading.current_thread() is threading.main_thread()
    if module in sys.modules or not is_main or not callable(handler):
        yield
        return
    is_pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal is_pressed
        is_pressed = True

    try:
        signal.signal(signal.SIGINT, note)
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if is_pressed:
            signal.raise_signal(signal.SIGINT)
