"""Which models a resource has, by the names of their deployments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANY_DEPLOYMENT", "Deployments"]

_TRANSCRIBING: Final = ("gpt-4o-transcribe", "gpt-realtime-whisper")


@dataclass(frozen=True)
class Deployments:
    """
    The deployments of a resource.

    Attributes:
        names: All of them; empty for any with "realtime" in its name, ``gpt-4o-transcribe`` and
            ``gpt-realtime-whisper``.
    """

    names: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The one to name where nothing else is asked for."""
        return self.names[0] if self.names else "gpt-realtime"

    @property
    def transcribing(self) -> str:
        """The one to name for transcripts of the user, by what they are usually called."""
        likely = [name for name in self.names if "transcribe" in name or "whisper" in name]
        return (*likely, *self.names, *_TRANSCRIBING)[0]

    def converses(self, name: str) -> bool:
        """Whether a session with this deployment can be had."""
        if self.names:
            return name in self.names
        return "realtime" in name and name not in _TRANSCRIBING

    def transcribes(self, name: str) -> bool:
        """Whether the user can be transcribed with this deployment."""
        return name in (self.names or _TRANSCRIBING)


ANY_DEPLOYMENT: Final = Deployments()
