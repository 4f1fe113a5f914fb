"""Says what to pickle in place of an object that belongs to this process."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["NotPickled"]


class NotPickled:
    """
    The first attribute of an object that cannot be pickled: what pickle meets first, it tells.

    Args:
        why: What it is, and what to do.
        is_copied: Whether a deep copy of the object can be made.
    """

    __slots__ = ("_is_copied", "_why")

    def __init__(self, why: str, *, is_copied: bool = False) -> None:
        self._why = why
        self._is_copied = is_copied

    def __copy__(self) -> NotPickled:
        return self

    def __deepcopy__(self, memo: object) -> NotPickled:
        if not self._is_copied:
            raise TypeError(self._why)
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(self._why)
