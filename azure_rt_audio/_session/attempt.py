"""
One connection of a session: all that begins and ends with it.

**Threads and locks.** The lock is that of all attempts, see ``attempts.py``.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import orjson

from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from .._transport import Connection, Outcome, Payload
from ..errors import ConnectionClosedError, DecodeError, ServiceError
from ..protocol.codec import Quirks, decode_event
from ..protocol.commands import SessionUpdate
from ..protocol.events import Error, Event, SessionCreated, SessionUpdated
from ..protocol.service_errors import service_error
from ..protocol.session import Session
from .item_ids import ItemIds
from .readiness import Readiness
from .secrets import Secrets
from .taps import Taps
from .verdict import SESSION_EXPIRED

__all__ = ["Attempt", "merge_session", "next_place"]

log: logging.Logger = get_logger(__name__)

_MAX_HELD_BYTES: Final = 64 * 2**20
"""Bytes of events that an attempt holds until the one before has ended."""


next_place = itertools.count(1).__next__
"""Returns the place of a change of a session among all that are asked for."""


@attrs.frozen
class PendingUpdate:
    """
    A ``session.update`` that is not acknowledged yet, with the input format that it asks for.

    Attributes:
        is_internal: The client has sent it by itself, for this connection only.
        place: Among all changes that were asked for.
    """

    event_id: str | None
    input_audio_format: str | None
    config: Any = None
    is_internal: bool = False
    place: int = attrs.field(factory=next_place)


class Attempt:
    """
    One connection, and what is known of it only.

    Args:
        number: Counts the attempts of an engine, from 1.
        configuration: The command that configures the session.
        encoded: Its bytes.

    Attributes:
        session: As described on this connection while its events were not applied.
    """

    def __init__(
        self,
        number: int,
        connection: Connection,
        ready: Readiness,
        taps: Taps,
        quirks: Quirks,
        secrets: Secrets,
        lock: threading.Lock,
        configuration: SessionUpdate,
        encoded: bytes,
    ) -> None:
        self.number = number
        self.connection = connection
        self.ready = ready
        self.configuration_id = configuration.event_id
        self.session: Session | None = None
        self.outcome: Outcome | None = None  # written once, by the I/O thread
        self.ids = ItemIds()
        self.asked: Any = None  # what its configuration was made of
        self.changes: tuple[Any, ...] = ()  # those of the voice that are in it
        self.opened_at: float | None = None  # on the clock of the attempts; written by the I/O thread
        self.opened_wall = 0.0
        self.is_started = False  # it has begun to connect
        self.has_expired = False  # the service has said that its session is over; the I/O thread's
        self.sound_base = 0  # index of the first byte of sound that was sent on it; written by the journal
        self.on_configured: Callable[[Attempt], object] | None = None
        """
        Called once, in place of becoming ready, which is the callee's to bring about. The I/O thread's.

        The attempt is its argument: a function that held it would be held by it, and keep a connection that
        nobody wants any more.
        """
        self._is_configured = False
        self.on_refused: Callable[[Attempt, ServiceError], object] | None = None
        """Called, in place of ``on_event``, if the service refuses the configuration. The I/O thread's."""
        self.on_event: Callable[[Event], object] | None = None
        """Called with each event that is not applied. The I/O thread's."""
        self.configure_at: float | None = None  # when the grace for session.created is over
        self.ready_at: float | None = None  # when session.created alone is to do; the I/O thread's
        self.is_over = False  # guarded by _lock; written once
        self._taps = taps
        self._quirks = quirks
        self._secrets = secrets
        self._encoded = encoded
        self._lock = lock
        self._updates: tuple[PendingUpdate, ...] = ()  # guarded by _lock for replacement
        self._held: collections.deque[bytes] | None = None  # guarded by _lock
        self._held_bytes = 0  # guarded by _lock
        self.expect_update(configuration)

    # ------------------------------------------------------------ sending: any thread

    def send(self, payload: bytes, timeout: float | None, live_s: float = 0.0) -> None:
        """Send an encoded command; all of them leave here. See :meth:`Connection.send`, also for errors."""
        if self._taps.active:
            when = time.monotonic()
            self.connection.send(payload, timeout, live_s=live_s)
            self._taps.sent(self.number, payload, when)
        else:
            self.connection.send(payload, timeout, live_s=live_s)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("> %s", orjson.loads(payload).get("type"))

    def send_together(self, payloads: Sequence[bytes], timeout: float | None) -> None:
        """Send encoded commands, all of them or none, with no other between. Raises as :meth:`send`."""
        when = time.monotonic()
        self.connection.send_together(payloads, timeout)
        for payload in payloads:
            self._taps.sent(self.number, payload, when)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("> %s", orjson.loads(payload).get("type"))

    def send_configuration(self) -> None:
        """Ask for the session that the user wants; on a connection that is being closed, do nothing."""
        self.configure_at = None
        with contextlib.suppress(ConnectionClosedError):
            self.send(self._encoded, 0.0)

    def configure_with(self, command: SessionUpdate, encoded: bytes) -> None:
        """Ask for another session than the one that was refused."""
        self.configuration_id, self._encoded = command.event_id, encoded
        self.ready.try_again_with(command.event_id)
        known = getattr(command.session, "input_audio_format", None)
        update = PendingUpdate(command.event_id, known if isinstance(known, str) else None, command.session)
        with self._lock:
            self._updates = (update, *self._updates)  # those of the program are sent later
        self.send_configuration()

    # ------------------------------------------------------------ updates of the session: any thread

    def expect(
        self, event_id: str | None, input_format: object, config: Any = None, *, is_internal: bool = False
    ) -> None:
        """Note that an update of the session was sent, or is about to be."""
        known = input_format if isinstance(input_format, str) else None
        update = PendingUpdate(event_id, known, config, is_internal)
        with self._lock:
            self._updates = (*self._updates, update)

    def expect_update(self, command: SessionUpdate) -> None:
        """The same for a command."""
        self.expect(command.event_id, getattr(command.session, "input_audio_format", None), command.session)

    def expect_again(self, event_id: str | None) -> None:
        """An update was sent now, behind all that were sent before it; nothing, if it is no update."""
        with self._lock:
            moved = tuple(update for update in self._updates if update.event_id == event_id)
            if moved and event_id is not None:
                others = tuple(update for update in self._updates if update.event_id != event_id)
                self._updates = (*others, *moved)

    def settle(self, event_id: str | None) -> None:
        """Forget an update: it was refused, or never sent."""
        with self._lock:
            self._updates = tuple(update for update in self._updates if update.event_id != event_id)

    def settle_oldest(self) -> PendingUpdate | None:
        """Forget the oldest update and return it: the service has answered."""
        with self._lock:
            oldest, self._updates = (self._updates[0], self._updates[1:]) if self._updates else (None, ())
        return oldest

    @property
    def updates(self) -> tuple[PendingUpdate, ...]:
        """The updates that were not acknowledged yet."""
        return self._updates

    @property
    def asked_input_format(self) -> str | None:
        """The input format of the latest update that asks for one; ``None`` if none does."""
        if not self._updates:
            return None
        asked = (update.input_audio_format for update in reversed(self._updates))
        return next((audio_format for audio_format in asked if audio_format is not None), None)

    # ------------------------------------------------------------ events that are not applied: the I/O thread

    def receive(self, payload: Payload) -> None:
        """Take a message while another attempt's events are applied: hold it, or prepare the session."""
        if self._taps.active:
            self._taps.received(self.number, payload)
        with self._lock:
            is_held = self._held is not None
            if self._held is not None:
                self._held.append(bytes(payload))
                self._held_bytes += len(payload)
            is_too_much = self._held_bytes > _MAX_HELD_BYTES
        if is_too_much:
            self.connection.abort(
                ConnectionClosedError(
                    f"More than {_MAX_HELD_BYTES} bytes came while the connection before was still draining.",
                    close_code=1011,
                    reason="too many events held",
                )
            )
        elif not is_held:
            try:
                self._prepare(self._secrets.masked(decode_event(payload, self._quirks)))
            except DecodeError:
                log.debug("< malformed frame (%d bytes)", len(payload))
            except BaseException as exc:
                if ends_the_program(exc):
                    raise
                log.exception("! the session could not be prepared")
                self.connection.abort(
                    ConnectionClosedError(
                        "The session could not be prepared; please report this.", close_code=1011
                    )
                )

    def _prepare(self, event: Event) -> None:
        """Configure the session by this connection's own events."""
        if isinstance(event, Error) and event.error is not None and event.error.code == SESSION_EXPIRED:
            self.has_expired = True
        if isinstance(event, SessionCreated | SessionUpdated):
            if isinstance(event.session, Session):
                self.session = merge_session(self.session, event.session)
            if isinstance(event, SessionCreated):
                if self.configure_at is not None:
                    self.send_configuration()
            elif not self.is_over:
                self.settle_oldest()
        elif isinstance(event, Error) and not self._is_configured:
            error = service_error(event)
            # Nothing else was sent until then: no other command is meant by an error that names none.
            is_meant = (
                error.event_id is None
                and not error.param
                and error.service_type == "invalid_request_error"
                and error.code != SESSION_EXPIRED
            )
            if self.ready.refuse(error, is_meant=is_meant):
                self.settle(self.configuration_id)
                if self.on_refused is not None:
                    self.on_refused(self, error)
                    return
        if self.on_event is not None:
            self.on_event(event)
        if isinstance(event, SessionUpdated) and not self.is_over:
            self.configured()

    def configured(self) -> None:
        """The session is as asked for, or as good as that."""
        self.ready_at = None
        # Later updates are the program's, or the barrier of a swap.
        if self.on_configured is not None and not self._is_configured:
            self._is_configured = True
            self.on_configured(self)

    def take_updates(self, previous: Attempt) -> None:
        """Expect the answers to updates of the session that the attempt before has not had; know its ids."""
        self.ids.inherit(previous.ids)
        own = previous.configuration_id
        left = tuple(u for u in previous._updates if u.event_id != own and not u.is_internal)
        with self._lock:
            self._updates = (*self._updates, *left)

    @property
    def is_configured(self) -> bool:
        """Whether ``on_configured`` was called."""
        return self._is_configured

    @property
    def is_holding(self) -> bool:
        """Whether what comes is held until the attempt before has ended."""
        return self._held is not None

    def hold_locked(self) -> None:
        """Hold what comes from now on, until it is taken with :meth:`next_held_locked`."""
        self._held = collections.deque()

    def next_held_locked(self) -> bytes | None:
        """Return the oldest message that is held; when there is none, stop holding and return ``None``."""
        if self._held:
            payload = self._held.popleft()
            self._held_bytes -= len(payload)
            return payload
        self._held = None
        return None


def merge_session(known: Session | None, update: Session) -> Session:
    """Return *update* with what it leaves out as it was; an explicit null is kept in ``extra``."""
    if known is None:
        return update
    names = (field.name for field in attrs.fields(Session) if field.name not in ("extra", *update.extra))
    kept = {name: getattr(known, name) for name in names if getattr(update, name) is None}
    return attrs.evolve(update, **kept)
