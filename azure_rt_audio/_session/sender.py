"""The way out: commands checked, encoded, sent, and their acknowledgements awaited."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
import warnings
from collections.abc import Callable
from typing import Any

from .._concurrency.stacklevel import stacklevel
from .._transport import Connection
from ..dispatch import Dispatcher
from ..errors import ConnectionClosedError
from ..protocol.checks import check_command
from ..protocol.codec import encode, encode_append
from ..protocol.commands import Command
from ..protocol.dialects import Dialect
from .acknowledgement import Acknowledgement
from .waiters import Waiter, Waiters

__all__ = ["CommandSender"]

log: logging.Logger = logging.getLogger(__name__)


class CommandSender:
    """
    What goes to the service.

    Args:
        timeout: Seconds to wait for room when the backlog of what is to be sent is full.
        dispatcher: Where callbacks of acknowledgements run.

    **Threads and locks.** Any thread. ``CommandSender._lock`` is a leaf; it guards what has been warned of.
    """

    def __init__(
        self,
        connection: Connection,
        wire: Dialect,
        timeout: float | None,
        waiters: Waiters,
        dispatcher: Dispatcher,
    ) -> None:
        self._connection = connection
        self._wire = wire
        self.timeout = timeout
        self._waiters = waiters
        self._dispatcher = dispatcher
        self._id_prefix = f"evt_{secrets.token_hex(4)}"
        self._id_numbers = itertools.count(1)
        self._lock = threading.Lock()  # leaf
        self._left_out: set[str] = set()  # guarded by _lock

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
            ValueError: If the service would refuse it.
        """
        check_command(command, self._wire)
        return encode(command, self._wire, self._note_left_out)

    def _note_left_out(self, path: str) -> None:
        with self._lock:
            is_new = path not in self._left_out
            self._left_out.add(path)
        if is_new:
            warnings.warn(
                f"{path} does not exist in the {self._wire.name} protocol and was not sent",
                UserWarning,
                stacklevel=stacklevel(),
            )

    def send(self, command: Command) -> None:
        """
        Check, encode and queue a command. Waits only while the backlog is full, on the reader never.

        Raises:
            ValueError: If the service would refuse it.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the backlog stayed full.
        """
        self.send_bytes(self.encode(command))
        log.debug("> %s", command.type)

    def send_audio(self, text: bytes) -> None:
        """Queue an append of valid base64; raises as :meth:`send`."""
        self.send_bytes(encode_append(text))
        log.debug("> input_audio_buffer.append")

    def send_bytes(self, payload: bytes) -> None:
        """Queue what was encoded before; raises as :meth:`send`."""
        self._connection.send(payload, self.timeout)

    def send_if_open(self, payload: bytes) -> None:
        """The same for the reader, which learns soon enough that the connection is being closed."""
        with contextlib.suppress(ConnectionClosedError):
            self.send_bytes(payload)

    def check_may_wait(self) -> None:
        """Raise where it would last for ever: on the reader thread, and in a forked child, which has none."""
        self._connection.check_ours()
        if self._connection.owns_this_thread():
            raise RuntimeError(
                "this would wait for the service on the thread that reads from it; listeners of an "
                "inline dispatcher must not block: use the default dispatcher, or another thread"
            )

    def new_future(self, owner: object) -> Acknowledgement[Any]:
        """Return a future that keeps *owner* alive."""
        return Acknowledgement(owner, self.check_may_wait, self._dispatcher.submit)

    def acknowledged(
        self,
        command: Command,
        owner: object,
        matches: Callable[[Any, Any], bool],
        *,
        wait: Callable[[], None],
        kind: str | None = None,
        codes: frozenset[str] = frozenset(),
        params: tuple[str, ...] = (),
        is_quiet: bool = False,
    ) -> Acknowledgement[Any]:
        """
        Send a command and return a future of the event that acknowledges it.

        Args:
            owner: Kept alive by the future.
            matches: Whether an event is the acknowledgement. Runs on the reader.
            wait: Waits until it can be sent; called when the command is known to be right.
            kind: Set where one event answers one command only, in order.
            codes: Errors that mean this kind of command even if they do not say so.
            params: Fields that only this kind of command has.
            is_quiet: Whether a refusal is of no interest to anybody, listeners of errors included.
        """
        payload = self.encode(command)
        wait()
        future = self.new_future(owner)
        waiter = Waiter(
            matches,
            future,
            event_id=command.event_id,
            acknowledges=kind,
            codes=codes,
            params=params,
            is_quiet=is_quiet,
        )
        try:
            # In here, too: one that waits for what was never sent would take the acknowledgement of the next.
            self._waiters.add(waiter)
            self.send_bytes(payload)
        except BaseException:
            self._waiters.discard(waiter)
            raise
        log.debug("> %s", command.type)
        return future
