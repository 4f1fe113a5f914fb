"""
What the session was asked to be, and what the service says it is.

**Threads.** Any thread updates it; the I/O thread writes ``session`` and what is asked for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import attrs

from .._log import get_logger
from ..audio.pcm import readable_format
from ..errors import ConnectionClosedError, ServiceError
from ..protocol.base import UNSET, Unset
from ..protocol.commands import ResponseCancel, SessionUpdate
from ..protocol.dialects.nesting import SESSION
from ..protocol.events import Error, SessionCreated, SessionUpdated
from ..protocol.session import Session, SessionConfig, TranscriptionSessionConfig, TurnDetection
from ..protocol.session_differences import differences
from .acknowledgement import Acknowledgement
from .attempt import Attempt, merge_session
from .attempts import Attempts
from .readiness import Readiness
from .sender import CommandSender
from .voice_changes import VoiceChange, VoiceChanges
from .waiter import Waiter, placeholder
from .waiters import Waiters

__all__ = ["Configuration"]

log: logging.Logger = get_logger(__name__)

_PREFIX_MS: Final = 300.0
"""What the service takes unless told otherwise."""


class Configuration:
    """
    The configuration of a session, which each connection begins with.

    Args:
        asked: What the user wants at first.

    Attributes:
        session: The session in force, as the service last described it.
        assistant: Another number for each assistant that the client has become, see ``client.become``.
    """

    def __init__(self, attempts: Attempts, sender: CommandSender, waiters: Waiters, asked: Any) -> None:
        self._attempts = attempts
        self._sender = sender
        self._waiters = waiters
        self._asked = asked
        self.changes = VoiceChanges(waiters)
        self._told: set[str] = set()  # fields that the service has changed
        self.session: Session | None = None
        self.assistant = 0
        self.turns_ended = 0  # turns of the user that became items; the I/O thread's
        self._barrier: Waiter | None = None  # the I/O thread's
        self._barriers: list[tuple[Attempt, Waiter]] = []  # that were not answered yet; the I/O thread's

    # ------------------------------------------------------------ any thread

    def new_attempt(self) -> Attempt:
        """
        Make an attempt that configures its session as asked for until now; it does not connect yet.

        Raises:
            ValueError: If the service would refuse the configuration.
        """
        asked, changes = self._asked, self.changes.waiting
        command = self._command(asked, changes)
        attempt = self._attempts.add(command, self._sender.encode_as_is(command))
        attempt.asked, attempt.changes = asked, changes
        return attempt

    def _command(self, asked: Any, changes: tuple[VoiceChange, ...]) -> SessionUpdate:
        for change in changes:
            asked = _merge(asked, change.config)
        return SessionUpdate(event_id=self._sender.new_event_id(), session=asked)

    def is_asked_of(self, attempt: Attempt) -> bool:
        """Whether the session of an attempt was asked to be what is asked for now."""
        return attempt.asked is self._asked and attempt.changes == self.changes.waiting

    def update(
        self,
        command: SessionUpdate,
        owner: object,
        future: Acknowledgement[SessionUpdated] | None = None,
        on_settled: Callable[[BaseException | None], object] | None = None,
    ) -> Acknowledgement[SessionUpdated]:
        """
        Send a change of the session; after a refused configuration, this may be the remedy.

        Args:
            on_settled: As of :class:`Waiter`.
        """
        attempt = self._attempts.current

        def wait() -> None:
            nonlocal attempt
            if not self._attempts.has_been_ready:
                attempt = self._attempts.follow(Readiness.wait_to_send_configuration)
                attempt.ready.try_again_with(command.event_id)
            attempt.expect_update(command)

        try:
            return self._sender.acknowledged(
                command,
                owner,
                ((SessionUpdated, None),),
                wait=wait,
                kind=command.type,
                params=("session",),
                future=future,
                on_settled=on_settled,
            )
        except BaseException:
            attempt.settle(command.event_id)
            raise

    def is_another_voice(self, config: object) -> bool:
        """Whether a change asks for another voice than that in force, or than one that is to be."""
        voice = getattr(config, "voice", UNSET)
        if voice is UNSET or self.session is None:
            return False
        return voice != self.session.voice or self.changes.names_voice()

    def input_audio_format(self) -> str:
        """Return the format of audio that is appended next: of a pending update, or as in force."""
        current = self._attempts.current
        asked = current.asked_input_format
        if asked is not None:
            return asked
        session = self.session or current.session  # of a first session that is yet to be told
        return readable_format(session.input_audio_format if session is not None else None)

    def output_audio_format(self) -> str | None:
        """Return the format in force."""
        return self.session.output_audio_format if self.session is not None else None

    @property
    def modalities(self) -> list[str] | None:
        """Return those in force."""
        return self.session.modalities if self.session is not None else None

    @property
    def turn_detection(self) -> TurnDetection | None:
        """How the service finds the user's turns; ``None`` if it does not."""
        return self.session.turn_detection if self.session is not None else None

    def asked_turn_detection(self, *, with_pending: bool) -> TurnDetection | Unset | None:
        """
        How the program wants the user's turns to be found, if it has said so; ``None`` is no detection.

        Args:
            with_pending: Whether updates count that the service has not answered yet.
        """
        pending = self._pending_detections() if with_pending else []
        asked = pending[-1] if pending else getattr(self._asked, "turn_detection", UNSET)
        return asked if isinstance(asked, TurnDetection | Unset) else None

    @property
    def is_detection_changing(self) -> bool:
        """Whether the service has yet to answer an update that says how the user's turns are to be found."""
        return bool(self._pending_detections())

    def _pending_detections(self) -> list[Any]:
        attempt = self._attempts.current
        updates = (u.config for u in attempt.updates if u.event_id != attempt.configuration_id)
        asked = (getattr(config, "turn_detection", UNSET) for config in updates)
        return [detection for detection in asked if detection is not UNSET]

    @property
    def is_transcription_off(self) -> bool:
        """Whether the user is not transcribed: neither says so the service, nor is it asked for."""
        session = self.session
        configs = [self._asked, *(update.config for update in self._attempts.current.updates)]
        return (
            session is not None
            and session.input_audio_transcription is None
            and all(isinstance(config, SessionConfig) for config in configs)
            and not any(config.input_audio_transcription for config in configs)
        )

    @property
    def transcription_model(self) -> str | None:
        """The model that transcribes the user, if known."""
        in_force = self.session.input_audio_transcription if self.session is not None else None
        return in_force.model if in_force is not None else None

    @property
    def prefix_ms(self) -> float:
        """Milliseconds of sound before speech that the service takes as part of it."""
        detection = self.turn_detection
        padding = detection.prefix_padding_ms if detection is not None else None
        return _PREFIX_MS if padding is None else float(padding)

    @property
    def does_transcribe(self) -> bool:
        """Whether the service transcribes what the user says."""
        return self.session is not None and self.session.input_audio_transcription is not None

    # ------------------------------------------------------------ the I/O thread

    def send_barrier(self, attempt: Attempt) -> None:
        """
        Send an update that changes nothing: its answer shows that all commands before it were answered.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        self._barrier = self.send_own(attempt, SessionConfig(), Future())
        self._barriers.append((attempt, self._barrier))

    def send_own(self, attempt: Attempt, config: SessionConfig, future: Future[Any]) -> Waiter:
        """
        Send an update that the program knows nothing of, for one connection only.

        Args:
            future: Resolved with the answer.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        command = SessionUpdate(event_id=self._sender.new_event_id(), session=config)
        waiter = placeholder(SessionUpdate.TYPE, command.event_id, future)
        self._waiters.add(waiter)
        self._waiters.note_sent(waiter)
        attempt.expect(command.event_id, None, is_internal=True)
        try:
            attempt.send(self._sender.encode_as_is(command), 0.0)
        except ConnectionClosedError:
            self._waiters.discard(waiter)
            attempt.settle(command.event_id)
            raise
        return waiter

    def is_current(self, attempt: Attempt) -> bool:
        """Whether commands go to an attempt."""
        return attempt is self._attempts.current

    def take_barrier(self, event: SessionUpdated | Error) -> bool:
        """Whether an event answers it, or refuses it, which shows the same; it is over then."""
        barrier = self._barrier
        if barrier is None:
            return False
        if isinstance(event, SessionUpdated):
            is_it = self._waiters.oldest(SessionUpdate.TYPE, event) is barrier
        else:
            is_it = event.error is not None and event.error.event_id == barrier.event_id
        if is_it:
            self.drop_barriers()
        return is_it

    def take_internal(self, event: SessionUpdated) -> bool:
        """Take the answer to an update that the client has made by itself; return whether it is one."""
        waiter = self._waiters.oldest(SessionUpdate.TYPE, event)
        if waiter is None or not waiter.is_internal:
            return False
        self.take(event)
        self._waiters.discard(waiter)
        waiter.resolve(event)
        return True

    def leave_barrier(self) -> None:
        """Wait no longer for its answer, which is to come all the same."""
        self._barrier = None

    def drop_barriers(self) -> None:
        """No answer to any of them is to come."""
        self._barrier = None
        for attempt, barrier in self._barriers:
            self._waiters.discard(barrier)
            attempt.settle(barrier.event_id)
        self._barriers.clear()

    def cancel_on(self, attempt: Attempt, response_id: str | None) -> None:
        """Cancel a response on an attempt that nobody listens to any more."""
        command = ResponseCancel(event_id=self._sender.new_event_id(), response_id=response_id)
        with contextlib.suppress(ConnectionClosedError):
            attempt.send(self._sender.encode_as_is(command), 0.0)

    def configure(self, attempt: Attempt) -> None:
        """Configure the session of the attempt whose events are applied."""
        # A placeholder, so that session.updated is not matched to a later command.
        waiter = placeholder(SessionUpdate.TYPE, attempt.configuration_id)
        self._waiters.add(waiter)
        self._waiters.note_sent(waiter)
        attempt.send_configuration()

    def take(self, event: SessionCreated | SessionUpdated) -> None:
        """Take the service's description; configure a session that has just been made."""
        if isinstance(event.session, Session):
            self.session = merge_session(self.session, event.session)
        attempt = self._attempts.applied
        if attempt is None:
            return
        if isinstance(event, SessionCreated):
            if attempt.configure_at is not None:
                self.configure(attempt)
            return
        update = attempt.settle_oldest()
        if update is not None:
            if update.event_id != attempt.configuration_id and not update.is_internal:
                self._asked = _merge(self._asked, update.config)
                if isinstance(update.config, SessionConfig):
                    self.changes.override(update.config, update.place)
            self._compare(update.config)

    def take_changes(self, attempt: Attempt) -> SessionUpdated | None:
        """
        Events of an attempt are applied: the changes of the voice that it was configured with are in force.

        Returns:
            What to tell of them, if there are any.
        """
        changes = tuple(change for change in attempt.changes if change in self.changes.waiting)
        if not changes or self.session is None:
            return None
        event = SessionUpdated(session=self.session)
        for change in changes:
            self._asked = _merge(self._asked, change.config)
        self.changes.remove(changes)
        attempt.changes = ()
        self.changes.resolve(changes, event)
        return event

    def refuse_changes(self, attempt: Attempt, error: ServiceError) -> tuple[bool, bool]:
        """
        Take back changes of the voice in a configuration that was refused: the latest that asks for what was
        refused; all, if it is not that.

        Returns:
            Whether there were any; whether a caller is told of the refusal.
        """
        name = _refused_name(error)
        waiting = tuple(change for change in attempt.changes if change in self.changes.waiting)
        meant = tuple(change for change in waiting if _names(change.config, name))[-1:] or waiting
        return bool(meant), self.changes.fail(meant, error)

    def leave_out(self, attempt: Attempt, error: ServiceError) -> str | None:
        """
        Ask for the session again without what was refused of it: from now on it is not asked for.

        Returns:
            The name of the field; ``""`` if it was a change of the voice, or may have been, which is taken
            back; ``None`` if it is not known what was refused.
        """
        name = _refused_name(error)
        meant = tuple(change for change in attempt.changes if _names(change.config, name))[-1:]
        if not meant and not _names(attempt.asked, name):
            meant = attempt.changes
        if meant:
            self.changes.fail(meant, error)
            asked, changes = attempt.asked, tuple(c for c in attempt.changes if c not in meant)
        elif _names(attempt.asked, name):
            asked, changes = _without(attempt.asked, name), attempt.changes
            is_current = attempt.asked is self._asked
            self._asked = asked if is_current else _without(self._asked, name)
        else:
            return None
        command = self._command(asked, changes)
        attempt.asked, attempt.changes = asked, changes
        self._attempts.configure_with(attempt, command, self._sender.encode_as_is(command))
        return "" if meant else name

    def _compare(self, asked: Any) -> None:
        """Log, once for each field, what the service does otherwise than it was asked to."""
        if not isinstance(asked, SessionConfig) or self.session is None:
            return
        for name, words in differences(asked, self.session).items():
            if name not in self._told:
                self._told.add(name)
                log.warning("! the service did not take the configuration as it was sent: %s", words)


