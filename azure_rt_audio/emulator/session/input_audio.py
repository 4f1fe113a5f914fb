"""
User audio: the input buffer, turns, transcription, and the response that follows a turn.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final, Protocol

from ..._log import get_logger
from ..dialects.rules import RefusalError
from ..model.background import when_done
from ..model.conversation import Conversation, Item, Part
from ..model.pcm import from_wire, to_wire
from ..model.session import Session
from ..model.tokens import pieces
from ..speech.vad import InputBuffer, SpeechStarted, SpeechStopped
from .behaviour import Behaviour
from .events import EventMaker
from .response import UNTIL_AN_EVENT, ResponseRun, Step
from .usage import text_tokens

__all__ = ["InputAudio", "TurnTarget"]

log: logging.Logger = get_logger(__name__)

_SHORTEST_COMMIT_MS: Final = 100
_IDLE: Final = (
    "The user has not spoken for some time. Answer them if the recording has words of theirs; otherwise ask "
    "whether they are still there, or come back to what they said last."
)


class TurnTarget(Protocol):
    """The session that turns of the user act on."""

    @property
    def now(self) -> float:
        """The time of the call in progress."""

    @property
    def behaviour(self) -> Behaviour:
        """Its settings for ever."""

    @property
    def session(self) -> Session:
        """Its settings now."""

    @property
    def make(self) -> EventMaker:
        """Makes its events."""

    @property
    def conversation(self) -> Conversation:
        """Its items."""

    @property
    def active(self) -> ResponseRun | None:
        """The response in the default conversation, if one is in progress."""

    def send(self, *events: dict[str, Any]) -> None:
        """Queue events."""

    def respond(
        self,
        session: Session,
        *,
        context: Conversation | None = None,
        is_out_of_band: bool = False,
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Begin a response; refused if one is active."""

    def cancel(self, run: ResponseRun, reason: str) -> None:
        """Cancel a response."""

    def run_in_background(self, steps: Generator[Step, None, None]) -> None:
        """Run *steps* beside the responses."""


