"""
The configuration of a session where the user gives none, field by field.

The reference's table of session fields is made of :data:`DEFAULTS`.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from .base import UNSET
from .dialects.nesting import SESSION
from .session import InputAudioTranscription, SessionConfig, TurnDetection

__all__ = ["DEFAULTS", "DEFAULT_INSTRUCTIONS", "with_defaults", "with_transcription"]

DEFAULT_INSTRUCTIONS = "Call provided tools if appropriate for the user's input."

DEFAULTS: Final = SessionConfig(
    voice="alloy",
    instructions=DEFAULT_INSTRUCTIONS,
    input_audio_format="pcm16",
    output_audio_format="pcm16",
    turn_detection=TurnDetection(type="server_vad", threshold=0.4, silence_duration_ms=600),
)
"""What is not set here is not sent: the service has defaults of its own, and transcribes nothing."""


def with_defaults(config: SessionConfig) -> SessionConfig:
    """
    Return a configuration with the defaults for each field that is unset.

    Within turn detection they hold for the default's type only, and not beside a field of another type; a
    null there stays, and is sent. There are no default instructions beside a stored prompt, which has its
    own.
    """
    audio = config.extra.get("audio")
    missing: dict[str, Any] = {}
    for a in attrs.fields(SessionConfig):
        default, given = getattr(DEFAULTS, a.name), getattr(config, a.name)
        side, key = SESSION.audio.get(a.name, ("", ""))
        part = audio.get(side) if isinstance(audio, dict) else None
        is_in_extra = a.name in config.extra or (isinstance(part, dict) and key in part)
        if a.name == "extra" or default is UNSET or is_in_extra:
            continue
        if given is UNSET:
            missing[a.name] = default
        elif isinstance(given, TurnDetection) and _is_of_type(given, default.type):
            missing[a.name] = attrs.evolve(
                given,
                **{
                    f.name: getattr(default, f.name)
                    for f in attrs.fields(TurnDetection)
                    if getattr(given, f.name) is None and f.name not in given.extra  # a null is kept there
                },
            )
    if config.prompt:
        missing.pop("instructions", None)
    return attrs.evolve(config, **missing)


def _is_of_type(detection: TurnDetection, kind: str) -> bool:
    # The type is server_vad where none is given, even beside eagerness, which belongs to semantic_vad.
    return detection.extra.get("type", detection.type) == kind and detection.eagerness is None


def with_transcription(config: SessionConfig, deployment: str) -> SessionConfig:
    """Return a configuration in which *deployment* transcribes the user, if nothing was said about that."""
    asked = config.input_audio_transcription
    if asked is UNSET:
        asked = InputAudioTranscription(model=deployment)
    elif isinstance(asked, InputAudioTranscription) and asked.model is None:
        asked = attrs.evolve(asked, model=deployment)
    return attrs.evolve(config, input_audio_transcription=asked)
