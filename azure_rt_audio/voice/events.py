"""What a voice session tells those who show it."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from .played import Cut

__all__ = ["FirstSound", "Interrupted", "Levels", "SelfInterruption", "VoiceEvent"]


@frozen(kw_only=True)
class Levels:
    """
    How loud both sides are, ten times a second.

    Attributes:
        microphone_db: Of what is sent, after mute and echo control; dB of full scale, -100 for silence.
        speaker_db: Of what is played.
    """

    microphone_db: float
    speaker_db: float


@frozen(kw_only=True)
class FirstSound:
    """
    An answer begins to be heard.

    Attributes:
        response_id: Of the response.
        latency_ms: From the service's notice that the user had finished, or from the release of the button,
            to the first sound that left the speaker; ``None`` for an answer to something written.
    """

    response_id: str
    latency_ms: float | None


@frozen(kw_only=True)
class Interrupted:
    """
    The speaker was stopped in the middle of an answer.

    Attributes:
        cuts: What was taken back, in the order in which it would have been heard.
        by_user: Whether the user spoke; false if the program did it.
    """

    cuts: tuple[Cut, ...]
    by_user: bool


@frozen(kw_only=True)
class SelfInterruption:
    """
    The assistant keeps interrupting itself: the microphone hears the speaker.

    Attributes:
        interruptions: How often it has happened.
        advice: What to do about it.
    """

    interruptions: int
    advice: str


VoiceEvent: TypeAlias = Levels | FirstSound | Interrupted | SelfInterruption