class InputAudio:
    """The input buffer of one session, and its turns."""

    def __init__(self, target: TurnTarget) -> None:
        self._target = target
        self._buffer = InputBuffer(target.behaviour.detector())
        self._turn_item_id: str | None = None  # announced by speech_started
        self._quiet_since: float | None = None  # the end of playback of the last response
        self._quiet_from_ms = 0

    def append(self, data: bytes) -> None:
        """Append audio in the session's input format."""
        target = self._target
        session = target.session
        pcm = from_wire(data, session.input_format)
        keep_from_ms = self._quiet_from_ms if self.idle_due is not None else None
        for found in self._buffer.append(pcm, session.turn_detection, keep_from_ms=keep_from_ms):
            if isinstance(found, SpeechStarted):
                self._on_started(found)
            else:
                self._on_stopped(found)
        if self._quiet_since is not None and target.now < self._quiet_since:
            self._quiet_from_ms = self._buffer.total_ms  # the answer is still being played

    def commit(self) -> None:
        """Commit the buffer for the client; no response follows."""
        duration_ms = self._buffer.duration_ms
        if duration_ms < _SHORTEST_COMMIT_MS:
            raise RefusalError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {duration_ms:.2f}ms of audio.",
            )
        self._commit(self._buffer.take())

    def clear(self) -> None:
        """Discard the buffer."""
        self._buffer.clear()
        self._turn_item_id = None

    def drop_audio(self) -> None:
        """Let go of the buffer, and of the detector of speech, which may be a network."""
        self._buffer = InputBuffer()

    @property
    def has_enough(self) -> bool:
        """Whether a commit would succeed."""
        return self._buffer.duration_ms >= _SHORTEST_COMMIT_MS

    def on_detection_changed(self) -> None:
        """Turn detection was changed: forget a turn in progress, keep its audio."""
        self._buffer.reset_detector()
        self._turn_item_id = None
        self.disarm()

    # Turns ------------------------------------------------------------------------------------

    def _on_started(self, found: SpeechStarted) -> None:
        target = self._target
        self._turn_item_id = target.make.new_id("item")
        target.send(
            target.make.event(
                "input_audio_buffer.speech_started",
                audio_start_ms=found.audio_start_ms,
                item_id=self._turn_item_id,
            )
        )
        detection = target.session.turn_detection or {}
        active = target.active
        if active is not None and detection.get("interrupt_response", True):
            target.cancel(active, "turn_detected")
        self.disarm()  # last, since the end of a response starts the time-out

    def _on_stopped(self, found: SpeechStopped) -> None:
        target = self._target
        if self._turn_item_id is None:
            self._turn_item_id = target.make.new_id("item")
        target.send(
            target.make.event(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=found.audio_end_ms,
                item_id=self._turn_item_id,
            )
        )
        self._commit(found.pcm)
        self._respond_if_asked()

    def _respond_if_asked(self) -> None:
        target = self._target
        detection = target.session.turn_detection or {}
        if target.session.kind == "realtime" and detection.get("create_response", True):
            try:
                target.respond(target.session)
            except RefusalError as refusal:
                target.send(target.make.error(refusal, None))

    def _commit(self, pcm: bytes, *, is_silent: bool = False) -> None:
        target = self._target
        conversation, make, session = target.conversation, target.make, target.session
        item_id = self._turn_item_id or make.new_id("item")
        self._turn_item_id = None
        previous = conversation.last_id
        part = Part(
            "input_audio", audio=to_wire(pcm, session.input_format), audio_format=session.input_format
        )
        item = Item(item_id, "message", role="user", parts=[part])
        conversation.add(item)
        target.send(
            make.event("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id),
            *make.item_added(item, conversation),
            *make.item_done(item, conversation),
        )
        recognised = "" if is_silent else self._recognise(pcm, session)
        _note(part, recognised)
        if is_silent and make.dialect.profile.explains_idleness:
            target.run_in_background(self._silence(item, part))
        else:
            heard_bytes = 0 if is_silent else len(pcm)
            target.run_in_background(self._transcription(item, part, recognised, heard_bytes, session))

    # Transcription --------------------------------------------------------------------------

    def hear(self, item: Item) -> None:
        """Recognise the audio of an item of the client's; as on the service, without events."""
        session = self._target.session
        for part in item.parts:
            if part.kind == "input_audio" and part.audio and not part.recognised:
                recognised = self._recognise(from_wire(bytes(part.audio), part.audio_format), session)
                _note(part, recognised)
                self._target.run_in_background(self._settled(part, recognised))

    def _recognise(self, pcm: bytes, session: Session) -> str | Future[str] | None:
        try:
            return self._target.behaviour.recogniser(pcm, session)
        except Exception:
            log.exception("! the recogniser failed; the transcription is reported as failed")
            return None

    @staticmethod
    def _settled(part: Part, recognised: str | Future[str] | None) -> Generator[Step, None, None]:
        """Wait for the words, which a response may wait for too."""
        if not isinstance(recognised, Future):
            return
        try:
            part.recognised = yield from when_done(recognised)
        except Exception:
            log.exception("! the recogniser failed; the transcription is reported as failed")
        finally:
            part.is_being_recognised = False

    def _transcription(
        self, item: Item, part: Part, recognised: str | Future[str] | None, pcm_bytes: int, session: Session
    ) -> Generator[Step, None, None]:
        """Wait for the words, and report them if asked to."""
        yield from self._settled(part, recognised)
        if session.transcription is None:
            return
        yield from self._aside()
        profile, deployments = self._target.make.dialect.profile, self._target.behaviour.deployments
        if profile.finds_transcription and not deployments.transcribes(_model(session)):
            yield from self._failed(item, "DeploymentNotFound")
        elif part.recognised is None:
            yield from self._failed(item, None)
        else:
            yield from self._transcribed(item, part, pcm_bytes, session)

    def _silence(self, item: Item, part: Part) -> Generator[Step, None, None]:
        """Report that nothing was said, which needs no model and no wish for transcripts."""
        yield from self._aside()
        part.transcript = ""
        yield self._completed(item, "", {"type": "duration", "seconds": 0})

    def _transcribed(self, item: Item, part: Part, pcm_bytes: int, session: Session) -> Iterator[Step]:
        make = self._target.make
        model = _model(session)
        words = part.recognised or ""
        name = "conversation.item.input_audio_transcription"
        tokens = pieces(words, make.dialect.profile.writes_tokens)
        for piece in [words] if model.startswith("whisper") else tokens:
            event = make.event(f"{name}.delta", item_id=item.id, content_index=0, delta=piece)
            if session.wants_logprobs:
                event["logprobs"] = [_logprob(piece)]
            yield event
            yield from self._aside()
        part.transcript = words
        seconds = pcm_bytes / 48_000
        usage: dict[str, Any]
        if "whisper" in model:
            usage = {"type": "duration", "seconds": math.ceil(seconds)}
        else:
            audio, text = math.ceil(seconds * 10), text_tokens(words)
            usage = {
                "type": "tokens",
                "total_tokens": audio + text,
                "input_tokens": audio,
                "output_tokens": text,
                "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
            }
        done = self._completed(item, words, usage)
        if session.wants_logprobs:
            done["logprobs"] = [_logprob(piece) for piece in tokens]
        yield done

    def _completed(self, item: Item, words: str, usage: Mapping[str, Any]) -> dict[str, Any]:
        name = "conversation.item.input_audio_transcription.completed"
        return self._target.make.event(name, item_id=item.id, content_index=0, transcript=words, usage=usage)

    def _aside(self) -> Iterator[Step]:
        """Let the answer go first, where transcripts come among its events."""
        if self._target.make.dialect.profile.transcribes_beside_answers:
            yield UNTIL_AN_EVENT

    def _failed(self, item: Item, code: str | None) -> Iterator[Step]:
        message = f"Input transcription failed for item '{item.id}'."
        yield self._target.make.event(
            "conversation.item.input_audio_transcription.failed",
            item_id=item.id,
            content_index=0,
            error={"type": "server_error", "code": code, "message": message, "param": None},
        )

    # Idle time-out ------------------------------------------------------------------------------

    def arm(self, since: float) -> None:
        """Start the idle time-out at *since*, the end of playback of the last response."""
        self._quiet_since = since
        self._quiet_from_ms = self._buffer.total_ms

    def disarm(self) -> None:
        """Stop the idle time-out."""
        self._quiet_since = None

    @property
    def idle_due(self) -> float | None:
        """When the idle time-out ends; ``None`` if it is off."""
        detection = self._target.session.turn_detection or {}
        timeout_ms = detection.get("idle_timeout_ms")
        if self._quiet_since is None or not timeout_ms or self._buffer.is_in_speech:
            return None
        return self._quiet_since + float(timeout_ms) / 1000

    def respond_if_idle(self, now: float) -> None:
        """Respond to a user who was silent for ``idle_timeout_ms``."""
        due = self.idle_due
        if due is None or now < due:
            return
        target = self._target
        self.disarm()
        make, conversation = target.make, target.conversation
        end_ms, pcm = self._buffer.total_ms, self._buffer.take()
        # The client may have cleared the buffer meanwhile, and what is needed for padding is no part of it.
        pcm = pcm[max(0, len(pcm) - (end_ms - self._quiet_from_ms) * 48) :]
        self._turn_item_id = make.new_id("item")
        target.send(
            make.event(
                "input_audio_buffer.timeout_triggered",
                audio_start_ms=end_ms - len(pcm) // 48,
                audio_end_ms=end_ms,
                item_id=self._turn_item_id,
            )
        )
        if make.dialect.profile.explains_idleness:
            told = Part("input_text", text=_IDLE)
            note = Item(make.new_id("item"), "message", role="system", parts=[told])
            conversation.add(note)
            target.send(*make.item_added(note, conversation), *make.item_done(note, conversation))
        self._commit(pcm, is_silent=True)
        self._respond_if_asked()


def _note(part: Part, recognised: str | Future[str] | None) -> None:
    part.is_being_recognised = isinstance(recognised, Future)
    if not isinstance(recognised, Future):
        part.recognised = recognised


def _model(session: Session) -> str:
    return str((session.transcription or {}).get("model", ""))


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": -0.01}
