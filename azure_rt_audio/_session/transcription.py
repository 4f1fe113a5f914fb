"""
Whether the user is transcribed, which transcripts are to come, and who is told that none does.

A program that listens for the user's words while transcription is off would wait for ever, and so would one
whose deployment cannot transcribe: the service answers all the same, and says nothing that is heard. So it is
with a transcript that is lost with its session: items that are created in the next one are not transcribed.

**Threads.** The I/O thread, and callers that wait for an event; no lock: at worst a warning comes twice.
"""

from __future__ import annotations

import logging
from typing import Final

from .._log import get_logger
from .._pages import TRANSCRIPTS
from ..errors import TranscriptionFailedError
from ..protocol.conversation import Conversation
from ..protocol.event_filter import EventFilter
from ..protocol.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionSegment,
    Event,
    InputAudioBufferCommitted,
    TranscriptionError,
)
from ..protocol.response_errors import CONNECTION_LOST
from ..protocol.service_errors import transcription_error
from .configuration import Configuration
from .event_stream import EventStreams
from .listeners import Listeners

__all__ = ["Transcription"]

log: logging.Logger = get_logger(__name__)

_FAILED: Final = ConversationItemInputAudioTranscriptionFailed.TYPE
_TRANSCRIPTS: Final = frozenset(
    cls.TYPE
    for cls in (
        ConversationItemInputAudioTranscriptionCompleted,
        ConversationItemInputAudioTranscriptionDelta,
        ConversationItemInputAudioTranscriptionSegment,
    )
)


class Transcription:
    """
    Tells of a transcription that does not come.

    **Threads.** See the module.
    """

    def __init__(self, configuration: Configuration, listeners: Listeners, streams: EventStreams) -> None:
        self._configuration = configuration
        self._listeners = listeners
        self._streams = streams
        self._is_awaited = False  # before it was known whether the session transcribes
        self._has_told = False
        self._told_codes: set[str | None] = set()
        self._awaited: dict[str, None] = {}  # items whose transcript is to come, in order

    # ------------------------------------------------------------ any thread

    def on_wait(self, subjects: tuple[EventFilter, ...]) -> None:
        """A caller waits for events, or begins to iterate over them."""
        if self._has_told or not any(subject.key in _TRANSCRIPTS for subject in subjects):
            return
        if self._configuration.session is None:
            self._is_awaited = True
        elif self._configuration.is_transcription_off:
            self._tell()

    def on_recording(self) -> None:
        """A recording is sent as an item of its own, which is not transcribed in any session."""
        if not self._has_told and self._is_listened(_TRANSCRIPTS):
            self._has_told = True
            log.warning(
                "! transcripts of the user are listened for, but a recording given to ask() is not "
                "transcribed; send it by send_audio_file() or append_audio(). %s",
                TRANSCRIPTS,
            )

    # ------------------------------------------------------------ the I/O thread

    def take(self, event: Event) -> TranscriptionFailedError | None:
        """Take an event; return the error of a turn that was not transcribed."""
        if isinstance(event, ConversationItemInputAudioTranscriptionFailed):
            self._awaited.pop(event.item_id, None)
            return transcription_error(event, self._configuration.transcription_model)
        if isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            self._awaited.pop(event.item_id, None)
        elif isinstance(event, InputAudioBufferCommitted):
            if self._configuration.does_transcribe and event.item_id:
                self._awaited[event.item_id] = None
            is_wanted = not self._has_told and (self._is_awaited or self._is_listened(_TRANSCRIPTS))
            if is_wanted and self._configuration.is_transcription_off:
                self._tell()
        return None

    def lose(self, conversation: Conversation) -> list[ConversationItemInputAudioTranscriptionFailed]:
        """The session is over that was to send transcripts: return what tells so of each, once."""
        lost = {**self._awaited, **dict.fromkeys(conversation._being_heard())}
        self._awaited.clear()
        error = TranscriptionError(
            code=CONNECTION_LOST, message="the connection ended before the transcript had come"
        )
        return [
            ConversationItemInputAudioTranscriptionFailed(item_id=item_id, content_index=0, error=error)
            for item_id in lost
            if conversation._knows(item_id)  # nobody waits for one that was deleted
        ]

    def is_told(self, error: TranscriptionFailedError) -> bool:
        """Whether the log needs no line of a failure: the program listens for it, or had one of its kind."""
        is_new = error.code == CONNECTION_LOST or error.code not in self._told_codes
        self._told_codes.add(error.code)
        return not is_new or self._is_listened(frozenset((_FAILED,)))

    def _is_listened(self, names: frozenset[str]) -> bool:
        """Whether a listener or a stream has asked for one of these events by name."""
        return self._listeners.has_any(names) or self._streams.has_any(names)

    def _tell(self) -> None:
        self._has_told = True
        log.warning(
            "! transcripts of the user are listened for, but transcription is off, and none will come; turn "
            'it on with input_audio_transcription={"model": ...} in session_config or update_session(), or '
            "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT, which from_env() reads. %s",
            TRANSCRIPTS,
        )
