"""Events about the service's audio buffers."""

from __future__ import annotations

from typing import ClassVar

from ..base import frozen_shape
from .base import Event

__all__ = [
    "InputAudioBufferCleared",
    "InputAudioBufferCommitted",
    "InputAudioBufferDtmfEventReceived",
    "InputAudioBufferSpeechStarted",
    "InputAudioBufferSpeechStopped",
    "InputAudioBufferTimeoutTriggered",
    "OutputAudioBufferCleared",
    "OutputAudioBufferStarted",
    "OutputAudioBufferStopped",
]


@frozen_shape(kw_only=True)
class InputAudioBufferCommitted(Event):
    """The input buffer was committed as a user message."""

    TYPE: ClassVar[str] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None = None


@frozen_shape(kw_only=True)
class InputAudioBufferCleared(Event):
    """The input buffer was cleared."""

    TYPE: ClassVar[str] = "input_audio_buffer.cleared"


@frozen_shape(kw_only=True)
class InputAudioBufferSpeechStarted(Event):
    """
    Speech was detected in the input.

    Attributes:
        audio_start_ms: From the start of all audio of the session; includes the prefix padding.
    """

    TYPE: ClassVar[str] = "input_audio_buffer.speech_started"
    item_id: str
    audio_start_ms: int


@frozen_shape(kw_only=True)
class InputAudioBufferSpeechStopped(Event):
    """
    The end of speech was detected in the input.

    Attributes:
        audio_end_ms: From the start of all audio of the session.
    """

    TYPE: ClassVar[str] = "input_audio_buffer.speech_stopped"
    item_id: str
    audio_end_ms: int


@frozen_shape(kw_only=True)
class InputAudioBufferTimeoutTriggered(Event):
    """No speech within the idle time-out (GA)."""

    TYPE: ClassVar[str] = "input_audio_buffer.timeout_triggered"
    item_id: str
    audio_start_ms: int
    audio_end_ms: int


@frozen_shape(kw_only=True)
class InputAudioBufferDtmfEventReceived(Event):
    """
    A telephone key was pressed (GA, SIP).

    Attributes:
        event: The key.
        received_at: Unix time in seconds.
    """

    TYPE: ClassVar[str] = "input_audio_buffer.dtmf_event_received"
    event: str
    received_at: int


@frozen_shape(kw_only=True)
class OutputAudioBufferStarted(Event):
    """The service's own playback began (WebRTC, SIP)."""

    TYPE: ClassVar[str] = "output_audio_buffer.started"
    response_id: str


@frozen_shape(kw_only=True)
class OutputAudioBufferStopped(Event):
    """The service's own playback ended (WebRTC, SIP)."""

    TYPE: ClassVar[str] = "output_audio_buffer.stopped"
    response_id: str


@frozen_shape(kw_only=True)
class OutputAudioBufferCleared(Event):
    """
    The service's own playback was cleared (WebRTC, SIP).

    Attributes:
        response_id: ``None`` where the service left it out, as Azure Voice Live does.
    """

    TYPE: ClassVar[str] = "output_audio_buffer.cleared"
    response_id: str | None = None
