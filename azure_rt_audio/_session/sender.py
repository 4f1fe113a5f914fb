"""Sending: commands are checked, encoded and sent, and their acknowledgements awaited."""

from __future__ import annotations

import itertools
import secrets
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._concurrency.deadline import Deadline
from .._pages import THREADS
from .._stacklevel import stacklevel
from ..dispatch import Dispatcher
from ..protocol.checks import check_command, check_returned
from ..protocol.codec import dumps, encode
from ..protocol.commands import Command, ConversationItemCreate
from ..protocol.dialects import Dialect
from .acknowledgement import Acknowledgement
from .attempts import Attempts
from .journal import Journal
from .readiness import Readiness
from .waiter import Answers, Awaited, Waiter
from .waiters import Waiters

__all__ = ["CommandSender"]


class CommandSender:
    """
    Sends commands: on the current connection, or when there is one again.

    Args:
        journal: All commands leave through it.
        timeout: Seconds to wait for room when the send backlog is full.
        dispatcher: Where callbacks of acknowledgements run.
        clock: Seconds that never run backwards, for the time-outs of callers.
        max_message_bytes: The largest event that can be received.

    Attributes:
        why_held: Returns what commands wait for that are held. Written once.

    **Threads and locks.** Any thread. ``CommandSender._lock`` is a leaf; it guards the set of warnings given.
    """

    def __init__(
        self,
        attempts: Attempts,
        journal: Journal,
        dialect: Dialect,
        timeout: float | None,
        waiters: Waiters,
        dispatcher: Dispatcher,
        clock: Callable[[], float],
        max_message_bytes: int,
    ) -> None:
        self._attempts = attempts
        self._journal = journal
        self.dialect = dialect
        self.timeout = timeout
        self._waiters = waiters
        self._dispatcher = dispatcher
        self.clock = clock
        self._max_message_bytes = max_message_bytes
        self._id_prefix = f"evt_{secrets.token_hex(4)}"
        self._id_numbers = itertools.count(1)
        self.why_held: Callable[[], str] = lambda: "there is no connection"
        self._lock = threading.Lock()  # leaf
        self._left_out: set[str] = set()  # guarded by _lock: paths that were warned of

    def encode_raw(self, event: Mapping[str, Any] | Command) -> bytes:
        """
        Return the bytes of an event as the user wrote it, unchecked but for its type.

        Raises:
            TypeError: If it is no object, or holds something that JSON cannot express.
            ValueError: If it has no type, or a text or number in it cannot be expressed.
        """
        if isinstance(event, Command):
            return encode(event, self.dialect, self._note_left_out)
        if not isinstance(event, Mapping):
            raise TypeError(f"an event is a mapping or a command object, not {type(event).__name__}")
        name = event.get("type")
        if not isinstance(name, str) or not name:
            raise ValueError(f'an event needs a "type", such as "response.create", not {name!r}')
        return dumps(dict(event), name)

    def new_event_id(self) -> str:
        """Return an id for a command, unique in this process."""
        return f"{self._id_prefix}_{next(self._id_numbers)}"

    def new_item_id(self) -> str:
        """Return an id for an item; the service allows 32 characters."""
        return f"item_{secrets.token_hex(10)}"

    def encode(self, command: Command) -> bytes:
        """
        Return the bytes of a command.

        Raises:
            ValueError: If the service would refuse it, or send it back in an event that is too large.
        """
        payload = self.encode_as_is(self._attempts.ids.to_service(command))
        check_returned(command, len(payload), self._max_message_bytes)
        return payload

    def encode_as_is(self, command: Command) -> bytes:
        """The same with the ids of items as they stand in the command. Raises as :meth:`encode`."""
        check_command(command, self.dialect)
        return encode(command, self.dialect, self._note_left_out)

    def _note_left_out(self, path: str) -> None:
        with self._lock:
            is_new = path not in self._left_out
            self._left_out.add(path)
        if is_new:
            warnings.warn(
                f"{path} does not exist in the {self.dialect.name} protocol and was not sent",
                UserWarning,
                stacklevel=stacklevel(),
            )

    def send(self, command: Command) -> None:
        """
        Check, encode and send a command. Waits only while the send backlog is full, on the I/O thread never.

        Raises:
            ValueError: If the service would refuse it.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the backlog stayed full.
        """
        self.send_bytes(self.encode(command))

    def send_bytes(self, payload: bytes) -> None:
        """Send an encoded command. Raises as :meth:`send`."""
        self._journal.send(payload, self.timeout)

    def send_now(self, payload: bytes, seconds: float | None = None, *before: Awaited) -> None:
        """
        Send an encoded command that has no meaning for another connection than the present one.

        Args:
            seconds: To wait for room, if that is less than otherwise.
            before: Commands that go right before it, all in one step: nothing that others send is between.
        """
        self._send(payload, seconds, None, before)

    def _at_most(self, seconds: float | None) -> float | None:
        """Return how long to wait for room, for a caller who has so many seconds; ``None`` has no limit."""
        return min((one for one in (self.timeout, seconds) if one is not None), default=None)

    def send_sound(self, sound: bytes, text: bytes | None = None, *, is_live: bool = True) -> None:
        """
        Append sound to the input buffer. Raises as :meth:`send`.

        Args:
            text: Its base64, if that is at hand.
            is_live: Whether it is spoken now, and may be dropped if the line is too slow.
        """
        self._journal.send_sound(sound, text, self.timeout, is_live=is_live)

    def send_append(self, sound: bytes, payload: bytes) -> None:
        """Send an encoded command that appends sound, as it is. Raises as :meth:`send`."""
        self._journal.send_sound(sound, None, self.timeout, is_live=False, command=payload)

    def send_awaited(
        self, waiter: Waiter, payload: bytes, seconds: float | None = None, *before: Awaited
    ) -> None:
        """
        Send a command with its waiter. Raises as :meth:`send`, and the waiter is discarded.

        Args:
            seconds: To wait for room, if that is less than otherwise.
            before: As for :meth:`send_now`.
        """
        if waiter.acknowledges is not None:
            for overdue in self._waiters.give_up_overdue(waiter.acknowledges):
                if overdue.event_id is not None:
                    self._attempts.current.settle(overdue.event_id)
        self._send(payload, seconds, waiter, before)

    def _send(
        self, payload: bytes, seconds: float | None, waiter: Waiter | None, before: Sequence[Awaited]
    ) -> None:
        """Send commands in one step, with the waiters that they have; if that raises, none was sent."""
        waiters = [one for one, _ in before]
        if waiter is not None:
            waiters.append(waiter)
        for one in waiters:
            one.is_unsent = True  # until the journal sends it
        try:
            # Inside the try: a waiter of a command that was never sent would take the next acknowledgement.
            for one in waiters:
                self._waiters.add(one)
            may_hold, timeout = waiter is not None, self._at_most(seconds)
            if self._journal.send(payload, timeout, waiter, may_hold=may_hold, before=before):
                for one in waiters:
                    self._waiters.note_sent(one)
        except BaseException:
            for one in waiters:
                self._waiters.discard(one)
            raise

    def creates_after(self, waiter: Waiter) -> bool:
        """Whether an item is on its way, or held, that was sent after the command of a waiter."""
        position, kind = waiter.position or 0, ConversationItemCreate.TYPE.encode()
        return any(
            other.position is not None and other.position > position and kind in other.payload
            for other in self._waiters.waiting
        )

    def wait_to_send(self, deadline: Deadline | None = None) -> None:
        """
        Wait until the session is ready for its first commands; on the I/O thread, do not.

        Later ones are held while there is no connection, and nobody waits.

        Args:
            deadline: Of the caller, if that comes before the options' time-out.

        Raises:
            RuntimeError: In a forked child, where nothing is sent, and nothing comes.
        """
        self._attempts.current.connection.check_ours()
        if not self._attempts.has_been_ready:
            self._attempts.follow(Readiness.wait_to_send, deadline)

    def wait_for_connection(self) -> None:
        """
        Wait while there is no connection; on the I/O thread, do not.

        Raises:
            ConnectError, ConnectionClosedError: If there will be none: the limits of the policy are reached.
        """
        if self._journal.is_holding and not self.owns_this_thread():
            self._attempts.follow(Readiness.wait_until, Deadline(None))

    def owns_this_thread(self) -> bool:
        """Whether the caller is the I/O thread or the dial thread, which must not wait for the service."""
        return self._attempts.current.connection.owns_this_thread()

    def check_may_wait(self) -> None:
        """Raise where a wait would never end: on the I/O thread, and in a forked child, which has none."""
        self._attempts.current.connection.check_ours()
        if self.owns_this_thread():
            raise RuntimeError(
                "this would wait for the service on the thread that reads from it; listeners of an "
                f"inline dispatcher must not block: use the default dispatcher, or another thread. {THREADS}"
            )

    def new_future(self, owner: object, why_late: Callable[[], str] | None = None) -> Acknowledgement[Any]:
        """
        Return a future that keeps *owner* alive.

        Args:
            why_late: Returns what it waits for, if that is no answer to a command.
        """
        submit = self._dispatcher.submit
        return Acknowledgement(owner, self.check_may_wait, submit, self.clock, why_late or self._why_late)

    def _why_late(self) -> str:
        """Return why commands are not answered, unless that is the service's fault."""
        return f"it waits to be sent: {self.why_held()}" if self._journal.is_holding else ""

    def acknowledged(
        self,
        command: Command,
        owner: object,
        awaited: Callable[[Any, Any], bool] | Answers,
        *,
        wait: Callable[[], None],
        kind: str | None = None,
        codes: frozenset[str] = frozenset(),
        params: tuple[str, ...] = (),
        ids: frozenset[str] = frozenset(),
        is_quiet: bool = False,
        future: Acknowledgement[Any] | None = None,
        on_settled: Callable[[BaseException | None], object] | None = None,
    ) -> Acknowledgement[Any]:
        """
        Send a command and return a future of the event that acknowledges it.

        Args:
            owner: Kept alive by the future.
            awaited: What acknowledges it, as for a :class:`Waiter`.
            wait: Waits until commands can be sent; called once the command has been checked.
            kind: Set where one event answers one command only, in order.
            codes: Codes of errors that refuse this kind of command without naming it.
            params: Fields that only this kind of command has.
            ids: What the command names, by which such errors are told apart.
            is_quiet: Whether a refusal is reported to no one, listeners of errors included.
            future: The one to return, if there is one already.
            on_settled: As of :class:`Waiter`.
        """
        payload = self.encode(command)
        wait()
        if future is None:
            future = self.new_future(owner)
        waiter = Waiter(
            awaited,
            future,
            event_id=command.event_id,
            acknowledges=kind,
            codes=codes,
            params=params,
            ids=ids,
            is_quiet=is_quiet,
            on_settled=on_settled,
        )
        self.send_awaited(waiter, payload)
        return future
