"""A function of the program's that decides whether a call may run, in place of listeners."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable

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
    Have a function decide on a request. Blocks as long as it does; what it raises is a no.

    Args:
        context: In a copy of which it is called.
        what: What is asked for, in words for the log.
    """
    try:
        verdict = context.copy().run(approve, request)
    except BaseException as exc:
        log.error("! the approval of %s failed, and it does not run", what, exc_info=exc)
        verdict = False
    if isinstance(verdict, str):
        request.deny(verdict)
    elif verdict is not None:
        request.approve() if verdict else request.deny()
