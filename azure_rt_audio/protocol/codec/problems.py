"""What is wrong with a value, and where."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["FieldError", "mistyped"]


class FieldError(ValueError):
    """
    A value that is not what its field wants.

    Attributes:
        path: Steps from where reading began, such as ``".item.content[0].text"``.
        why: What was expected; what there was instead is said too, unless it may be a secret.
    """

    def __init__(self, wanted: str, got: str = "") -> None:
        super().__init__(wanted)
        self.path: str = ""
        self._wanted = wanted
        self._got = got

    @property
    def why(self) -> str:
        """What was expected, and what there was instead."""
        return f"{self._wanted}, got {self._got}" if self._got else self._wanted

    def rise(self, step: str, *, is_secret: bool = False) -> NoReturn:
        """Hand the fault to whoever reads the object around it."""
        self.path = step + self.path
        if is_secret:
            self._got = ""
        raise self


def mistyped(wanted: str, got: object) -> FieldError:
    """Return a fault that shows a short value, and of a long one the type."""
    if got is None:
        return FieldError(f"expected {wanted}", "null")
    shown = f" {got!r:.40}" if isinstance(got, str | int | float) else ""
    return FieldError(f"expected {wanted}", f"{type(got).__name__}{shown}")
