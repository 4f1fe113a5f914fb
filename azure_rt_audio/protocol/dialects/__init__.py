"""Dialects of the protocol: one object each, chosen by name or version."""

from .base import Dialect
from .choose import DIALECTS, DialectName, choose_dialect
from .ga import GaDialect
from .names import ALIASES, PREVIEW_NAMES, canonical_name
from .preview import PreviewDialect

__all__ = [
    "ALIASES",
    "DIALECTS",
    "PREVIEW_NAMES",
    "Dialect",
    "DialectName",
    "GaDialect",
    "PreviewDialect",
    "canonical_name",
    "choose_dialect",
]
