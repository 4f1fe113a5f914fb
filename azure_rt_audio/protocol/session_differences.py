"""What a service made of a configuration: the fields in which it does something else than was asked for."""

from __future__ import annotations

from typing import Final

from .base import UNSET
from .session import CustomVoice, Session, SessionConfig

__all__ = ["differences"]

_FIELDS: Final = ("input_audio_format", "output_audio_format", "voice", "modalities")
"""Those that are heard. What a service rounds, fills in or leaves out in others is no surprise."""


def differences(asked: SessionConfig, session: Session) -> dict[str, str]:
    """Return, by field, what differs in words; of a field that the service does not tell, nothing."""
    found: dict[str, str] = {}
    for name in _FIELDS:
        wanted, given = getattr(asked, name), getattr(session, name)
        if wanted is UNSET or wanted is None or given is None:
            continue
        if name == "modalities":
            is_same = ("audio" in wanted) == ("audio" in given)
        else:
            is_same = _name(wanted).lower() == _name(given).lower()
        if not is_same:
            found[name] = f"{name} is {_shown(given)}, not {_shown(wanted)} as asked for"
    return found


def _name(value: object) -> str:
    """Return the name of a format or voice; services describe voices of their own by id or name."""
    if isinstance(value, CustomVoice):
        return str(value.id or value.extra.get("name") or value)
    return str(value)


def _shown(value: object) -> str:
    return repr(value if isinstance(value, list) else _name(value))
