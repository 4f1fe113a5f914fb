"""The dialects that there are, by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from .base import Dialect
from .ga import Ga
from .preview import Preview
from .profile import PROFILES, profile_named

__all__ = ["DIALECTS", "dialect_named"]

_BY_PROFILE: Final = {
    name: {dialect.name: dialect for dialect in (Ga(profile), Preview())}
    for name, profile in PROFILES.items()
}
DIALECTS: Final[Mapping[str, Dialect]] = _BY_PROFILE["azure"]


def dialect_named(name: str, profile: str = "azure") -> Dialect:
    """
    The dialect of that name, as the services of that profile speak it.

    Raises:
        ValueError: There is none.
    """
    found = _BY_PROFILE[profile_named(profile).name].get(name) if isinstance(name, str) else None
    if found is None:
        known = " or ".join(map(repr, DIALECTS))
        close = get_close_matches(str(name), DIALECTS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"dialect is {name!r}: use {known}{hint}")
    return found
