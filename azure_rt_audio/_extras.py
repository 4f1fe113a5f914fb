"""Imports of optional dependencies, and what is said when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import BrokenExtraError, MissingExtraError, RealtimeError

__all__ = ["importing"]


@contextmanager
def importing(module: str, extra: str, what: str) -> Iterator[None]:
    """
    Import *module* in this block, with an import statement, which tools that freeze programs find.

    Args:
        module: Its full name, dots included.
        extra: The extra that installs it.
        what: What needs it, for the error.

    Raises:
        MissingExtraError: It is not installed.
        BrokenExtraError: It is installed, but its import fails, whatever that raises.
    """
    try:
        yield
    except RealtimeError:
        raise
    except Exception as error:  # a C library that is missing is an OSError, another ABI a ValueError
        # What a package lacks that is there has another name: a dependency, its compiled part.
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise MissingExtraError(what, extra) from error
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise BrokenExtraError(what, extra, module, reason) from error
