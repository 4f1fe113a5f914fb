"""Events of a voice session, for user interfaces."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from .played import Cut

__all__ = ["FirstSound", "Interrupted", "Levels", "SelfInterruption", "VoiceEvent"]


@frozen(kw_only=True)
class Levels:
    """
    The levels of both directions, ten times a second.

    Attributes:
        microphone_db: Level of the audio sent, after mute and echo control; dBFS, -100 for silence.
        speaker_db: Level of the audio played; dBFS.
    """

    microphone_db: float
    speaker_db: float


@frozen(kw_only=True)
class FirstSound:
    """
    Playback of an answer began.

    Attributes:
        response_id: Id of the response.
        latency_ms: From ``input_audio_buffer.speech_stopped``, or from the release of the button, to the
            first sample played; ``None`` if neither came before.
    """

    response_id: str
    latency_ms: float | None


@frozen(kw_only=True)
class Interrupted:
    """
    Playback of an answer was interrupted.

    Attributes:
        cuts: The truncated items, in the order of playback.
        by_user: Whether the user spoke; false if the program interrupted.
    """

    cuts: tuple[Cut, ...]
    by_user: bool


@frozen(kw_only=True)
class SelfInterruption:
    """
    The assistant repeatedly interrupted itself: the microphone picks up the speaker.

    Attributes:
        interruptions: Number of self-interruptions so far.
        advice: The remedy.
    """

    interruptions: int
    advice: str


VoiceEvent: TypeAlias = Levels | FirstSound | Interrupted | SelfInterruption
"""What ``on_event`` of a voice session is called with, beside the events of its devices."""
