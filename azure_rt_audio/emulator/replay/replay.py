"""The emulator that answers as it was recorded."""

from __future__ import annotations

import logging
import os
from types import TracebackType
from typing import Any

from ...recording import Recording
from ..server.arguments import check_number
from ..server.handshake import Accepted
from ..server.server import Emulator
from .comparison import ABSENT, Difference
from .engine import ReplayEngine
from .script import Ending, scripts

__all__ = ["Replay"]

log: logging.Logger = logging.getLogger(__name__)

_MAX_DIFFERENCES = 100


class Replay(Emulator):
    """
    The service as it was recorded; made by :meth:`Emulator.replay`.

    A client that says the same as the one that was recorded gets the same answers. Ids, sound and the time
    at which things are said need not be the same. At the end of a ``with`` statement every difference is an
    ``AssertionError``, which names the first one.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(
        self,
        recording: Recording | str | os.PathLike[str],
        *,
        speed: float | None = None,
        is_strict: bool = True,
        **options: Any,
    ) -> None:
        if speed is not None:
            check_number("speed", speed, above=True)
        self.recording: Recording = (
            recording if isinstance(recording, Recording) else Recording.load(recording)
        )
        configuration = self.recording.header.configuration
        dialect = configuration.get("dialect")
        self._recorded_dialect = dialect if dialect in ("ga", "preview") else "ga"
        deployment = configuration.get("deployment")
        super().__init__(
            **{
                "dialects": (self._recorded_dialect,),
                "deployments": (deployment,) if isinstance(deployment, str) and deployment else None,
                **options,
            }
        )
        self._speed = speed
        self._is_strict = is_strict
        self._scripts = scripts(self.recording)
        self._engines: list[ReplayEngine] = []  # guarded by _changed, as is the next
        self._differences: tuple[Difference, ...] = ()

    def options(self, dialect: str | None = None, **options: Any) -> dict[str, Any]:
        """What a client needs to connect, in the dialect of the recording; see :meth:`Emulator.options`."""
        return super().options(self._recorded_dialect if dialect is None else dialect, **options)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where clients differed by now; what has not come yet is no difference."""
        with self._changed:
            return self._differences

    def assert_same(self) -> None:
        """
        Check that clients said all that was recorded, and nothing else.

        Raises:
            AssertionError: One did not; names the first difference, and says how many there are.
        """
        found = list(self.differences)
        if not found:
            found = self._missing()
        if found:
            more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
            raise AssertionError(f"the client differs from the recording: {found[0]}{more}")

    def _missing(self) -> list[Difference]:
        with self._changed:
            engines = list(self._engines)
        missing = [difference for engine in engines if (difference := engine.missing) is not None]
        if len(engines) < len(self._scripts):
            missing.append(Difference(len(engines) + 1, 0, 0, "connection", "a connection", ABSENT))
        return missing

    def __enter__(self) -> Replay:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and raise how a client differed: that may be the cause of what failed."""
        super().__exit__(exc_type, exc_value, traceback)
        if self._is_strict and (exc_value is None or (isinstance(exc_value, Exception) and self.differences)):
            try:
                self.assert_same()
            except AssertionError as exc:
                raise exc from exc_value

    def _tell(self, difference: Difference) -> None:
        # Without values, which may be what somebody said.
        log.info("! the client differs from the recording at %s", difference.path)
        with self._changed:
            if len(self._differences) < _MAX_DIFFERENCES:
                self._differences = (*self._differences, difference)
        self._notify()

    def _new_engine(self, accepted: Accepted, number: int) -> ReplayEngine:
        if number <= len(self._scripts):
            script = self._scripts[number - 1]
        else:
            self._tell(Difference(number, 0, 0, "connection", ABSENT, "a connection"))
            script = (Ending(0.0, 1011, "this connection was not recorded"),)
        engine = ReplayEngine(
            number,
            script,
            speed=self._speed,
            without_texts=self.recording.header.redact is not None,
            tell=self._tell,
            now=self._clock.monotonic(),
        )
        with self._changed:
            self._engines.append(engine)
        return engine
