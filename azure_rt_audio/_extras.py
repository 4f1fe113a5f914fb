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
        module: Its full name.
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
        # Of a package that is there, a part or a dependency may be missing; that is another name.
        if isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0]):
            raise MissingExtraError(what, extra) from error
        raise BrokenExtraError(
            what, extra, module, f"{type(error).__name__}: {error}".removesuffix(": ")
        ) from error
