"""Which dialect a name or a version stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from .base import Dialect
from .ga import GaDialect
from .preview import PreviewDialect

__all__ = ["DIALECTS", "DialectName", "choose_dialect"]

DialectName = Literal["ga", "preview"]

DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    GaDialect.name: GaDialect,
    PreviewDialect.name: PreviewDialect,
}
"""Every dialect by its name."""


def choose_dialect(api_version: str, name: str | None = None) -> Dialect:
    """
    Pick the dialect from the version, or the version from the dialect.

    Args:
        api_version: ``"v1"`` for GA, or a date such as ``"2025-04-01-preview"`` for preview.
        name: ``"ga"`` or ``"preview"`` overrides what the version says.

    Raises:
        ValueError: If neither is known.
    """
    if name is not None and name not in DIALECTS:
        raise ValueError(f"dialect must be {' or '.join(f'{known!r}' for known in DIALECTS)}, not {name!r}")
    for cls in DIALECTS.values():
        if cls.name == (name or cls.name) and cls.has_version(api_version):
            return cls(api_version)
    if name is not None:
        return DIALECTS[name](DIALECTS[name].default_version)
    raise ValueError(
        f'api_version must be "{GaDialect.default_version}" (GA) or a date such as '
        f'"{PreviewDialect.default_version}", not {api_version!r}'
    )
