"""A simulated session whose client runs tools, on simulated threads; see ``simulated_session.py``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from simulated_session import Message, SimulatedSession

from azure_rt_audio import ConnectionClosedError, Tool, Tools
from azure_rt_audio._session.response_request import ResponseRequest
from azure_rt_audio._tool_loop.catalogue import Catalogue
from azure_rt_audio._tool_loop.loop import ToolLoop
from azure_rt_audio.emulator.model.conversation import Conversation
from azure_rt_audio.emulator.model.replies import Answer, FunctionCall, Reply
from azure_rt_audio.emulator.model.session import Session

_CALLS = re.compile(r"call (\d)(?: in (\d) rounds)?")


def lookup(number: int, rest: str) -> str:
    """Look something up."""
    return f"looked up {number}{rest}"


class ToolSession(SimulatedSession):
    """
    One session of a client with tools. What is said or written decides what is called: "call 2 in 3 rounds".

    Args:
        seconds: How long a call takes, given its number.
        loop: For the loop of tools.
        facts: For the session.

    Attributes:
        asked_after: The request ids of the follow-ups that were asked for.
        outputs: How many calls have run.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        seconds: Callable[[int], float] = lambda number: 0.3,
        tools: Tools | None = None,
        loop: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        self._call_numbers = itertools.count(1)
        self._jobs = itertools.count(1)
        self.asked_after: list[str] = []
        super().__init__(seed, **facts)
        catalogue = Catalogue(tools if tools is not None else Tools(lookup), [])
        self._seconds = seconds
        self.loop = self.engine.calls = ToolLoop(self.engine, catalogue, self._submit, **(loop or {}))
        follow_up = self.engine.response_queue.follow_up

        def noted(*arguments: Any) -> ResponseRequest:
            request = follow_up(*arguments)
            self.asked_after.append(request.request_id or "")
            return request

        self.engine.response_queue.follow_up = noted  # type: ignore[method-assign]

    def _submit(self, job: Callable[[], object]) -> bool:
        self.at(self._seconds(next(self._jobs)), job)
        return True

    def _respond(self, conversation: Conversation, session: Session) -> Answer:  # type: ignore[override]
        """Call as many tools as was asked for last, in so many rounds."""
        last = conversation.items[-1] if len(conversation) else None
        said = (
            "" if last is None else (last.output or "") if last.type == "function_call_output" else last.text
        )
        found = _CALLS.search(said)
        if found is None:
            return f"answer to {said}"
        count, rounds = int(found[1]), int(found[2] or 1)
        rest = f", call {count} in {rounds - 1} rounds" if rounds > 1 else ""
        return Reply(
            calls=[
                FunctionCall("lookup", {"number": number, "rest": rest}, call_id=f"call_{number}")
                for number in itertools.islice(self._call_numbers, count)
            ]
        )

    # ------------------------------------------------------------ what happened

    def is_quiet(self) -> bool:
        """Whether nothing has been going on for a while: all is answered."""
        if all(handle.done for handle in self.handles) and not self.loop._rounds.open:
            last = self.log[-1][0]
            return self.now - last > 2 and not self._plans and not self.engine.response_queue.is_busy
        return False

    def outputs_of_calls(self) -> dict[str, int]:
        """Each call in the service's conversation, with the number of its outputs."""
        items = self.service.conversation.items
        outputs = [item.call_id for item in items if item.type == "function_call_output"]
        return {
            item.call_id or "": outputs.count(item.call_id) for item in items if item.type == "function_call"
        }

    def tellings(self) -> tuple[list[Message], list[str]]:
        """
        Look at which responses tell the results of tools.

        Returns:
            The outputs that no response tells, and the follow-ups that have nothing new to tell.
        """
        untold: list[Message] = []
        news: list[Message] = []  # not told by a response that came to say it to all
        needless: list[str] = []
        ends = {
            message["response"]["id"]: message["response"]
            for _, message in self.messages("service >", "response.done")
        }
        for _, side, message in self.log:
            if side != "service >":
                continue
            if (
                message["type"] in ("conversation.item.added", "conversation.item.created")
                and message["item"]["type"] == "function_call_output"
            ):
                untold.append(message["item"])
                news.append(message["item"])
            elif message["type"] == "response.created":
                response = ends[message["response"]["id"]]
                reason = (response["status_details"] or {}).get("reason")
                if reason == "client_cancelled":
                    continue  # it crossed the user's first word
                metadata = response["metadata"] or {}
                is_follow_up = metadata.get("azure_rt_request") in self.asked_after
                if is_follow_up and not news:
                    needless.append(response["id"])
                untold.clear()
                if response["output"] and (is_follow_up or "asked_by" not in metadata):
                    news.clear()
        return untold, needless

    def end(self) -> None:
        """End the session, as a lost connection would."""
        self.engine.end(ConnectionClosedError("the line is dead"))


def tool_named(name: str, function: Callable[..., Any], **options: Any) -> Tool:
    """Return a tool of a function without parameters."""
    return Tool(function, name=name, **options)
