"""
Turn-taking: how the response queue follows the user's turns, by voice activity detection or a button.

**Threads.** The I/O thread reports events; any thread presses and releases.
"""

from __future__ import annotations

from ..protocol.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
)
from ..protocol.turn import ModelStatusEnum
from .attempts import Attempts
from .configuration import Configuration
from .input_sound import InputSound
from .pending_response import PendingResponse
from .response_queue import ResponseQueue
from .sender import CommandSender
from .waiters import Waiters

__all__ = ["TurnTaking"]

_HEARD = (InputAudioBufferSpeechStarted, InputAudioBufferSpeechStopped, InputAudioBufferTimeoutTriggered)
"""Events that name the item of a turn which the service finds by itself."""


class TurnTaking:
    """
    Whose turn it is.

    Attributes:
        has_heard_user: ``speech_started`` came, and the status may be that of its turn. The I/O thread's.
    """

    def __init__(
        self,
        configuration: Configuration,
        sender: CommandSender,
        waiters: Waiters,
        response_queue: ResponseQueue,
        sound: InputSound,
        attempts: Attempts,
    ) -> None:
        self._configuration = configuration
        self._sender = sender
        self._waiters = waiters
        self._queue = response_queue
        self._sound = sound
        self._attempts = attempts
        self.has_heard_user = False

    # ------------------------------------------------------------ push to talk: any thread

    def press(self) -> None:
        """The user takes the turn."""
        self._queue.begin_turn(is_detected=False)

    def answer_user(self, owner: object) -> PendingResponse:
        """Ask for the answer to the user's turn, which comes before all that waits."""
        return self._queue.request(
            None, may_wait=True, owner=owner, wait=self._sender.wait_to_send, answers_turn=True
        )

    # ------------------------------------------------------------ the I/O thread

    def on_event(self, event: Event, previous: ModelStatusEnum) -> None:
        """Take an event into account that begins or ends a turn; *previous* is the status before it."""
        attempt = self._attempts.applied
        if isinstance(event, _HEARD):
            self._waiters.heard = event.item_id
        if isinstance(event, InputAudioBufferSpeechStarted):
            self.has_heard_user = True
            if attempt is not None:
                self._sound.begin_turn(attempt.sound_base, event.audio_start_ms)
            if previous is ModelStatusEnum.THINKING:
                self._interrupt()
        elif isinstance(event, InputAudioBufferSpeechStopped):
            if attempt is not None:
                self._sound.end_turn(attempt.sound_base, event.audio_end_ms)
        elif isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            self._sound.note_transcript(event.item_id, is_known=True)
        elif isinstance(event, ConversationItemInputAudioTranscriptionFailed):
            self._sound.note_transcript(event.item_id, is_known=False)
        elif isinstance(event, InputAudioBufferCleared):
            clear = self._waiters.oldest("clear", event)
            self._sound.commit(None, None if clear is None else clear.sound_index)
        elif isinstance(event, InputAudioBufferCommitted):
            self._configuration.turns_ended += 1
            commit = self._waiters.oldest("commit", event)
            self._sound.commit(event.item_id, None if commit is None else commit.sound_index)
            # One that this side has asked for is no end of speech that was detected.
            if self._does_service_answer() and commit is None:
                self._queue.expect_turn()
            else:
                self._queue.end_turn()

    def follow_detection(self) -> None:
        """Let the limits of the user's turns follow how the service finds them."""
        detection = self._configuration.turn_detection
        self._sound.set_detection(is_on=detection is not None)
        is_semantic = detection is not None and "semantic" in (detection.type or "")
        self._queue.set_detection(is_on=detection is not None, is_semantic=is_semantic)

    def has_ended(self) -> bool:
        """Whether the turn is over that was heard; tells so once."""
        has_ended = self.has_heard_user and not self._queue.turn.is_on
        if has_ended:
            self.has_heard_user = False
        return has_ended

    def _does_service_answer(self) -> bool:
        """Whether a turn of the user is answered without being asked for: server VAD."""
        detection = self._configuration.turn_detection
        return detection is not None and detection.create_response is not False

    def _interrupt(self) -> None:
        """Cancel the response that the user interrupts, if the service does not do so by itself."""
        detection = self._configuration.turn_detection
        if detection is not None and detection.interrupt_response is False and self._queue.is_busy:
            self._queue.canceller.cancel_quietly(None)
