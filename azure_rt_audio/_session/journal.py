"""
What one connection leaves to the next: commands that were not acknowledged, commands that were given while
there was no connection, and the newest sound.

All commands leave through :class:`Journal`. While there is a connection they are sent; while there is none,
or while the session goes over to another one, they are held, and nobody waits. :meth:`Journal.replay` sends
all of it on the new connection, in the order of the calls, each once: what was not acknowledged on the old
one, what was held, and the sound between them.

**Threads and locks.** Any thread sends; the I/O thread holds, replays, and follows the user's turns.
``Journal._lock`` is a leaf. What is sent is decided under it, and sent after its release.
"""

from __future__ import annotations

import collections
import itertools
import operator
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import orjson
import pybase64
from attrs import define

from ..audio.pcm import bytes_per_ms
from ..errors import ConnectionClosedError, RealtimeError
from ..options import ReconnectPolicy
from ..protocol.codec import encode_append
from .attempt import Attempt
from .attempts import Attempts
from .kept_turns import KeptTurns
from .sound_ring import SoundRing
from .waiters import Waiter, Waiters

__all__ = ["Journal"]

_Entry: TypeAlias = "tuple[int, int, bytes, Waiter | None]"
"""A command's place among the others, the sound before it, its bytes, and who waits for its answer."""

_PIECE: Final = 4800
"""Bytes of sound that are sent again in one message."""

_TRANSCRIPT_TIMEOUT: Final = 5.0
"""Seconds that a planned swap waits for a transcript."""

_OVERLAP_MS: Final = 500
"""Sound before a planned swap that the turn detection of the old session may not have judged yet."""


@define(eq=False)
class _Held:
    """A command that nobody waits for, and its place among the others."""

    position: int
    sound_index: int
    payload: bytes


