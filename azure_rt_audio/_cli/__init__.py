"""The commands of ``azure-rt-audio``, one module or package each, and their shared parts."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """Invalid options or arguments; the message names the remedy."""
