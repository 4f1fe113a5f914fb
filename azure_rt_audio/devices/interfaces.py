"""What a voice session asks of a microphone and a speaker: those of this package, or anything like them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["MicrophoneLike", "Played", "SpeakerLike"]


class Played(Protocol):
    """How much of an item had left the speaker when it was stopped."""

    @property
    def item_id(self) -> str:
        """Which."""

    @property
    def ms(self) -> float:
        """Milliseconds from its beginning."""


class MicrophoneLike(Protocol):
    """Brings PCM16: int16, little-endian, mono, 24 000 Hz."""

    on_event: Callable[[Any], object] | None
    """Called when the device is lost, and when another one is opened. Set before :meth:`start`."""

    is_muted: bool
    """Whether it brings silence."""

    @property
    def captured_at(self) -> float:
        """When the first frame of the last block was recorded, in seconds of ``time.monotonic``."""

    def start(self) -> Any:
        """Begin to record."""

    def close(self) -> Any:
        """End. Idempotent, bounded."""

    def read(self, timeout: float) -> bytes | None:
        """Return the next block, or ``None`` if none came within *timeout* seconds. Blocks."""


class SpeakerLike(Protocol):
    """Plays PCM16: int16, little-endian, mono, 24 000 Hz, and knows what of it left the device."""

    on_event: Callable[[Any], object] | None
    """Called when the device is lost, and when another one is opened. Set before :meth:`start`."""

    on_played: Callable[[bytes, float], object] | None
    """
    Called with each block that the device takes, and when its first frame is heard, in seconds of
    ``time.monotonic``. Set before :meth:`start`.
    """

    @property
    def is_playing(self) -> bool:
        """Whether something that was given to it has not left yet."""

    @property
    def level_db(self) -> float:
        """How loud it is, in dB of full scale."""

    def start(self) -> Any:
        """Begin to play."""

    def close(self) -> Any:
        """End. Idempotent, bounded."""

    def play(self, pcm: bytes, *, item_id: str) -> Any:
        """Append sound of an item. Does not block."""

    def finish(self, item_id: str) -> Any:
        """Say that nothing more of an item will come."""

    def stop(self) -> Sequence[Played]:
        """Be silent at once, drop what waits, and return how much was played of what was not played out."""

    def played_ms(self, item_id: str) -> float:
        """Milliseconds of an item that have left the device."""
