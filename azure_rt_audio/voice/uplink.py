"""Sends the microphone's audio, and buffers it until the session is ready."""

from __future__ import annotations

import collections
import logging
from typing import Final

from .._log import get_logger
from .interfaces import Client

__all__ = ["Uplink"]

log: logging.Logger = get_logger(__name__)

_RATE_HZ: Final = 24_000

_MAX_PENDING_BYTES: Final = 60 * 48_000  # a minute
_MIN_TURN_BYTES: Final = 100 * 48  # the service refuses less than 100 ms


class Uplink:
    """
    Sends audio and turns in order.

    **Threads.** Not shared; one thread at a time.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pending: collections.deque[bytes | None] = collections.deque()  # None marks the end of a turn
        self._pending_bytes = 0
        self._turn_bytes = 0
        self._has_warned = False

    def send(self, pcm: bytes) -> None:
        """
        Send PCM16, now or as soon as the session is ready. Blocks only while the send queue is full.

        Raises:
            ConnectionClosedError: If the connection has ended.
        """
        self._pending.append(pcm)
        self._pending_bytes += len(pcm)
        self.flush()

    def end_turn(self) -> None:
        """
        Commit the audio sent since the last turn and request a response; raises as :meth:`send`.

        A turn of less than 100 ms is discarded.
        """
        self._pending.append(None)
        self.flush()

    def flush(self) -> None:
        """Send what is pending, if the session is ready; raises as :meth:`send`."""
        if not self._client.is_initialized:
            self._drop_oldest()
            return
        while self._pending:
            pcm = self._pending.popleft()
            if pcm is None:
                self._end_turn()
            else:
                self._pending_bytes -= len(pcm)
                self._send(pcm)

    def _send(self, pcm: bytes) -> None:
        self._turn_bytes += len(pcm)
        try:
            self._client.append_audio(pcm, sample_rate_hz=_RATE_HZ)
        except TimeoutError:
            if not self._has_warned:
                log.warning("! the connection is too slow for speech: some audio was not sent")
            self._has_warned = True

    def _end_turn(self) -> None:
        length, self._turn_bytes = self._turn_bytes, 0
        if length >= _MIN_TURN_BYTES:
            self._client.commit_audio()
            self._client._engine.turns.answer_user(self._client)
        elif length:
            self._client.clear_audio_buffer()

    def _drop_oldest(self) -> None:
        while self._pending_bytes > _MAX_PENDING_BYTES:
            if not self._has_warned:
                log.warning("! the session was not ready within a minute: the oldest audio was dropped")
            self._has_warned = True
            self._pending_bytes -= len(self._pending.popleft() or b"")
