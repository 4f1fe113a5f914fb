"""The service as it was recorded: which script answers which connection, and where clients differed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from ..._log import get_logger
from ...recording import Recording
from ..dialects.choose import DIALECTS
from .comparison import ABSENT, Difference
from .engine import ReplayEngine
from .script import Ending, scripts

__all__ = ["ReplayedService"]

log: logging.Logger = get_logger(__name__)

_MAX_DIFFERENCES: Final = 100
_FATAL: Final = 4000
"""Close code after which a client does not connect again."""


class ReplayedService:
    """
    Answers the connections of an emulator as they were recorded, the first as the first.

    Args:
        recording: What was recorded.
        speed: Seconds of the recording per second; ``None`` does not wait.

    Attributes:
        dialect: In which it was recorded.
        deployment: With which; ``None`` if that is not known.
        on_difference: Called when a client differs.

    **Threads and locks.** Every method may be called from any thread. The lock is a leaf: nothing is called
    while it is held.
    """

    def __init__(self, recording: Recording, *, speed: float | None) -> None:
        configuration = recording.header.configuration
        dialect = configuration.get("dialect")
        is_known = isinstance(dialect, str) and dialect in DIALECTS
        self.dialect: str = str(dialect) if is_known else next(iter(DIALECTS))
        deployment = configuration.get("deployment")
        self.deployment: str | None = deployment if isinstance(deployment, str) and deployment else None
        self._has_texts = recording.header.redact is None
        self._speed = speed
        self.on_difference: Callable[[], object] = list
        self._scripts = scripts(recording)
        self._lock = threading.Lock()
        self._engines: list[ReplayEngine] = []
        self._differences: tuple[Difference, ...] = ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where clients differed by now; what has not come yet is no difference."""
        return self._differences

    def missing(self) -> list[Difference]:
        """Return what no client has said: the first command of each connection, and the first connection."""
        with self._lock:
            engines = list(self._engines)
        missing = [difference for engine in engines if (difference := engine.missing) is not None]
        if len(engines) < len(self._scripts):
            missing.append(Difference(len(engines) + 1, 0, 0, "connection", "a connection", ABSENT))
        return missing

    def new_engine(self, number: int, now: float) -> ReplayEngine:
        """Return what answers a connection; *number* counts them from 1."""
        if number <= len(self._scripts):
            script = self._scripts[number - 1]
        elif self._scripts and self._scripts[-1] and isinstance(self._scripts[-1][-1], Ending):
            # The last one was lost, and the recording ends there: whoever connects again is not another.
            script = (Ending(0.0, _FATAL, "the recording ends here"),)
        else:
            self._tell(Difference(number, 0, 0, "connection", ABSENT, "a connection"))
            script = (Ending(0.0, _FATAL, "this connection was not recorded"),)
        engine = ReplayEngine(
            number,
            script,
            speed=self._speed,
            without_texts=not self._has_texts,
            tell=self._tell,
            now=now,
        )
        with self._lock:
            self._engines.append(engine)
        return engine

    def _tell(self, difference: Difference) -> None:
        # Without values, which may be what somebody said.
        log.info("! the client differs from the recording at %s", difference.path)
        with self._lock:
            if len(self._differences) < _MAX_DIFFERENCES:
                self._differences = (*self._differences, difference)
        self.on_difference()
