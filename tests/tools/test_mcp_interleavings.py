"""
Calls of MCP servers, whatever the order in which a user, a program, the service and who approves act.

As in ``test_tool_interleavings.py``. Of 100 runs per kind, ``--effort`` 1 draws 4, and 25 all.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from simulated_tools import ToolSession
from test_tool_interleavings import KINDS, SECONDS_OF_A_RUN, act

from azure_rt_audio import McpServer, Tools
from azure_rt_audio.emulator import Conversation, FunctionCall, Reply, Session
from azure_rt_audio.events import ToolApprovalRequested, ToolEnded
from azure_rt_audio.protocol.event_filter import event_filter

PORT = {"server_label": "port", "server_url": "https://port.test/mcp"}


class PortSession(ToolSession):
    """One whose model calls a tool of an MCP server where ``ToolSession`` calls functions."""

    def _respond(self, conversation: Conversation, session: Session) -> Any:
        items = [item for item in conversation if item.type != "mcp_list_tools"]
        said = items[-1].text if items else ""
        return Reply(calls=(FunctionCall("tide", {"at": 5}),)) if "call" in said else f"answer to {said}"


def check(kind: str, seed: int) -> None:
    """Run one interleaving, and look at all that was said."""
    chance = random.Random(seed)
    needs = chance.choice(("always", "never"))
    tool = {"type": "mcp", **PORT, "require_approval": needs}
    session = PortSession(seed, vad=KINDS[kind], tools=Tools(McpServer(PORT, approval_timeout_s=3)))
    session.service.behaviour = replace(
        session.service.behaviour, mcp_tools={"port": {"tide": lambda at: f"high at {at}"}}
    )
    session.at(0.9, lambda: session.service.change_session(tools=[tool]))
    asked: list[str] = []
    ended: list[str] = []
    engine = session.engine

    def decide(request: ToolApprovalRequested) -> None:
        asked.append(request.call_id)
        decision = chance.choice((request.approve, request.approve, request.deny, lambda: None))
        session.at(chance.random() * chance.choice((0.1, 2, 5)), decision)

    engine.listeners.add(event_filter(ToolApprovalRequested), decide, engine.dispatcher, once=False)
    engine.listeners.add(
        event_filter(ToolEnded), lambda event: ended.append(event.call_id), engine.dispatcher, once=False
    )
    act(session, kind)
    session.run(SECONDS_OF_A_RUN + 5)
    where = (kind, seed)

    assert session.run_until(session.is_quiet, 90), where
    for handle in session.handles:
        response = handle.result(0)
        assert response.is_completed or response.reason in ("turn_detected", "client_cancelled"), where
    assert session.errors == [], where
    assert len(ended) == len(set(ended)), where
    assert set(asked) <= set(ended), where
    items = session.service.conversation.items
    answers = [i.extra["approval_request_id"] for i in items if i.type == "mcp_approval_response"]
    assert sorted(answers) == sorted(asked), where  # each request once
    calls = [item for item in items if item.type == "mcp_call"]
    assert len(calls) <= len(ended), where
    if calls and kind != "unanswered":
        assert items.index(calls[-1]) < len(items) - 1, where  # something was said after it


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_servers_interleave(kind: str, effort: float, seed: int) -> None:
    """Each request is decided once, each call told as ended once, and no refusal reaches anybody."""
    for one in random.Random(seed).sample(range(100), min(100, max(1, round(4 * effort)))):
        check(kind, one)
