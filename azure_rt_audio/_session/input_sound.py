"""
The user's sound, as far as another connection may need it: the newest of it, and the turns that are items.

The place of a turn in the sound is found from what the service says of it, in milliseconds of its own
session, and from where the program's own ``commit`` and ``clear`` stand among what was appended. Indices
count time, 48 to a millisecond whatever the format, as the service's milliseconds go on when the format of
the input changes.

**Threads and locks.** Any thread appends, the I/O thread follows the user's turns. The lock is that of the
journal, since sound has its place among the commands; methods whose name ends in ``_locked`` want it held.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import pybase64

from ..audio.pcm import bytes_per_ms, readable_format
from ..options import ReconnectPolicy
from .attempt import Attempt
from .attempts import Attempts
from .kept_turns import KeptTurns
from .sound_ring import SoundRing

__all__ = ["InputSound"]

_TRANSCRIPT_TIMEOUT: Final = 5.0
"""Seconds that a planned swap waits for a transcript."""

_INDICES_PER_MS: Final = 48
"""So that a byte of PCM16 is one, and a byte of G.711 six."""

_OVERLAP_MS: Final = 500
"""Sound before a planned swap that the turn detection of the old session may not have judged yet."""


class InputSound:
    """
    What was appended to the input buffer, and what of it is needed.

    Args:
        policy: ``None`` for a session that ends with its connection: nothing is kept.
        lock: That of the journal.
        audio_format: The format of what is appended now.
        clock: Seconds that never run backwards.

    Attributes:
        audio_format: As given.
    """

    def __init__(
        self,
        attempts: Attempts,
        policy: ReconnectPolicy | None,
        lock: threading.Lock,
        audio_format: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self.audio_format = audio_format
        self._attempts = attempts
        self._policy = policy
        self._clock = clock
        self._lock = lock  # guards what follows
        self._ring = SoundRing()
        self._may_drop = True  # what the ring has no room for; not while it is held briefly, or sent
        self._held_from: int | None = None  # index of the first byte for which there is no connection
        self._heard = 0  # index after the sound that the service has shown to have been there for
        self._heard_at = 0.0  # when that was
        self._missing_s = 0.0  # of sound that a new connection was to hear, and was not told to the program
        self._format = "pcm16"
        self._format_from = 0  # index of the first byte in this format
        self._room, self._turn_room = self._rooms()
        self._settled = 0  # index after the sound of the last turn, or the last clear
        self._turn_start: int | None = None  # where the user began to speak, if that is known
        self._turn_end: int | None = None
        self._is_manual = False  # without turn detection all that is not committed is needed
        self._turns = KeptTurns()
        self._transcribed: str | None = None  # the latest turn, until its transcript has come
        self._committed_at = 0.0

    # ------------------------------------------------------------ what is appended: any thread

    @property
    def end(self) -> int:
        """The index after what was appended last."""
        return self._ring.end

    def append_locked(self, sound: bytes, audio_format: str, attempt: Attempt | None) -> None:
        """Keep sound, which is about to be sent on an attempt, or is held."""
        ring = self._ring
        if audio_format != self._format:
            self._change_format_locked(audio_format)
        if attempt is not None:
            self._note_heard_locked(attempt)
        ring.append(sound)
        room = self._turn_room if self._is_turn_locked() else self._room
        if self._may_drop and ring.end - ring.start > room:
            ring.limit(room)

    def retract(self, sound: bytes) -> None:
        """Take back what was appended last: it was not sent after all."""
        with self._lock:
            self._ring.retract(sound)

    def forget_locked(self) -> None:
        """Let go of all: the session is over."""
        self._ring.forget_before(self._ring.end)

    def _note_heard_locked(self, attempt: Attempt) -> None:
        """What was appended before the service was last heard it has taken, as far as can be known."""
        heard_at = attempt.connection.heard_at
        if heard_at != self._heard_at:
            self._heard_at, self._heard = heard_at, self._ring.end

    def _change_format_locked(self, audio_format: str) -> None:
        """What the buffer has in another format is noise to the next session."""
        self._format = audio_format
        self._format_from = self._ring.end
        self._ring.restart(_INDICES_PER_MS // bytes_per_ms(audio_format))
        self._turns.clear()

    def _rooms(self) -> tuple[int, int]:
        """Return how much sound is kept while nobody speaks, and in a turn."""
        if self._policy is None:
            return 0, 0
        idle, turn = self._policy.keep_audio_s, self._policy.keep_turns_s
        return _indices(1000 * idle), _indices(1000 * max(idle, turn))

    def note_dropped(self, seconds: float) -> None:
        """So much sound was dropped, because the line was too slow: the service counts without it."""
        with self._lock:
            self._attempts.current.sound_base += _indices(1000 * seconds)

    # ------------------------------------------------------------ the user's turns: the I/O thread

    def set_detection(self, *, is_on: bool) -> None:
        """Take into account whether the service finds the user's turns."""
        with self._lock:
            if not self._is_manual and not is_on:
                self._settled = self._quiet_until_locked()
            self._is_manual = not is_on

    def _is_turn_locked(self) -> bool:
        """Whether what is not settled is needed whole: the user speaks, or nobody but the program knows."""
        return self._is_manual or self._turn_start is not None

    def _quiet_until_locked(self) -> int:
        """Return the index after the sound of the last turn, and of the silence that was dropped since."""
        if self._held_from is None:
            self._note_heard_locked(self._attempts.current)
        return max(self._settled, min(self._ring.start, self._heard))

    def begin_turn(self, base: int, audio_start_ms: float | None) -> None:
        """The service has heard the user begin to speak."""
        with self._lock:
            if audio_start_ms is not None:
                self._turn_start = max(self._settled, base + _indices(audio_start_ms))
            else:
                self._turn_start = self._quiet_until_locked()
            self._turn_end = None

    def end_turn(self, base: int, audio_end_ms: float | None) -> None:
        """The service has heard the user stop."""
        with self._lock:
            if audio_end_ms is not None:
                self._turn_end = min(self._ring.end, base + _indices(audio_end_ms))

    def commit(self, item_id: str | None, own_index: int | None) -> None:
        """
        The input buffer became an item, or was cleared.

        Args:
            item_id: ``None`` if it was cleared.
            own_index: Where the sound ended if this side asked for it.
        """
        with self._lock:
            end = own_index if own_index is not None else self._turn_end
            end = self._ring.end if end is None else end
            start = self._settled if self._turn_start is None else self._turn_start
            is_turn = self._is_turn_locked()
            self._turn_start = self._turn_end = None
            if end <= self._settled:
                return
            if item_id:
                missing = _seconds(min(self._ring.start, end) - start) if is_turn else 0.0
                self._keep_turn_locked(item_id, b"".join(self._ring.read(start, end)), missing)
                self._transcribed, self._committed_at = item_id, self._clock()
            self._settled = end
            self._ring.forget_before(end)

    def keep_turn(self, item_id: str, sound: bytes) -> None:
        """Keep the sound of a turn that the session was given with its history."""
        audio_format = self.audio_format()
        with self._lock:
            if audio_format != self._format:
                self._change_format_locked(audio_format)
            step = self._ring.step
            start = max(0, len(sound) - self._turn_room // step)
            self._keep_turn_locked(item_id, sound[start:], _seconds(start * step))

    def _keep_turn_locked(self, item_id: str, sound: bytes, missing_s: float) -> None:
        policy = self._policy
        if policy is not None and policy.restore != "none":
            room = _indices(1000 * policy.keep_turns_s) // self._ring.step
            self._turns.add(item_id, sound, missing_s, room)

    def note_transcript(self, item_id: str, *, is_known: bool) -> None:
        """The transcript of a turn has come, whose sound is not needed any more; or it has failed."""
        with self._lock:
            if self._transcribed == item_id:
                self._transcribed = None
            if is_known and self._policy is not None and self._policy.restore != "audio":
                self._turns.discard(item_id)

    def awaits_transcript(self, now: float) -> bool:
        """Whether the latest turn of the user may still be transcribed."""
        return self._transcribed is not None and now - self._committed_at < _TRANSCRIPT_TIMEOUT

    def turns(self) -> tuple[str, ...]:
        """Return the ids of the user's turns whose sound is kept, or would be if there was any of it."""
        with self._lock:
            return tuple(self._turns.sound)

    def of_turns(self, audio_format: str) -> dict[str, str]:
        """
        Return the base64 of what is kept of the user's turns, by the ids of their items. Any thread.

        Args:
            audio_format: The session's; of turns in another one nothing is returned.
        """
        with self._lock:
            turns = dict(self._turns.sound) if readable_format(audio_format) == self._format else {}
        return {item_id: pybase64.b64encode(sound).decode() for item_id, sound in turns.items() if sound}

    def cut_turns(self) -> dict[str, float]:
        """Return the seconds that are missing at the beginning of turns, by the ids of their items."""
        with self._lock:
            return dict(self._turns.missing_s)

    # ------------------------------------------------------------ another connection: the I/O thread

    def hold_locked(self, *, is_brief: bool) -> None:
        """There is no connection for what is appended now; if that is brief, all of it is kept."""
        self._may_drop = not is_brief
        if self._held_from is None:
            self._note_heard_locked(self._attempts.current)
            self._held_from = self._ring.end

    def needed_from(self, *, is_planned: bool, prefix_ms: float) -> int:
        """Return the index of the first byte that a new connection has to hear."""
        with self._lock:
            if self._turn_start is not None:
                return self._turn_start
            if is_planned and not self._is_manual:
                heard = self._ring.end if self._held_from is None else self._held_from  # by the old session
                return max(self._settled, heard - _indices(prefix_ms + _OVERLAP_MS))
            return self._settled

    def ms_from(self, start: int) -> float:
        """Return the milliseconds of sound from an index on that are kept."""
        with self._lock:
            return max(0, self._ring.end - max(start, self._ring.start)) / _INDICES_PER_MS

    def take_missing_s(self) -> float:
        """Return the seconds of sound that no session was or will be given; those that are new."""
        with self._lock:
            seconds, self._missing_s = self._missing_s, 0.0
        return seconds

    def begin_sending_locked(self, attempt: Attempt, start: int | None, audio_format: str) -> int:
        """
        Keep all of it, while what is held is sent.

        Args:
            start: Index of the first byte that a new session hears; ``None`` for the one that there was.
            audio_format: That of what is appended now.

        Returns:
            The index from which on to send.
        """
        self._may_drop = False
        if start is None:
            return self._ring.end if self._held_from is None else self._held_from
        # No sound may have come since the format changed. A change that awaits its answer is sent after it.
        begins_with = self._format if attempt.session is None else attempt.session.input_audio_format
        if self._format not in (audio_format, readable_format(begins_with)):
            self._change_format_locked(audio_format)
        needed = start if self._is_turn_locked() else max(start, self._heard)
        self._missing_s += _seconds(self._ring.start - needed)
        cursor = max(start, self._ring.start)
        attempt.sound_base = self._settled = self._heard = cursor
        self._heard_at = attempt.connection.heard_at
        self._turn_start = self._turn_end = None
        return cursor

    def take(self, attempt: Attempt, start: int, stop: int) -> bytes:
        """Return the sound between two indices, to be sent on an attempt; all but what had another format."""
        with self._lock:
            pieces = self._ring.read(start, stop)
            gone = max(0, min(self._format_from, stop) - start)
            attempt.sound_base += gone
            self._missing_s += _seconds(gone)
        return b"".join(pieces)

    def resume_locked(self, attempt: Attempt) -> None:
        """All that was held was sent on an attempt; so will be what is appended now."""
        self._held_from = None
        self._heard_at = attempt.connection.heard_at  # which is no word about what was just sent

    def end_sending(self) -> None:
        """No more is sent of what was held: its oldest may be dropped again."""
        with self._lock:
            self._may_drop = True


def _indices(ms: float) -> int:
    """Return the indices of so many milliseconds: whole frames of any format."""
    return int(ms * 8) * 6


def _seconds(indices: int) -> float:
    """Return the seconds that so many indices are; 0 if there are none."""
    return max(0, indices) / _INDICES_PER_MS / 1000
