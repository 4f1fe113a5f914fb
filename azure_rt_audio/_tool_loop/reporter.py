"""What listeners of the program are told of calls, and asked."""

from __future__ import annotations

import logging
import weakref

from .._log import get_logger
from .._session.asked import Asked
from .._session.engine import Engine
from ..protocol.events.local import LocalEvent, ToolApprovalRequested

__all__ = ["Reporter"]

log: logging.Logger = get_logger(__name__)


class Reporter:
    """Tells the listeners of a session, which is held weakly: threads of tools may outlive it. Any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)

    def tell(self, event: LocalEvent) -> None:
        """Tell of an event."""
        engine = self._engine()
        if engine is not None:
            engine.tell(event)

    def ask(self, request: ToolApprovalRequested, what: str, remedy: str) -> Asked:
        """
        Tell of a request to approve; the log warns if nobody can decide on it.

        Args:
            what: Needs approval, in words.
            remedy: What can be done in place of listening, in words.
        """
        engine = self._engine()
        if engine is None:
            return Asked()
        if not engine.has_listener(ToolApprovalRequested):
            log.warning("! %s needs approval, and nobody listens to %r", what, request.type)
        asked = Asked(engine.audience.dispatchers(ToolApprovalRequested), remedy)
        asked.note_turn(request)
        asked.is_seen |= engine.tell(request)
        return asked
