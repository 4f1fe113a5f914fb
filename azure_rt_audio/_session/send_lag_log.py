"""Says how far sending is behind: events for listeners, and one warning for the log."""

from __future__ import annotations

import logging
from typing import Final

from .._log import get_logger
from .._pages import LIMITS
from .._transport import LagReport
from ..protocol.events.local import SendLag

__all__ = ["SendLagLog"]

log: logging.Logger = get_logger(__name__)

_BECOMES: Final = {"keep": "all of it will be sent", "drop_oldest": "the older half is dropped"}


class SendLagLog:
    """
    Makes events of reports, and warns of the first one.

    Args:
        lag: What becomes of the sound, as the options say.

    **Threads.** The I/O thread.
    """

    def __init__(self, lag: str) -> None:
        self._lag = lag
        self._has_warned = False

    def take(self, report: LagReport) -> SendLag:
        """Return the event of a report."""
        event = SendLag(
            lag_s=report.lag_s,
            unsent_bytes=report.unsent_bytes,
            dropped_s=report.dropped_s,
            is_behind=report.is_behind,
        )
        if event.is_behind and not self._has_warned:
            self._has_warned = True
            log.warning('! %s; lag="%s": %s. %s', event.message, self._lag, _BECOMES[self._lag], LIMITS)
        else:
            log.debug("= %s", event.message)
        return event
