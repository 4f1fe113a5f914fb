"""
What one connection leaves to the next: commands that were not acknowledged, commands that were given while
there was no connection, and the newest sound.

All commands leave through :class:`Journal`. While there is a connection they are sent; while there is none,
or while the session goes over to another one, they are held, and nobody waits. :meth:`Journal.replay` sends
all of it on the new connection, in the order of the calls, each once: what was not acknowledged on the old
one, what was held, and the sound between them.

Commands that belong together have places next to each other, and are sent, or held, in one step: what other
threads send goes before or after all of them, here, on the wire, and on the next connection.

**Threads and locks.** Any thread sends; the I/O thread holds, replays, and follows the user's turns.
``Journal._lock`` is a leaf. What is sent is decided under it, and sent after its release.
"""

from __future__ import annotations

import collections
import itertools
import operator
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import orjson
import pybase64
from attrs import define

from ..audio.pcm import bytes_per_ms
from ..errors import ConnectionClosedError, RealtimeError
from ..options import ReconnectPolicy
from ..protocol.codec import encode_append
from ..protocol.commands import SessionUpdate
from .attempt import Attempt
from .attempts import Attempts
from .input_sound import InputSound
from .waiter import Awaited, Waiter
from .waiters import Waiters

__all__ = ["Journal"]

_Entry: TypeAlias = "tuple[int, int, bytes, Waiter | None]"
"""A command's place among the others, the sound before it, its bytes, and who waits for its answer."""

