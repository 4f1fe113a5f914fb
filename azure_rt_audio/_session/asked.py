"""
The listeners that were asked to approve a call, and whether they can answer.

A listener cannot be called while its thread waits. If that waits for the very answer the call is needed for,
as ``ask()`` in a listener does, nobody can decide: the call is denied at once.

**Threads.** The I/O thread; a flag is written by any thread, and only set.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from .._log import get_logger
from .._pages import THREADS
from ..dispatch import Dispatcher
from ..dispatch.base import Serving
from ..protocol.events.local import ToolApprovalRequested

__all__ = ["UNREACHABLE", "Asked"]

log: logging.Logger = get_logger(__name__)

UNREACHABLE: Final = "whoever could have decided was not reached"
"""What the model is told."""


class Asked:
    """
    Who was asked.

    Args:
        dispatchers: Where the listeners run.
        remedy: What can be done in place of listening, in words.

    Attributes:
        is_seen: Somebody has the request.
    """

    def __init__(self, dispatchers: Sequence[Dispatcher] = (), remedy: str = "") -> None:
        self._dispatchers = dispatchers
        self._remedy = remedy
        self.is_seen = False

    def note_turn(self, request: ToolApprovalRequested) -> None:
        """Have it noted when the turn of the listeners comes. Called before they are told."""
        for dispatcher in self._dispatchers:
            try:
                dispatcher.submit(self._see, request)
            except Exception as exc:  # noqa: BLE001 - a user's; it fails for the listeners as well, which is logged
                log.debug("= %s does not take a request: %s", type(dispatcher).__name__, exc)

    def _see(self, _: ToolApprovalRequested) -> None:
        self.is_seen = True

    def waits_for(self, thread_ids: set[int]) -> bool:
        """Whether the listeners are yet to be called, and only by these threads."""
        return bool(
            thread_ids
            and self._dispatchers
            and not self.is_seen
            and all(
                isinstance(one, Serving) and any(map(one.serves, thread_ids)) for one in self._dispatchers
            )
        )

    def tell_stuck(self, what: str) -> None:
        """Log why a call was denied at once."""
        log.warning(
            "! %s was denied: the listeners of 'tool_approval_requested' run on the thread that waits for "
            "the answer, and so cannot be called; ask from another thread, or %s. %s",
            what,
            self._remedy,
            THREADS,
        )

    def tell_silence(self, what: str, seconds: float) -> None:
        """Log why a call was denied after its time."""
        if self._dispatchers and not self.is_seen:
            log.warning(
                "! %s was denied after %g s: the listeners of 'tool_approval_requested' have not been called "
                "yet, as their thread waits or is busy; ask from another thread, or %s. %s",
                what,
                seconds,
                self._remedy,
                THREADS,
            )
        else:
            log.warning(
                "! %s was denied after %g s: nobody has called request.approve() or request.deny(); what a "
                "listener returns decides nothing",
                what,
                seconds,
            )
