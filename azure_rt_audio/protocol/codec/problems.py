"""The error for a wrong value, with its path; secrets do not show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FieldError", "masked", "mistyped"]

_SECRET: Final = re.compile(
    r'("(?:value|authorization|headers|server_url|api[-_]key)"\s*:\s*)("(?:[^"\\]|\\.)*"?|\{[^}]*\}?)',
    re.IGNORECASE,
)


class FieldError(ValueError):
    """
    A value that does not fit its field.

    Attributes:
        path: From the object that was read, such as ``".item.content[0].text"``.
        why: What was expected, and the value unless it may be a secret.
    """

    def __init__(self, wanted: str, got: str = "") -> None:
        super().__init__(wanted)
        self.path: str = ""
        self._wanted = wanted
        self._got = got

    @property
    def why(self) -> str:
        """What was expected and what was found."""
        return f"{self._wanted}, got {self._got}" if self._got else self._wanted

    def at(self, step: str, *, is_secret: bool = False) -> Self:
        """Put a step before the path, and return the error to be raised; a secret value is not shown."""
        self.path = step + self.path
        if is_secret:
            self._got = ""
        return self


def mistyped(wanted: str, got: object) -> FieldError:
    """Return an error that shows a short value, and of a long one the type."""
    if got is None:
        return FieldError(f"expected {wanted}", "null")
    shown = f" {got!r:.40}" if isinstance(got, str | int | float) else ""
    return FieldError(f"expected {wanted}", f"{type(got).__name__}{shown}")


def masked(text: str) -> str:
    """Return JSON text, which may be cut short, without the values that may be secrets."""
    return _SECRET.sub(r'\1"***"', text)
