"""
The loggers of this package.

A record may quote what others wrote, and ends on a terminal or as a line of a file: it is made fit for either
here, whatever handlers a program has. A filter belongs to the logger it is added to, so every module asks
here for its own.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from ._printable import one_line, printable

__all__ = ["get_logger"]


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module of this package."""
    logger = logging.getLogger(name)
    if _filter not in logger.filters:
        logger.addFilter(_filter)
    return logger


def _make_printable(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    shown = one_line(message)
    if shown is not message:
        record.msg, record.args = shown, None
    if record.exc_info and not record.exc_text:
        trace = _formatter.formatException(record.exc_info)
        shown = trace
        for text in _messages(record.exc_info[1], set()):
            shown = shown.replace(text, one_line(text))  # no line of it passes for one of the log
        shown = printable(shown)
        if shown != trace:
            record.exc_text = shown  # which formatters take in place of making it
    return True


def _messages(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    """Yield what an exception, its causes and contexts say."""
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        with contextlib.suppress(Exception):  # __str__ is the program's
            yield str(error)
        yield from _messages(error.__cause__, seen)
        error = error.__context__


_formatter: Final = logging.Formatter()
_filter: Final = _make_printable