_PIECE: Final = 4800
"""Bytes of sound that are sent again in one message."""


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
        sound: What was appended, in which each command has its place.
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
        self._positions = itertools.count(1)
        self._lock = threading.Lock()  # leaf; guards what follows
        self.sound = InputSound(attempts, policy, self._lock, audio_format, clock)
        self.is_holding = False
        self._held: collections.deque[_Held] = collections.deque()
        self._held_bytes = 0
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
        before: Sequence[Awaited] = (),
    ) -> bool:
        """
        Send a command, or hold it until there is a connection, and what it is about.

        Args:
            waiter: Waits for its acknowledgement; without one the command counts as done once it was sent.
            may_hold: Otherwise a command is dropped for which there is no connection.
            live_s: Seconds of live sound in it, which may be dropped if the line is too slow.
            before: Commands that go right before it: nothing that others send comes between. One that has no
                waiter itself must not be held then: it has a meaning right after them only.

        Returns:
            Whether it was sent, or is about to be.

        Raises:
            ConnectionClosedError: If the session is over.
            TimeoutError: If the send backlog stayed full, or too much is held.
        """
        payloads = [command for _, command in before]
        payloads.append(payload)
        waiters = [one for one, _ in before]
        if waiter is not None:
            waiters.append(waiter)
        while True:
            with self._lock:
                for one, command in before:
                    self._place_locked(one, command)
                if waiter is not None:
                    self._place_locked(waiter, payload)
                is_held = self.is_holding or bool(
                    self._absent and any(_names(one, self._absent) for one in payloads)
                )
                for one in waiters:
                    one.is_unsent = is_held
                if is_held:
                    self._check_held()
                    # The waiters hold theirs.
                    self._count_locked(sum(len(one.payload) for one in waiters))
                    if waiter is None and may_hold:
                        self._hold_locked(payload)
                    return False
                attempt = self._attempts.current
                for one in waiters:
                    one.connection = attempt.number
            try:
                if before:
                    attempt.send_together(payloads, timeout)
                else:
                    attempt.send(payload, timeout, live_s)
            except ConnectionClosedError:
                if attempt is self._attempts.current and not self._goes_on(attempt):
                    raise
                with self._lock:
                    if waiters and waiters[-1].connection != attempt.number:
                        return True  # it was sent again on the next connection meanwhile
                    if attempt is self._attempts.current or self.is_holding:
                        # The thread that reads is about to learn of the loss, and sends it again.
                        if waiter is None and may_hold:
                            self._hold_locked(payload)
                        return not self.is_holding
            else:
                return True

    def send_sound(
        self,
        sound: bytes,
        text: bytes | None,
        timeout: float | None,
        *,
        is_live: bool,
        command: bytes | None = None,
    ) -> None:
        """
        Send sound, and keep it as long as it may be needed.

        Args:
            text: Its base64, if that is at hand.
            is_live: Whether it is spoken now, and may be dropped if the line is too slow.
            command: That appends it, if there is one already. Another connection is given another one.
        """
        audio_format = self.sound.audio_format()
        live_s = len(sound) / bytes_per_ms(audio_format) / 1000 if is_live else 0.0
        if self._policy is None:
            self.send(command or _append(sound, text), timeout, live_s=live_s)
            return
        with self._lock:
            is_holding, attempt = self.is_holding, self._attempts.current
            self.sound.append_locked(sound, audio_format, None if is_holding else attempt)
        if is_holding:
            self._check_held()
            return
        try:
            attempt.send(command or _append(sound, text), timeout, live_s)
        except ConnectionClosedError:
            if attempt is self._attempts.current and not self._goes_on(attempt):
                raise
        except BaseException:
            self.sound.retract(sound)
            raise

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
            self.sound.forget_locked()

    def _hold_locked(self, payload: bytes) -> None:
        self._count_locked(len(payload))
        self._held.append(_Held(next(self._positions), self.sound.end, payload))

    def _place_locked(self, waiter: Waiter, payload: bytes) -> None:
        """Give a command that somebody waits for its place behind all others."""
        waiter.position = next(self._positions)
        waiter.sound_index = self.sound.end
        waiter.payload = payload

    def _count_locked(self, size: int) -> None:
        if self._held_bytes and self._held_bytes + size > self._limit:
            raise TimeoutError(
                f"{self._held_bytes} bytes of commands wait for the connection to come back; "
                "this one was not queued"
            )
        self._held_bytes += size

    # ------------------------------------------------------------ another connection: the I/O thread

    def hold(self, *, is_brief: bool = False) -> None:
        """
        Send nothing more on the connection that there was.

        Args:
            is_brief: For a moment, in which all sound is kept: that connection may be the one that goes on.
        """
        with self._lock:
            self._absent = frozenset()
            self.sound.hold_locked(is_brief=is_brief)
            self.is_holding = True

    def unacknowledged(self) -> tuple[Waiter, ...]:
        """Return the commands without an answer, in the order of their calls."""
        waiting = [waiter for waiter in self._waiters.waiting if waiter.position is not None]
        return tuple(sorted(waiting, key=lambda waiter: waiter.position or 0))

    def awaits_answers(self) -> bool:
        """Whether an answer to a command is to be expected: not one that counts as lost."""
        return not all(map(self._waiters.is_overdue, self.unacknowledged()))

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
        audio_format = self.sound.audio_format()
        with self._lock:
            cursor = self.sound.begin_sending_locked(attempt, start, audio_format)
        try:
            translated = None if start is None else attempt.ids.encoded_to_service
            self._send_all(attempt, cursor, translated, is_kept)
        finally:
            self.sound.end_sending()

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
                entries, end = self._take_entries_locked(attempt, self._absent), self.sound.end
                if not entries and cursor >= end:
                    self.is_holding = False
                    self.sound.resume_locked(attempt)
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
                entries.popleft()
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
                entries = None if self.is_holding else self._take_entries_locked(attempt, frozenset())
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
                entries.popleft()

    def _send_entry(
        self, attempt: Attempt, payload: bytes, waiter: Waiter | None, is_kept: Callable[[Waiter], bool]
    ) -> None:
        if waiter is None or is_kept(waiter):
            if waiter is not None:
                self._waiters.note_sent_again(waiter)
                if waiter.acknowledges == SessionUpdate.TYPE:
                    attempt.expect_again(waiter.event_id)
            attempt.send(payload, 0.0)

    def _take_entries_locked(self, attempt: Attempt, absent: frozenset[bytes]) -> collections.deque[_Entry]:
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
        return collections.deque(sorted(entries, key=operator.itemgetter(0)))

    def _put_back(self, entries: collections.deque[_Entry]) -> None:
        with self._lock:
            for position, index, payload, waiter in reversed(entries):
                if waiter is None:
                    self._held.appendleft(_Held(position, index, payload))
                    self._held_bytes += len(payload)
                else:
                    waiter.connection, waiter.is_unsent = 0, True

    def _send_sound_to(self, attempt: Attempt, start: int, stop: int) -> int:
        """Send the sound between two indices; return where it goes on."""
        if stop <= start:
            return start
        sound = memoryview(self.sound.take(attempt, start, stop))
        for begin in range(0, len(sound), _PIECE):
            attempt.send(encode_append(pybase64.b64encode(sound[begin : begin + _PIECE])), 0.0)
        return stop


def _append(sound: bytes, text: bytes | None) -> bytes:
    return encode_append(pybase64.b64encode(sound) if text is None else text)


def _names(payload: bytes, names: frozenset[bytes]) -> bool:
    return any(name in payload for name in names)
