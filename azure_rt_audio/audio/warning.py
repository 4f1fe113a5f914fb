"""Tells that sound is about to be lost."""

from __future__ import annotations

import warnings

from .._stacklevel import stacklevel

__all__ = ["SoundWarning", "tell"]


class SoundWarning(UserWarning):
    """A mix or a conversion destroys the sound, such as channels that cancel each other; says what to do."""


def tell(message: str) -> None:
    """Warn about the line of the program that is to blame."""
    warnings.warn(message, SoundWarning, stacklevel=stacklevel())
