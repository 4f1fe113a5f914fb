"""The dialects of the wire."""

from .base import (
    PREVIEW_NAMES,
    Dialect,
    DialectName,
    canonical_name,
    choose_dialect,
)

__all__ = ["PREVIEW_NAMES", "Dialect", "DialectName", "canonical_name", "choose_dialect"]
