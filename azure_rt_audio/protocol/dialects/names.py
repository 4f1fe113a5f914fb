"""Names of events that differ between the dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ALIASES", "PREVIEW_NAMES", "canonical_name"]

PREVIEW_NAMES: Final[Mapping[str, str]] = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}
"""Canonical name of an event, which is GA's, to its name in the preview protocol, where they differ."""

ALIASES: Final[Mapping[str, str]] = {
    alias: canonical for names in (PREVIEW_NAMES,) for canonical, alias in names.items()
}
"""Every other name of an event to its canonical name; a further dialect adds its table above."""


def canonical_name(name: str) -> str:
    """Return the canonical name, GA's, of an event named in any dialect."""
    return ALIASES.get(name, name)
