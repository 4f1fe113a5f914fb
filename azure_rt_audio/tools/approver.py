"""A function of the program's that decides whether a call may run, in place of listeners."""

from __future__ import annotations

import contextvars
import logging
import types
from collections.abc import Callable
from typing import Any

from .._log import get_logger
from ..protocol.events.local import ToolApprovalRequested

__all__ = ["ask_approver"]

log: logging.Logger = get_logger(__name__)


def ask_approver(
    approve: Callable[[ToolApprovalRequested], object],
    context: contextvars.Context,
    request: ToolApprovalRequested,
    what: str,
) -> None:
    """
    Have a function decide on a request. Blocks as long as it does.

    ``True`` is a yes, and nothing else: what it raises, and what it should not return, is a no.

    Args:
        context: In a copy of which it is called.
        what: What is asked for, in words for the log.
    """
    try:
        verdict: Any = context.copy().run(approve, request)
    except BaseException as exc:
        log.error("! the approval of %s failed, and it does not run", what, exc_info=exc)
        verdict = False
    kind = type(verdict)  # looked at from outside: bool() and isinstance() of an object may raise
    if verdict is True:
        request.approve()
    elif verdict is False:
        request.deny()
    elif issubclass(kind, str):
        request.deny(str.__str__(verdict))
    elif verdict is not None:
        if kind is types.CoroutineType:
            verdict.close()
        log.error(
            "! the approval of %s returned %s, and it does not run: return True, False, a reason as text, or "
            "None to decide later",
            what,
            kind.__name__,
        )
        request.deny()
