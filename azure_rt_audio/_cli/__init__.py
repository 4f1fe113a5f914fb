"""The commands of ``azure-rt-audio``, one file each, and what they share."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """The command cannot run as it was given; says what to change."""
