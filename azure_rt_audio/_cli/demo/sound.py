"""A microphone and a loudspeaker made of arithmetic, so that no device is needed."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from ...audio import bytes_per_ms, duration_ms
from ...errors import RealtimeError

if TYPE_CHECKING:
    from ... import AzureRealTimeAudio

__all__ = ["Loudspeaker", "Microphone"]

_CHUNK_MS: Final = 100
_MIN_TAIL_MS: Final = 1_000
_MAX_TAIL_MS: Final = 10_000


class Microphone:
    """
    Plays a recording to the service as a microphone would: 100 ms at a time, and silence after it.

    The silence goes on for a second, and until the service has noticed that the user has stopped: that
    is how turn detection works.

    Args:
        tempo: Seconds of sound per second.

    **Threads.** Each recording is sent by a thread ``demo-microphone``. Everything else is called from
    one other thread.
    """

    def __init__(self, client: AzureRealTimeAudio, tempo: float) -> None:
        self._client = client
        self._tempo = tempo
        self._is_off = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended_at: float | None = None
        self.hears_user = False
        """Whether the service has noticed speech and not yet its end; to be kept up to date by the owner."""

    @property
    def quiet_seconds(self) -> float:
        """Seconds since the last of a recording and its silence was sent; 0 before that."""
        return 0.0 if self._ended_at is None else monotonic() - self._ended_at

    def play(self, pcm: bytes, after_ms: float = 0.0) -> None:
        """Begin to send PCM16, 24 000 Hz, after *after_ms* of sound time; returns at once."""
        self._ended_at = None
        thread = threading.Thread(target=self._run, args=(pcm, after_ms), name="demo-microphone", daemon=True)
        thread.start()
        self._thread = thread  # not before: a start that Ctrl-C interrupts leaves nothing to join

    def off(self) -> None:
        """Say no more; waits for the thread."""
        self._is_off.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, pcm: bytes, after_ms: float) -> None:
        if self._is_off.wait(after_ms / 1000 / self._tempo):
            return
        chunk_bytes = _CHUNK_MS * bytes_per_ms("pcm16")
        silence = bytes(chunk_bytes)
        due = monotonic()
        sent_ms = tail_ms = 0
        try:
            while tail_ms < _MIN_TAIL_MS or (self.hears_user and tail_ms < _MAX_TAIL_MS):
                start = sent_ms * bytes_per_ms("pcm16")
                chunk = pcm[start : start + chunk_bytes]
                self._client.append_audio(chunk.ljust(chunk_bytes, b"\0") if chunk else silence)
                sent_ms += _CHUNK_MS
                tail_ms += 0 if chunk else _CHUNK_MS
                due += _CHUNK_MS / 1000 / self._tempo
                if self._is_off.wait(max(0.0, due - monotonic())):
                    return
        except (RealtimeError, TimeoutError):
            return  # the connection is over, which the thread that follows the events is told as well
        finally:
            self._ended_at = monotonic()


class Loudspeaker:
    """
    Knows how much of an answer a user would have heard by now.

    Args:
        tempo: Seconds of sound per second.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, tempo: float) -> None:
        self._tempo = tempo
        self._began = 0.0
        self._bytes = 0
        self.item_id: str | None = None

    def feed(self, item_id: str, pcm: bytes) -> None:
        """Take more of an item's sound, PCM16 24 000 Hz; another item than before begins afresh."""
        if item_id != self.item_id:
            self.item_id = item_id
            self._bytes = 0
            self._began = monotonic()
        self._bytes += len(pcm)

    def stop(self) -> None:
        """Be silent, and forget what was not played."""
        self.item_id = None
        self._bytes = 0

    @property
    def received_ms(self) -> int:
        """Milliseconds of the item that have come."""
        return duration_ms(self._bytes)

    @property
    def played_ms(self) -> int:
        """Milliseconds of the item that have been heard; never more than have come."""
        return min(self.received_ms, int((monotonic() - self._began) * 1000 * self._tempo))
