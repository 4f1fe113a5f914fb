"""
User audio: from appended sound to a committed item, its transcript and the answer it asks for.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from ..dialects.schema import RefusalError
from ..speech.pcm import from_wire, to_wire
from ..speech.vad import InputBuffer, SpeechStarted, SpeechStopped
from .conversation import Item, Part
from .events import text_tokens
from .jobs import when_done
from .state import Session

if TYPE_CHECKING:
    from .engine import SessionEngine
    from .response import Step

__all__ = ["Listening"]

log: logging.Logger = logging.getLogger(__name__)

_SHORTEST_COMMIT_MS: Final = 100
_WORDS: Final = re.compile(r"\S+\s*")


class Listening:
    """The input buffer of one session and all that follows from it."""

    def __init__(self, brain: SessionEngine) -> None:
        self._brain = brain
        self._buffer = InputBuffer(brain.temper.detector())
        self._turn_item_id: str | None = None  # promised by speech_started
        self._quiet_since: float | None = None  # when the last answer has been played out
        self._quiet_from_ms = 0

    def append(self, data: bytes) -> None:
        """Add sound in the session's input format."""
        brain = self._brain
        session = brain.session
        pcm = from_wire(data, session.input_format)
        for found in self._buffer.append(pcm, session.turn_detection):
            if isinstance(found, SpeechStarted):
                self._on_started(found)
            else:
                self._on_stopped(found)

    def commit(self) -> None:
        """The client says the turn is over; no answer follows from that."""
        duration_ms = self._buffer.duration_ms
        if duration_ms < _SHORTEST_COMMIT_MS:
            raise RefusalError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {duration_ms:.2f}ms of audio.",
            )
        self._commit(self._buffer.take())

    def clear(self) -> None:
        """Forget what was not committed."""
        self._buffer.clear()
        self._turn_item_id = None

    @property
    def has_enough(self) -> bool:
        """Whether a commit would succeed."""
        return self._buffer.duration_ms >= _SHORTEST_COMMIT_MS

    def on_detection_changed(self) -> None:
        """Turn detection was switched or tuned: a turn in progress is forgotten, its sound is not."""
        self._buffer.reset_detector()
        self._turn_item_id = None
        self.disarm()

    # What the detector found ----------------------------------------------------------------

    def _on_started(self, found: SpeechStarted) -> None:
        brain = self._brain
        self._turn_item_id = brain.make.new_id("item")
        brain.send(
            brain.make.event(
                "input_audio_buffer.speech_started",
                audio_start_ms=found.audio_start_ms,
                item_id=self._turn_item_id,
            )
        )
        detection = brain.session.turn_detection or {}
        active = brain.active
        if active is not None and detection.get("interrupt_response", True):
            brain.cancel(active, "turn_detected")
        self.disarm()  # last, since a response that ends starts the wait for the user

    def _on_stopped(self, found: SpeechStopped) -> None:
        brain = self._brain
        if self._turn_item_id is None:
            self._turn_item_id = brain.make.new_id("item")
        brain.send(
            brain.make.event(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=found.audio_end_ms,
                item_id=self._turn_item_id,
            )
        )
        self._commit(found.pcm)
        self._answer_if_asked()

    def _answer_if_asked(self) -> None:
        brain = self._brain
        detection = brain.session.turn_detection or {}
        if brain.session.kind == "realtime" and detection.get("create_response", True):
            try:
                brain.respond(brain.session)
            except RefusalError as refusal:
                brain.send(brain.make.error(refusal, None))

    def _commit(self, pcm: bytes) -> None:
        brain = self._brain
        conversation, make, session = brain.conversation, brain.make, brain.session
        item_id = self._turn_item_id or make.new_id("item")
        self._turn_item_id = None
        previous = conversation.last_id
        part = Part(
            "input_audio", audio=to_wire(pcm, session.input_format), audio_format=session.input_format
        )
        item = Item(item_id, "message", role="user", parts=[part])
        conversation.add(item)
        brain.send(
            make.event("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id),
            *make.item_begun(item, conversation),
            *make.item_ended(item, conversation),
        )
        try:
            heard = brain.temper.ears(pcm, session)
        except Exception:
            log.exception("! the ears failed; the transcription is reported as failed")
            heard = None
        if heard is None or isinstance(heard, str):
            part.heard = heard
        else:
            part.is_being_heard = True
        brain.run_errand(self._transcription(item, part, heard, len(pcm), session))

    # Transcription --------------------------------------------------------------------------

    def _transcription(
        self, item: Item, part: Part, heard: str | Future[str] | None, pcm_bytes: int, session: Session
    ) -> Generator[Step, None, None]:
        """Wait for the words, which an answer may wait for as well, and report them if asked to."""
        if isinstance(heard, Future):
            try:
                part.heard = yield from when_done(heard)
            except Exception:
                log.exception("! the ears failed; the transcription is reported as failed")
            finally:
                part.is_being_heard = False
        if session.transcription is None:
            return
        if part.heard is None:
            yield from self._failed(item, "The audio could not be transcribed.")
        else:
            yield from self._transcribed(item, part, pcm_bytes, session)

    def _transcribed(self, item: Item, part: Part, pcm_bytes: int, session: Session) -> Iterator[Step]:
        make = self._brain.make
        model = str((session.transcription or {}).get("model", ""))
        words = part.heard or ""
        is_whisper = model.startswith("whisper")
        name = "conversation.item.input_audio_transcription"
        for piece in [words] if is_whisper else _WORDS.findall(words):
            event = make.event(f"{name}.delta", item_id=item.id, content_index=0, delta=piece)
            if session.wants_logprobs:
                event["logprobs"] = [_logprob(piece)]
            yield event
        part.transcript = words
        seconds = pcm_bytes / 48_000
        usage: dict[str, Any]
        if is_whisper:
            usage = {"type": "duration", "seconds": math.ceil(seconds)}
        else:
            heard, written = math.ceil(seconds * 10), text_tokens(words)
            usage = {
                "type": "tokens",
                "total_tokens": heard + written,
                "input_tokens": heard,
                "output_tokens": written,
                "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
            }
        done = make.event(
            f"{name}.completed", item_id=item.id, content_index=0, transcript=words, usage=usage
        )
        if session.wants_logprobs:
            done["logprobs"] = [_logprob(piece) for piece in _WORDS.findall(words)]
        yield done

    def _failed(self, item: Item, message: str) -> Iterator[Step]:
        yield self._brain.make.event(
            "conversation.item.input_audio_transcription.failed",
            item_id=item.id,
            content_index=0,
            error={"type": "server_error", "message": message},
        )

    # Idle users -----------------------------------------------------------------------------

    def arm(self, since: float) -> None:
        """The last answer has been played out at *since*; from then on silence counts."""
        self._quiet_since = since
        self._quiet_from_ms = self._buffer.total_ms

    def disarm(self) -> None:
        """Somebody speaks, or is about to."""
        self._quiet_since = None

    @property
    def idle_due(self) -> float | None:
        """When the user will have been silent for too long; ``None`` if nobody waits for them."""
        detection = self._brain.session.turn_detection or {}
        timeout_ms = detection.get("idle_timeout_ms")
        if self._quiet_since is None or not timeout_ms or self._buffer.hears_speech:
            return None
        return self._quiet_since + float(timeout_ms) / 1000

    def wake_if_idle(self, now: float) -> None:
        """Prompt a user who has been silent for ``idle_timeout_ms``."""
        due = self.idle_due
        if due is None or now < due:
            return
        brain = self._brain
        self.disarm()
        self._turn_item_id = brain.make.new_id("item")
        brain.send(
            brain.make.event(
                "input_audio_buffer.timeout_triggered",
                audio_start_ms=self._quiet_from_ms,
                audio_end_ms=self._buffer.total_ms,
                item_id=self._turn_item_id,
            )
        )
        self._commit(self._buffer.take())
        self._answer_if_asked()


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": -0.01}
