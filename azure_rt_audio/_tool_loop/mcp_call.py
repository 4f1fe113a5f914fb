"""One call of an MCP server's tool, which the service runs, or asks to be approved."""

from __future__ import annotations

from typing import Final

from attrs import Factory, define

from .._session.asked import Asked
from ..tools.mcp_server import McpServer
from .runner import Task

__all__ = ["McpCall"]

_LONGEST: Final = 600.0
"""Seconds after which a call of the service's own counts as over: its end may have been lost."""

_BEGINS: Final = 5.0
"""Seconds in which the service begins a call that was approved; else it waits to be asked for a response."""


@define(eq=False)
class McpCall:
    """
    One call. Guarded by the lock of the rounds.

    Attributes:
        call_id: The item of the request to approve it, or else that of the call itself.
        since: When it came, or approval was requested.
        is_out: It has ended, or was denied: the conversation has what came of it, or will have.
        is_acknowledged: The service has that.
        is_refused: What was decided could not be told.
        sent_at: When it ended.
        item_id: Of the call itself, once it is known.
        needs_approval: Approval was requested.
        is_complete: Its arguments are whole, as the service has said.
        decided_at: When that was decided.
        is_approved: How it was decided.
        has_started: Listeners were told.
        job: That asks for approval, on a thread of the tools.
        asked: Which listeners were asked for it.
    """

    server: McpServer
    call_id: str
    name: str
    arguments: str
    since: float
    needs_approval: bool = False
    is_complete: bool = False
    item_id: str | None = None
    is_out: bool = False
    is_acknowledged: bool = False
    is_refused: bool = False
    sent_at: float = 0.0
    decided_at: float | None = None
    is_approved: bool = False
    has_started: bool = False
    job: Task | None = None
    asked: Asked = Factory(Asked)

    @property
    def is_undecided(self) -> bool:
        """Whether somebody has to approve it."""
        return self.needs_approval and self.decided_at is None and not self.is_out

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until it is given up; ``None`` if it is over."""
        if self.is_out:
            return None
        if self.is_undecided:
            return self.since + self.server.approval_timeout_s - now
        if self.decided_at is not None and not self.has_started:
            return self.decided_at + _BEGINS - now
        return (self.decided_at or self.since) + _LONGEST - now
