"""What a recorder hangs into a session: it hears of everything, and leaves it with the writer."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from .._session.taps import Tap
from .._transport import DroppedSound, Payload
from ..errors import ConnectionClosedError, RealtimeError
from ..protocol.events.local import Reconnected, Reconnecting, ToolEnded, ToolStarted
from .writer import RecordingWriter

__all__ = ["RecorderTap"]

_LEVELS_INTERVAL_S: Final = 0.5
_MAX_FRAMES: Final = 20


class RecorderTap(Tap):
    """
    Records one session.

    Args:
        is_closing: Whether the program has closed the client.

    **Threads.** That of its methods, see :class:`~azure_rt_audio._session.taps.Tap`; it has no lock.
    """

    def __init__(self, writer: RecordingWriter, is_closing: Callable[[], bool]) -> None:
        self._writer = writer
        self._is_closing = is_closing
        self._is_closed = False  # written by the I/O thread
        self._is_last = False  # written by whoever closes the client
        self._levels_at = 0.0  # one thread at a time: that which captures

    def on_opened(self, connection: int) -> None:
        """Record that a connection is open."""
        self._is_closed = False
        self._writer.put("opened", {"connection": connection})

    def on_received(self, connection: int, payload: Payload) -> None:
        """Record an event."""
        self._writer.put("received", bytes(payload), connection)

    def on_sent(self, connection: int, payload: bytes, when: float) -> None:
        """Record a command."""
        self._writer.put("sent", payload, connection, when)

    def on_dropped(self, connection: int, sound: tuple[DroppedSound, ...]) -> None:
        """Record which of the commands were not sent."""
        for run in sound:
            since = round(self._writer.since_beginning(run.since), 6)
            fields = {"connection": connection, "since": since, "count": run.count}
            self._writer.put("dropped", {**fields, "seconds": round(run.seconds, 3)})

    def on_closed(self, connection: int, outcome: RealtimeError) -> None:
        """Record the end of a connection."""
        fields: dict[str, Any] = {
            "connection": connection,
            "error": type(outcome).__name__,
            "message": outcome.message,
        }
        fields["is_asked_for"] = self._is_closing()
        if isinstance(outcome, ConnectionClosedError):
            fields |= {
                "code": outcome.close_code,
                "reason": outcome.reason,
                "is_clean": outcome.is_clean,
            }
        self._writer.put("closed", fields)
        self._is_closed = True
        if self._is_last:
            self._writer.finish()

    def on_reconnecting(self, event: Reconnecting) -> None:
        """Record that another attempt will be made."""
        fields = {"attempt": event.attempt, "delay_s": round(event.delay_s, 3), "reason": event.reason}
        self._writer.put("reconnecting", fields)

    def on_reconnected(self, connection: int, event: Reconnected) -> None:
        """Record that the session goes on over another connection."""
        self._writer.put(
            "reconnected",
            {
                "connection": connection,
                "gap_s": round(event.gap_s, 3),
                "reason": event.reason,
                "is_planned": event.is_planned,
                "restored": list(event.restored),
                "shortened": dict(event.shortened),
                "lost": dict(event.lost),
                "responses": dict(event.responses),
            },
        )

    def finish_with_connection(self) -> None:
        """End the recording when the connection has ended, or now if it has. From any thread."""
        self._is_last = True  # first this, then the look: on_closed does it in the opposite order
        if self._is_closed:
            self._writer.finish()

    def on_tool(self, event: ToolStarted | ToolEnded) -> None:
        """Record when a tool runs. What it was given, and what it returned, is in the messages."""
        fields: dict[str, Any] = {"call_id": event.call_id, "name": event.name}
        if isinstance(event, ToolEnded):
            fields["has_failed"] = event.error is not None
        self._writer.put(event.type, fields)

    def on_heard(self, item_id: str, ms: float, end: str | None) -> None:
        """Record the speaker's account."""
        self._writer.put("heard", {"item": item_id, "ms": round(ms, 1), "end": end})

    def on_levels(self, microphone_db: float, speaker_db: float) -> None:
        """Record levels, not all of them."""
        now = time.monotonic()
        if now - self._levels_at >= _LEVELS_INTERVAL_S:
            self._levels_at = now
            self._writer.put(
                "levels",
                {"microphone_db": round(float(microphone_db), 1), "speaker_db": round(float(speaker_db), 1)},
            )

    def on_failed(self, listener: str, event: str, exc: BaseException) -> None:
        """Record what a listener raised."""
        frames = traceback.extract_tb(exc.__traceback__)[-_MAX_FRAMES:]
        where = [f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
        self._writer.put(
            "failed",
            {
                "listener": listener,
                "event": event,
                "error": type(exc).__name__,
                "message": str(exc),
                "where": where,
            },
        )