def _merge(known: Any, update: Any) -> Any:
    """Return what is asked for after an update: the fields that it names are replaced."""
    if not isinstance(update, SessionConfig):
        return known
    if not isinstance(known, SessionConfig):
        return update
    names = [field.name for field in attrs.fields(SessionConfig) if field.name != "extra"]
    changes = {name: value for name in names if (value := getattr(update, name)) is not UNSET}
    fields = {**{name: UNSET for name in update.extra if name in names}, **changes}
    extra = {name: value for name, value in known.extra.items() if name not in changes}
    return attrs.evolve(known, **fields, extra={**extra, **update.extra})


def _refused_name(error: ServiceError) -> str:
    return SESSION.name_of((error.param or "").removeprefix("session."))


def _names(config: Any, name: str) -> bool:
    """Whether a configuration says something of a field."""
    if not isinstance(config, SessionConfig | TranscriptionSessionConfig):
        return False
    return name in config.extra or (name != "extra" and getattr(config, name, UNSET) is not UNSET)


def _without(config: Any, name: str) -> Any:
    """Return a configuration that says nothing of a field."""
    if not _names(config, name):
        return config
    extra = {key: value for key, value in config.extra.items() if key != name}
    rest = {name: UNSET} if name in attrs.fields_dict(type(config)) else {}
    return attrs.evolve(config, **rest, extra=extra)
