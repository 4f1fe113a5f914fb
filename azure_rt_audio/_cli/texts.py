"""Texts from the command line and from standard input, which may be no text."""

from __future__ import annotations

import argparse

from . import UsageError

__all__ = ["option_text", "utf8"]

_REMEDY = "is not UTF-8: convert it, for example with iconv"


def utf8(text: str, what: str) -> str:
    """
    Return a text that was read, or given as an argument.

    Args:
        what: How the user calls it, for the error.

    Raises:
        UsageError: Bytes of it could not be decoded.
    """
    if _is_text(text):
        return text
    raise UsageError(f"{what} {_REMEDY}")


def option_text(value: str) -> str:
    """Check the same of an option: its ``type`` for ``argparse``, which names it."""
    if _is_text(value):
        return value
    raise argparse.ArgumentTypeError(f"the text {_REMEDY}")


def _is_text(text: str) -> bool:
    try:
        text.encode()  # Python reads undecodable bytes as surrogates
    except UnicodeError:
        return False
    return True