class Journal:
    """
    Sends what a session sends, and keeps what another connection will need.

    Args:
        policy: ``None`` for a session that ends with its connection: nothing is kept.
        limit: Bytes of commands that may be held.
        audio_format: The format of what is appended now.
        clock: Seconds that never run backwards.

    Attributes:
        is_holding: There is no connection to send on. Written under the lock, read bare.
    """

    def __init__(
        self,
        attempts: Attempts,
        waiters: Waiters,
        policy: ReconnectPolicy | None,
        limit: int,
        audio_format: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._waiters = waiters
        self._policy = policy
        self._limit = limit
        self._audio_format = audio_format
        self._clock = clock
        self._positions = itertools.count(1)
        self._lock = threading.Lock()  # leaf; guards what follows
        self.is_holding = False
        self._held: collections.deque[_Held] = collections.deque()
        self._held_bytes = 0
        self._ring = SoundRing()
        self._may_drop = True  # what the ring has no room for; not while it is held briefly, or sent
        self._heard = 0  # index after the sound that the service has shown to have been there for
        self._heard_at = 0.0  # when that was
        self._missing_s = 0.0  # of sound that a new connection was to hear, and was not told to the program
        self._format = "pcm16"
        self._room, self._turn_room = self._rooms()
        self._settled = 0  # index after the sound of the last turn, or the last clear
        self._turn_start: int | None = None  # where the user began to speak, if that is known
        self._turn_end: int | None = None
        self._is_manual = False  # without turn detection all that is not committed is needed
        self._turns = KeptTurns()
        self._transcribed: str | None = None  # the latest turn, until its transcript has come
        self._committed_at = 0.0
        self._held_from = 0  # index of the first byte of sound that is held
        self._absent: frozenset[bytes] = frozenset()  # ids that commands have to wait for
        self._outcome: RealtimeError | None = None  # why the session is over; written once, read bare

    # ------------------------------------------------------------ sending: any thread

    def send(
        self,
        payload: bytes,
        timeout: float | None,
        waiter: Waiter | None = None,
        *,
        may_hold: bool = True,
        live_s: float = 0.0,
    ) -> bool:
        """
        Send a command, or hold it until there is a connection, and what it is about.

        Args:
            waiter: Waits for its acknowledgement; without one the command counts as done once it was sent.
            may_hold: Otherwise a command is dropped for which there is no connection.
            live_s: Seconds of live sound in it, which may be dropped if the line is too slow.

        Returns:
            Whether it was sent, or is about to be.

        Raises:
            ConnectionClosedError: If the session is over.
            TimeoutError: If the send backlog stayed full, or too much is held.
        """
        while True:
            with self._lock:
                if waiter is not None:
                    waiter.position = next(self._positions)
                    waiter.sound_index = self._ring.end
                    waiter.payload = payload
                if self.is_holding or (self._absent and _names(payload, self._absent)):
                    self._check_held()
                    if waiter is not None:
                        self._count_locked(payload)  # the waiter holds it
                    elif may_hold:
                        self._hold_locked(payload)
                    return False
                attempt = self._attempts.current
                if waiter is not None:
                    waiter.connection = attempt.number
            try:
                attempt.send(payload, timeout, live_s)
            except ConnectionClosedError:
                if attempt is self._attempts.current and not self._goes_on(attempt):
                    raise
                with self._lock:
                    if waiter is not None and waiter.connection != attempt.number:
                        return True  # it was sent again on the next connection meanwhile
                    if attempt is self._attempts.current or self.is_holding:
                        # The thread that reads is about to learn of the loss, and sends it again.
                        if waiter is None and may_hold:
                            self._hold_locked(payload)
                        return not self.is_holding
            else:
                return True

    def send_sound(self, sound: bytes, text: bytes | None, timeout: float | None, *, is_live: bool) -> None:
        """
        Send sound, and keep it as long as it may be needed.

        Args:
            text: Its base64, if that is at hand.
            is_live: Whether it is spoken now, and may be dropped if the line is too slow.
        """
        audio_format = self._audio_format()
        live_s = len(sound) / bytes_per_ms(audio_format) / 1000 if is_live else 0.0
        if self._policy is None:
            payload = encode_append(pybase64.b64encode(sound) if text is None else text)
            self.send(payload, timeout, live_s=live_s)
            return
        ring = self._ring
        with self._lock:
            if audio_format != self._format:
                self._change_format_locked(audio_format)
            is_holding, attempt = self.is_holding, self._attempts.current
            if not is_holding:
                self._note_heard_locked(attempt)
            ring.append(sound)
            room = self._turn_room if self._is_turn_locked() else self._room
            if self._may_drop and ring.end - ring.start > room:
                ring.limit(room)
        if is_holding:
            self._check_held()
            return
        try:
            payload = encode_append(pybase64.b64encode(sound) if text is None else text)
            attempt.send(payload, timeout, live_s)
        except ConnectionClosedError:
            if attempt is self._attempts.current and not self._goes_on(attempt):
                raise
        except BaseException:
            with self._lock:
                self._ring.retract(sound)
            raise

    def _note_heard_locked(self, attempt: Attempt) -> None:
        """What was appended before the service was last heard it has taken, as far as can be known."""
        heard_at = attempt.connection.heard_at
        if heard_at != self._heard_at:
            self._heard_at, self._heard = heard_at, self._ring.end

    def _goes_on(self, attempt: Attempt) -> bool:
        """Whether the session may outlive the end of an attempt that has just been met."""
        return self._policy is not None and self._attempts.may_go_on(attempt)

    def _check_held(self) -> None:
        """Raise if nothing that is held will ever be sent: the session is over, or this is a forked child."""
        self._attempts.current.connection.check_ours()
        if self._outcome is not None:
            raise self._outcome.again()

    def end(self, outcome: RealtimeError) -> None:
        """The session is over: forget what is held, and hold nothing more."""
        with self._lock:
            self._outcome = outcome
            self._held.clear()
            self._held_bytes = 0
            self._ring.forget_before(self._ring.end)

    def _hold_locked(self, payload: bytes) -> None:
        self._count_locked(payload)
        self._held.append(_Held(next(self._positions), self._ring.end, payload))

    def _count_locked(self, payload: bytes) -> None:
        if self._held_bytes and self._held_bytes + len(payload) > self._limit:
            raise TimeoutError(
                f"{self._held_bytes} bytes of commands wait for the connection to come back; "
                "this one was not queued"
            )
        self._held_bytes += len(payload)

    def _change_format_locked(self, audio_format: str) -> None:
        """What the buffer has in another format is noise to the next session."""
        if self.is_holding:
            self._missing_s += self._seconds(self._ring.end - max(self._settled, self._heard))
        self._format = audio_format
        self._room, self._turn_room = self._rooms()
        self._ring.forget_before(self._ring.end)
        self._settled = self._heard = self._ring.end
        self._turn_start = self._turn_end = None
        self._turns.clear()

    def _rooms(self) -> tuple[int, int]:
        """Return the bytes of sound that are kept while nobody speaks, and in a turn."""
        if self._policy is None:
            return 0, 0
        idle, turn = self._policy.keep_audio_s, self._policy.keep_turns_s
        return self._bytes(1000 * idle), self._bytes(1000 * max(idle, turn))

    def _bytes(self, ms: float) -> int:
        """Return the number of bytes of so many milliseconds, whole frames."""
        frame = 2 if self._format == "pcm16" else 1
        return int(ms * bytes_per_ms(self._format)) // frame * frame

    def _seconds(self, size: int) -> float:
        """Return the seconds of so many bytes; 0 if there are none."""
        return max(0, size) / bytes_per_ms(self._format) / 1000

    def note_dropped(self, seconds: float) -> None:
        """So much sound was dropped, because the line was too slow: the service counts without it."""
        with self._lock:
            self._attempts.current.sound_base += self._bytes(1000 * seconds)

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
        if not self.is_holding:
            self._note_heard_locked(self._attempts.current)
        return max(self._settled, min(self._ring.start, self._heard))

    def begin_turn(self, base: int, audio_start_ms: float | None) -> None:
        """The service has heard the user begin to speak."""
        with self._lock:
            if audio_start_ms is not None:
                self._turn_start = max(self._settled, base + self._bytes(audio_start_ms))
            else:
                self._turn_start = self._quiet_until_locked()
            self._turn_end = None

    def end_turn(self, base: int, audio_end_ms: float | None) -> None:
        """The service has heard the user stop."""
        with self._lock:
            if audio_end_ms is not None:
                self._turn_end = min(self._ring.end, base + self._bytes(audio_end_ms))

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
                sound = b"".join(self._ring.read(start, end))
                self._keep_turn_locked(item_id, sound, end - start - len(sound) if is_turn else 0)
                self._transcribed, self._committed_at = item_id, self._clock()
            self._settled = end
            self._ring.forget_before(end)

    def keep_turn(self, item_id: str, sound: bytes) -> None:
        """Keep the sound of a turn that the session was given with its history."""
        audio_format = self._audio_format()
        with self._lock:
            if audio_format != self._format:
                self._change_format_locked(audio_format)
            start = max(0, len(sound) - self._turn_room)
            self._keep_turn_locked(item_id, sound[start:], start)

    def _keep_turn_locked(self, item_id: str, sound: bytes, missing: int) -> None:
        policy = self._policy
        if policy is not None and policy.restore != "none":
            self._turns.add(item_id, sound, missing, self._bytes(1000 * policy.keep_turns_s))

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

    def sound_of_turns(self) -> dict[str, str]:
        """Return the base64 of what is kept of the user's turns, by the ids of their items. Any thread."""
        with self._lock:
            turns = dict(self._turns.sound)
        return {item_id: pybase64.b64encode(sound).decode() for item_id, sound in turns.items() if sound}

    def cut_turns(self) -> dict[str, float]:
        """Return the seconds that are missing at the beginning of turns, by the ids of their items."""
        with self._lock:
            return {item_id: self._seconds(size) for item_id, size in self._turns.missing.items()}

    # ------------------------------------------------------------ another connection: the I/O thread

    def hold(self, *, is_brief: bool = False) -> None:
        """
        Send nothing more on the connection that there was.

        Args:
            is_brief: For a moment, in which all sound is kept: that connection may be the one that goes on.
        """
        with self._lock:
            self._may_drop, self._absent = not is_brief, frozenset()
            if not self.is_holding:
                self._note_heard_locked(self._attempts.current)
                self.is_holding, self._held_from = True, self._ring.end

    def unacknowledged(self) -> tuple[Waiter, ...]:
        """Return the commands without an answer, in the order of their calls."""
        waiting = [waiter for waiter in self._waiters.waiting if waiter.position is not None]
        return tuple(sorted(waiting, key=lambda waiter: waiter.position or 0))

    def awaits_answers(self) -> bool:
        """Whether an answer to a command is to be expected: not one that counts as lost."""
        return not all(map(self._waiters.is_overdue, self.unacknowledged()))

    def needed_from(self, *, is_planned: bool, prefix_ms: float) -> int:
        """Return the index of the first byte that a new connection has to hear."""
        with self._lock:
            if self._turn_start is not None:
                return self._turn_start
            if is_planned and not self._is_manual:
                heard = self._held_from if self.is_holding else self._ring.end  # by the old session
                return max(self._settled, heard - self._bytes(prefix_ms + _OVERLAP_MS))
            return self._settled

    def sound_ms(self, start: int) -> float:
        """Return the milliseconds of sound from an index on that are kept."""
        with self._lock:
            return max(0, self._ring.end - max(start, self._ring.start)) / bytes_per_ms(self._format)

    def take_missing_s(self) -> float:
        """Return the seconds of sound that no session was or will be given; those that are new."""
        with self._lock:
            seconds, self._missing_s = self._missing_s, 0.0
        return seconds

    def replay(
        self, attempt: Attempt, start: int | None = None, is_kept: Callable[[Waiter], bool] = lambda _: True
    ) -> None:
        """
        Send what is held, and from then on all that comes. On a new connection, also what the old one leaves.

        Args:
            start: Index of the first byte of sound that a new connection is to hear; ``None`` for the
                connection that there was all the time.
            is_kept: Whether a command is still to be sent.

        Raises:
            ConnectionClosedError: If the connection is over; what was not sent is held on.
        """
        with self._lock:
            self._may_drop = False  # what is about to be sent
            cursor = self._held_from if start is None else self._begin_anew_locked(attempt, start)
        try:
            translated = None if start is None else attempt.ids.encoded_to_service
            self._send_all(attempt, cursor, translated, is_kept)
        finally:
            with self._lock:
                self._may_drop = True

    def _begin_anew_locked(self, attempt: Attempt, start: int) -> int:
        """A new session hears sound from an index on; return the index of the first byte that is kept."""
        needed = start if self._is_turn_locked() else max(start, self._heard)
        self._missing_s += self._seconds(self._ring.start - needed)
        cursor = max(start, self._ring.start)
        attempt.sound_base = self._settled = self._heard = cursor
        self._heard_at = attempt.connection.heard_at
        self._turn_start = self._turn_end = None
        return cursor

    def _send_all(
        self,
        attempt: Attempt,
        cursor: int,
        translated: Callable[[bytes], bytes] | None,
        is_kept: Callable[[Waiter], bool],
    ) -> None:
        """Send what is held, until there is nothing more of it; the sound from *cursor* on."""
        while True:
            with self._lock:
                entries, end = self._take_entries_locked(attempt, self._absent), self._ring.end
                if not entries and cursor >= end:
                    self.is_holding = False
                    self._heard_at = attempt.connection.heard_at  # which is no word about what was just sent
                    return
            while entries:
                _, index, payload, waiter = entries[0]
                try:
                    cursor = self._send_sound_to(attempt, cursor, min(index, end))
                    if translated is not None:
                        payload = translated(payload)
                    self._send_entry(attempt, payload, waiter, is_kept)
                except ConnectionClosedError:
                    self._put_back(entries)
                    raise
                del entries[0]
            cursor = self._send_sound_to(attempt, cursor, end)

    def expect(self, *names: str | None) -> None:
        """Hold commands that name these items or calls: the session does not have them yet."""
        with self._lock:
            self._absent |= {orjson.dumps(name) for name in names if name}

    def release_expected(self, attempt: Attempt, is_kept: Callable[[Waiter], bool]) -> None:
        """
        Send what was held for items and calls that the session did not have.

        Args:
            is_kept: Whether a command is still to be sent.

        Raises:
            ConnectionClosedError: If the connection is over; what was not sent is held on.
        """
        while True:
            with self._lock:
                entries = [] if self.is_holding else self._take_entries_locked(attempt, frozenset())
                if not entries:
                    self._absent = frozenset()
                    return
            while entries:
                _, _, payload, waiter = entries[0]
                try:
                    self._send_entry(attempt, attempt.ids.encoded_to_service(payload), waiter, is_kept)
                except ConnectionClosedError:
                    self._put_back(entries)
                    raise
                del entries[0]

    def _send_entry(
        self, attempt: Attempt, payload: bytes, waiter: Waiter | None, is_kept: Callable[[Waiter], bool]
    ) -> None:
        if waiter is None or is_kept(waiter):
            if waiter is not None:
                self._waiters.note_sent(waiter)
            attempt.send(payload, 0.0)

    def _take_entries_locked(self, attempt: Attempt, absent: frozenset[bytes]) -> list[_Entry]:
        """
        Return what is to be sent on an attempt and was not, in order, and note that it is.

        Args:
            absent: What names one of these is still held.
        """
        held = list(self._held)
        self._held.clear()
        self._held_bytes = 0
        entries: list[_Entry] = []
        for entry in held:
            if _names(entry.payload, absent):
                self._held.append(entry)
                self._held_bytes += len(entry.payload)
            else:
                entries.append((entry.position, entry.sound_index, entry.payload, None))
        for waiter in self._waiters.waiting:
            if waiter.position is None or waiter.connection == attempt.number:
                continue
            if not _names(waiter.payload, absent):
                waiter.connection = attempt.number
                entries.append((waiter.position, waiter.sound_index, waiter.payload, waiter))
        return sorted(entries, key=operator.itemgetter(0))

    def _put_back(self, entries: list[_Entry]) -> None:
        with self._lock:
            for position, index, payload, waiter in reversed(entries):
                if waiter is None:
                    self._held.appendleft(_Held(position, index, payload))
                    self._held_bytes += len(payload)
                else:
                    waiter.connection = 0

    def _send_sound_to(self, attempt: Attempt, start: int, stop: int) -> int:
        """Send the sound between two indices; return where it goes on."""
        if stop <= start:
            return start
        with self._lock:
            pieces = self._ring.read(start, stop)
        sound = memoryview(b"".join(pieces))
        for begin in range(0, len(sound), _PIECE):
            attempt.send(encode_append(pybase64.b64encode(sound[begin : begin + _PIECE])), 0.0)
        return stop


def _names(payload: bytes, names: frozenset[bytes]) -> bool:
    return any(name in payload for name in names)
