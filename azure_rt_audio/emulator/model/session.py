"""
A session's settings, in no dialect's spelling.

Dialects read them from the wire and write them to it. Responder, recogniser and synthesiser receive one of
these, already combined with the overrides of ``response.create``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    """
    What the client configured; immutable, replaced as a whole.

    Attributes:
        kind: ``"realtime"`` or ``"transcription"``.
        model: The model behind the deployment, as ``session.created`` names it.
        expires_at: Unix seconds.
        modalities: ``("audio",)``, ``("text",)`` or, in preview, ``("text", "audio")``.
        voice: A name, or ``{"id": …}``.
        speed: Of the voice; 0.25 to 1.5.
        input_format: ``pcm16``, ``g711_ulaw`` or ``g711_alaw``.
        output_format: The same, for what the service says.
        turn_detection: With every default filled in; ``None`` when the client commits by hand.
        transcription: ``None`` when user speech is not transcribed.
        tools: Function tools as declared.
        max_output_tokens: A number of tokens or ``"inf"``.
    """

    kind: str
    id: str
    model: str
    expires_at: int
    instructions: str = (
        "Your knowledge cutoff is 2023-10. You are a helpful, witty, and friendly AI. Act like a human, but "
        "remember that you aren't a human and that you can't do human things in the real world. Your voice "
        "and personality should be warm and engaging, with a lively and playful tone."
    )
    modalities: tuple[str, ...] = ("audio",)
    voice: str | Mapping[str, Any] = "alloy"
    speed: float = 1.0
    input_format: str = "pcm16"
    output_format: str = "pcm16"
    turn_detection: Mapping[str, Any] | None = None
    transcription: Mapping[str, Any] | None = None
    noise_reduction: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] = "auto"
    temperature: float = 0.8
    max_output_tokens: int | str = "inf"
    tracing: Any = None
    truncation: Any = "auto"
    prompt: Any = None
    include: tuple[str, ...] | None = None
    reasoning: Any = None
    parallel_tool_calls: bool | None = None

    @property
    def speaks(self) -> bool:
        """Whether answers are audio."""
        return "audio" in self.modalities

    @property
    def wants_logprobs(self) -> bool:
        """Whether transcripts come with the likelihood of each token."""
        return "item.input_audio_transcription.logprobs" in (self.include or ())
