"""The handle of a response that was asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline, check_timeout
from .._log import get_logger
from .._not_pickled import NotPickled
from .._pages import WAITING
from .._repr import also_half_made
from ..audio.converter import Converter
from ..audio.pcm import readable_format
from ..audio.resample import check_rate
from ..errors import RealtimeError, ResponseLostError
from ..protocol.events import (
    Event,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from ..protocol.items import FunctionCallOutputItem
from ..protocol.responses import Response
from .partial_response import streamed_response

__all__ = ["DEFAULT_TIMEOUT", "PendingResponse"]

log: logging.Logger = get_logger(__name__)

DEFAULT_TIMEOUT: Final = 90.0
"""
Seconds that blocking methods wait for the service unless told otherwise; longer than a response may be
silent, so that its loss is told before a time-out is.
"""


_NOT_PICKLED: Final = NotPickled(
    "a PendingResponse can be neither pickled nor deep-copied: it waits for this process's connection. "
    "Pickle what its result() returns"
)
_MAX_SOUND: Final = 64 * 2**20
"""Characters of base64 that a handle keeps: 17 minutes of PCM16, and far more than a response may have."""


class PendingResponse:
    """
    A response that was asked for.

    Call :meth:`result` for the whole response, iterate :meth:`text` or :meth:`audio` for its parts as they
    arrive, or ignore it: a handle that is not kept costs nothing::

        for words in client.create_response().text():
            print(words, end="", flush=True)

    A handle that is kept holds the sound of its response, 64 MiB of base64 or 17 minutes of PCM16 at most;
    beyond that it lets go of the oldest, with a warning in the log.

    **Threads.** Any thread may wait, several at once; each iteration starts from the beginning.
    """

    def __init__(
        self,
        cancel: Callable[[], None],
        check_may_wait: Callable[[], None],
        audio_format: str = "pcm16",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._not_pickled = _NOT_PICKLED
        self._cancel = cancel
        self._asked_format = audio_format
        self._check_may_wait = check_may_wait
        self._clock = clock
        self._waits: dict[int, Deadline] = {}  # of threads that wait, by their ids; each writes its own
        self._ends_with_wait = False  # who waits cancels it when the time is over
        self._condition = Condition()  # leaf; guards the rest
        self._pieces: list[Event] = []
        self._read = 0  # pieces that an iteration has had
        self._sound_size = 0  # characters of base64 in _pieces
        self._let_go = 0  # pieces before this one have no sound any more
        self._id: str | None = None
        self._latest = 0  # the first piece of the latest response
        self._steps: list[Response | FunctionCallOutputItem] = []
        self._goes_on_after: str | None = None  # a response whose calls are run, and answered
        self._cancel_rest: Callable[[], None] = lambda: None
        self._ending: Response | None = None  # that its end is kept back, see ``held_end.py``
        self._response: Response | None = None
        self._failure: RealtimeError | None = None

    @also_half_made
    def __repr__(self) -> str:
        return f"<PendingResponse {self._id or 'not yet created'}, {self.status}>"

    @property
    def id(self) -> str | None:
        """The service's id of it, once it has begun."""
        return self._id

    @property
    def status(self) -> str:
        """``"pending"``, ``"in_progress"``, ``"refused"``, or how the response ended."""
        if self._response is not None:
            return self._response.status or "completed"
        if self._failure is not None:
            return "refused"
        return "pending" if self._id is None else "in_progress"

    @property
    def done(self) -> bool:
        """Whether :meth:`result` would return at once."""
        return self._response is not None or self._failure is not None

    @property
    def error(self) -> RealtimeError | None:
        """
        Why it was refused, failed, was cut short or cancelled; ``None`` while all is well.

        After the loop over :meth:`text` or :meth:`audio` it says whether that was all: of an answer that
        the content filter, the limit of tokens or the user stopped it is a
        :class:`~azure_rt_audio.errors.ResponseIncompleteError`.
        """
        if self._failure is not None:
            return self._failure
        return None if self._response is None else self._response.error

    def _repr_html_(self) -> str:
        """Show how far it is, as the value of a notebook's cell."""
        from .._html import card, facts, player, speech

        with self._condition.lock:
            pieces = tuple(self._pieces)
        said = "".join(
            event.delta
            for event in pieces
            if isinstance(event, ResponseOutputTextDelta | ResponseOutputAudioTranscriptDelta)
        )
        sound = b"".join(event.audio for event in pieces if isinstance(event, ResponseOutputAudioDelta))
        begun = next((event for event in pieces if isinstance(event, ResponseCreated)), None)
        parts = [
            speech([("assistant", said)]),
            player(sound, self._format_of(begun)),
            facts({"error": self.error, "id": self.id}),
        ]
        return card("PendingResponse", parts, status=self.status)

    @property
    def _is_held(self) -> bool:
        """Whether somebody waits for it: it would have been collected otherwise."""
        return True

    def cancel(self) -> None:
        """
        Stop it: at once, when it begins, or before it was ever sent. Does not block.

        Tools that it has called are told, and their results are not answered any more.
        """
        self._cancel()
        self._cancel_rest()

    def result(self, timeout: float | None = DEFAULT_TIMEOUT, *, check: bool = True) -> Response:
        """
        Wait for the end and return the response.

        If it calls tools of the client, that is the answer to their results; ``.steps`` has the way there.
        One that was cancelled or cut short is returned: see its ``status``, and its ``error``, which says
        why.

        Args:
            timeout: Seconds; ``None`` waits as long as the connection lives.
            check: ``False`` returns a response that failed as well.

        Raises:
            ServiceError: If the response failed, or the request itself was refused. That of a failed
                response has it, as ``response``.
            ResponseLostError: If the service fell silent about it; has what came.
            ResponseSupersededError: If it was to be dropped when the user's own turn was answered.
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer; the response goes on.
        """
        deadline = Deadline(timeout, self._clock)
        if not self.done:
            self._check_may_wait()
        if not self.done and not self._wait_until(lambda: self.done, deadline):
            raise TimeoutError(f"the response was not finished after {timeout} seconds. {WAITING}")
        return self._outcome(check=check)

    def text(self, timeout: float | None = DEFAULT_TIMEOUT, *, check: bool = True) -> Iterator[str]:
        """
        Iterate over what it says or writes, as it comes.

        A response that was cut short or cancelled ends the loop as one that was completed does; then
        :attr:`error` says why. ::

            pending = client.create_response()
            for words in pending.text():
                print(words, end="", flush=True)
            if pending.error is not None:
                print(f" [{pending.error.code}]")

        Args:
            timeout: Seconds to wait for each piece.
            check: ``False`` ends the loop at the end of a response that failed, too.

        Raises:
            Exception: As :meth:`result`, after the last piece.
        """
        check_timeout(timeout)
        return (
            event.delta
            for event in self._iterate(timeout, check=check)
            if isinstance(event, ResponseOutputTextDelta | ResponseOutputAudioTranscriptDelta)
        )

    def audio(
        self,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        sample_rate_hz: int | None = None,
        check: bool = True,
    ) -> Iterator[bytes]:
        """
        Iterate over its sound, as it comes, in the format that it has or at a rate of your own.

        It ends as :meth:`text` does.

        Args:
            timeout: Seconds to wait for each piece.
            sample_rate_hz: Left out, the sound is as it came: ``"pcm16"`` is int16, little-endian, mono,
                24 000 Hz, G.711 one byte per frame, 8 000 Hz. With it, the sound is PCM16 at that rate,
                from 1 000 to 768 000 Hz, whatever came; pieces join without a click.
            check: As that of :meth:`text`.

        Raises:
            ValueError: No such rate.
            MissingExtraError: Another rate without the ``audio`` extra.
            Exception: As :meth:`result`.
        """
        check_timeout(timeout)
        if sample_rate_hz is not None:
            check_rate("sample_rate_hz", sample_rate_hz)
        return self._sound(timeout, sample_rate_hz, check=check)

    def _sound(self, timeout: float | None, sample_rate_hz: int | None, *, check: bool) -> Iterator[bytes]:
        converter, audio_format = None, readable_format(self._asked_format)
        for event in self._iterate(timeout, check=check):
            if sample_rate_hz is None:
                if isinstance(event, ResponseOutputAudioDelta):
                    yield event.audio
                continue
            if isinstance(event, ResponseCreated):
                known, audio_format = audio_format, self._format_of(event)
                if converter is not None and audio_format != known:  # an answer after the calls of tools
                    if tail := converter.finish():
                        yield tail
                    converter = None
            elif isinstance(event, ResponseOutputAudioDelta):
                if converter is None:
                    converter = Converter(from_format=audio_format, to_hz=sample_rate_hz)
                if sound := converter.feed(event.audio):
                    yield sound
        if converter is not None and (tail := converter.finish()):
            yield tail

    def _format_of(self, begun: ResponseCreated | None) -> str:
        """The format of the sound of a response: as the service said, or else as asked for."""
        said = None if begun is None else begun.response.output_audio_format
        return readable_format(said or self._asked_format)

    def __iter__(self) -> Iterator[Event]:
        """Iterate over all its events, ``response.created`` to ``response.done``, which says how it ended."""
        return self._iterate(DEFAULT_TIMEOUT, check=False)

    def _iterate(self, timeout: float | None, *, check: bool) -> Iterator[Event]:
        position = 0
        while True:
            pieces = self._pieces_from(position, Deadline(timeout, self._clock))
            if not pieces:
                self._outcome(check=check)
                return
            position += len(pieces)
            self._read = max(self._read, position)
            yield from pieces

    def _pieces_from(self, position: int, deadline: Deadline) -> list[Event]:
        def is_more() -> bool:
            return len(self._pieces) > position or self.done

        if not is_more():
            self._check_may_wait()
            if not self._wait_until(is_more, deadline):
                raise TimeoutError("nothing more of the response came in time")
        with self._condition.lock:
            return self._pieces[position:]

    def _wait_until(self, is_so: Callable[[], bool], deadline: Deadline) -> bool:
        me = threading.get_ident()
        try:
            self._waits[me] = deadline
            return self._condition.wait_until(is_so, deadline)
        finally:
            self._waits.pop(me, None)

    def _threads_waiting(self, seconds: float) -> set[int]:
        """Return the threads that wait for it, and do nothing else for so many seconds."""
        left = {me: deadline.remaining() for me, deadline in self._waits.copy().items()}
        return {me for me, rest in left.items() if rest is None or rest > seconds or self._ends_with_wait}

    def _outcome(self, *, check: bool) -> Response:
        if self._failure is not None:
            raise self._failure.again()
        assert self._response is not None
        if check and self._response.status == "failed" and (error := self._response.error) is not None:
            raise error
        return self._response

    def _feed(self, event: Event) -> None:
        """Take an event of the response. Called by the I/O thread."""
        held, is_first_loss = None, False
        with self._condition.lock:
            if isinstance(event, ResponseCreated):
                self._latest = len(self._pieces)
            self._pieces.append(event)
            if isinstance(event, ResponseOutputAudioDelta):
                self._sound_size += len(event.delta)
                if self._sound_size > _MAX_SOUND:
                    is_first_loss = not self._let_go
                    self._let_go_of_sound_locked()
            if isinstance(event, ResponseCreated | ResponseDone):
                self._id = event.response.id
            if isinstance(event, ResponseDone):
                response = event.response
                pieces = self._pieces[self._latest :]
                response._keep_sound([e for e in pieces if isinstance(e, ResponseOutputAudioDelta)])
                if self._goes_on_after == (response.id or ""):
                    called = {call.call_id for call in response.function_calls}
                    outputs = (i for i, step in enumerate(self._steps) if _answers(step, called))
                    place = next(outputs, len(self._steps))  # before those of quick tools
                    self._steps.insert(place, response)
                    self._goes_on_after = None  # a service may give an id twice
                else:
                    held, self._ending = response._held_end, response
                    if held is None:
                        self._response = response._with_steps(self._steps)
            self._condition.notify_all()
        if is_first_loss:
            log.warning("! %r has more than 64 MiB of sound, and lets go of the oldest", self)
        if held is not None:
            held.add(self._let_end)

    def _let_end(self) -> None:
        """Take the end that was kept back. Called by whichever thread lets it go."""
        if self._ending is not None:
            self._finish(self._ending)

    def _go_on(self, response_id: str, cancel_rest: Callable[[], None]) -> None:
        """
        Take the end of a response for a step on the way. Called by the I/O thread.

        Args:
            cancel_rest: Called when the handle is cancelled.
        """
        with self._condition.lock:
            self._goes_on_after, self._cancel_rest = response_id, cancel_rest

    def _note_output(self, output: FunctionCallOutputItem) -> None:
        """Take the output of a call. Called by the thread of a tool."""
        with self._condition.lock:
            self._steps.append(output)

    def _let_go_of_sound_locked(self) -> None:
        """Keep the oldest pieces without their sound."""
        while self._sound_size > _MAX_SOUND:
            piece = self._pieces[self._let_go]
            if isinstance(piece, ResponseOutputAudioDelta):
                self._sound_size -= len(piece.delta)
                self._pieces[self._let_go] = attrs.evolve(piece, delta="")
            self._let_go += 1

    def _kinds(self) -> set[type[Event]]:
        """Return the classes of the events that came."""
        with self._condition.lock:
            return {type(event) for event in self._pieces}

    def _restart(self) -> bool:
        """Forget what came, because it is asked for again; return ``False`` if somebody has read it."""
        with self._condition.lock:
            if self._read > self._latest or self.done:
                return False
            del self._pieces[self._latest :]
            self._let_go = min(self._let_go, self._latest)
            self._sound_size = sum(
                len(piece.delta) for piece in self._pieces if isinstance(piece, ResponseOutputAudioDelta)
            )
            self._id = None
        return True

    def _finish(self, outcome: Response | RealtimeError) -> None:
        """Record how it ended, unless it has. Called by the I/O thread, or by a cancelling thread."""
        with self._condition.lock:
            if self.done:
                return
            if isinstance(outcome, ResponseLostError):
                outcome.response = streamed_response(self._pieces[self._latest :])
            self._condition.notify_all()  # before the change, which Ctrl-C cannot divide then
            if isinstance(outcome, Response):
                self._response = outcome._with_steps(self._steps)
            else:
                self._failure = outcome


def _answers(step: Response | FunctionCallOutputItem, call_ids: set[str | None]) -> bool:
    return isinstance(step, FunctionCallOutputItem) and step.call_id in call_ids
