"""From the microphone to the service, in order, from the first moment on."""

from __future__ import annotations

import collections
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..client import AzureRealTimeAudio

__all__ = ["Uplink"]

log: logging.Logger = logging.getLogger(__name__)

_RATE_HZ: Final = 24_000

_LONGEST_WAIT_BYTES: Final = 60 * 48_000
"""A minute may wait for the connection."""

_SHORTEST_TURN_BYTES: Final = 100 * 48


class Uplink:
    """
    Sends what the microphone brings; keeps it while the connection is coming up.

    **Threads.** One thread at a time.
    """

    def __init__(self, client: AzureRealTimeAudio) -> None:
        self._client = client
        self._waiting: collections.deque[bytes | None] = collections.deque()  # None is the end of a turn
        self._waiting_bytes = 0
        self._turn_bytes = 0
        self._has_lost = False

    def send(self, pcm: bytes) -> None:
        """
        Send sound, now or as soon as the session is ready. Blocks only while the send backlog is full.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        self._waiting.append(pcm)
        self._waiting_bytes += len(pcm)
        self.flush()

    def end_turn(self) -> None:
        """
        Make a message of what was sent since the last turn and have it answered; raises as :meth:`send`.

        What is too short to be a message, less than 100 ms, is thrown away instead.
        """
        self._waiting.append(None)
        self.flush()

    def flush(self) -> None:
        """Send what waits, if the session is ready; raises as :meth:`send`."""
        if not self._client.is_initialized:
            self._forget_too_old()
            return
        while self._waiting:
            pcm = self._waiting.popleft()
            if pcm is None:
                self._end_turn()
            else:
                self._waiting_bytes -= len(pcm)
                self._send(pcm)

    def _send(self, pcm: bytes) -> None:
        self._turn_bytes += len(pcm)
        try:
            self._client.append_audio(pcm, sample_rate_hz=_RATE_HZ)
        except TimeoutError:
            if not self._has_lost:
                log.warning("! the connection is too slow for speech: some of it was not sent")
            self._has_lost = True

    def _end_turn(self) -> None:
        length, self._turn_bytes = self._turn_bytes, 0
        if length >= _SHORTEST_TURN_BYTES:
            self._client.commit_audio()
            self._client.create_response()
        elif length:
            self._client.clear_audio_buffer()

    def _forget_too_old(self) -> None:
        while self._waiting_bytes > _LONGEST_WAIT_BYTES:
            if not self._has_lost:
                log.warning("! the session was not ready for a minute: the speech before was not sent")
            self._has_lost = True
            self._waiting_bytes -= len(self._waiting.popleft() or b"")
