"""
No command of a client ends a session, and none breaks the order of events: generated sequences of commands.

In memory, one seed a sequence; ``tox -e long`` runs 20 000.
"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from emulator_session import DIALECTS, Bench
from event_order import EventOrder

from azure_rt_audio.emulator import Failure, FunctionCall, Reply, speak
from azure_rt_audio.emulator.model.conversation import Conversation
from azure_rt_audio.emulator.model.session import Session

SPEECH = speak("stop there")
SILENCE = bytes(48 * 600)
ODD: list[Any] = [None, True, -1, 1.5, "", "x" * 40, [], {}, [[]], {"type": []}, "item_of_nobody"]
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}
MCP_TOOL = {"type": "mcp", "server_label": "port", "server_url": "https://port.test/mcp"}


def respond(conversation: Conversation, session: Session) -> Any:
    """Every kind of answer, by the length of the conversation."""
    answers: list[Any] = [
        "One two three.",
        FunctionCall("look", {"where": "north"}),
        FunctionCall("tide", {"at": 5}),
        Reply("Let me look.", (FunctionCall("look", {}), FunctionCall("look", '{"odd": '))),
        Reply("Half", incomplete="content_filter"),
        Reply("Too much", failure=Failure("too much", "rate_limit_exceeded")),
        "",
    ]
    return answers[len(conversation) % len(answers)]


def synthesise(text: str, session: Session) -> list[bytes]:
    """A tenth of a second for each word."""
    return [bytes(4_800)] * len(text.split())


class Client:
    """Sends commands that fit the moment, and some that do not."""

    def __init__(self, dialect: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bench = Bench(
            dialect,
            responder=respond,
            synthesiser=synthesise,
            mcp_tools={"port": {"tide": lambda at: f"high at {at}"}},
            pace=self.chance.choice([0, 1.0, 20.0]),
            first_delay=self.chance.choice([0, 0.2]),
            seed=seed,
        )
        self.order = EventOrder(dialect)
        self.listen(self.bench.greeting)

    def listen(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self.order.take(event)

    def step(self) -> None:
        """A command or two, and some time."""
        command = self.chance.choice(COMMANDS)(self)
        if self.chance.random() < 0.1:
            self.spoil(command)
        self.bench.send(**command)
        if self.chance.random() < 0.8:
            self.listen(self.bench.drain(self.chance.choice([0.0, 0.0, 0.05, 0.3, 7.0])))
        else:  # the next command comes between two events
            self.listen([event] if (event := self.bench.hear()) else [])

    def spoil(self, value: Any) -> None:
        """Put something odd somewhere."""
        while isinstance(value, dict) and value:
            name = self.chance.choice(list(value))
            if not isinstance(value[name], dict) or self.chance.random() < 0.3:
                if name != "type" or value[name] not in COMMAND_TYPES:
                    value[name] = self.chance.choice(ODD)
                return
            value = value[name]

    def item_id(self) -> str:
        known = [item.id for item in self.bench.engine.conversation]
        return self.chance.choice([*known, *known[-1:], "item_of_nobody"])

    def item(self) -> dict[str, Any]:
        role = self.chance.choice(["user", "user", "system", "assistant", "spoken", "call", "output"])
        if self.bench.dialect == "ga" and self.chance.random() < 0.1:
            return self.mcp_item()
        own = {"id": f"item_{self.chance.randrange(5)}"} if self.chance.random() < 0.3 else {}
        if role == "call":
            return {**own, "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
        if role == "output":
            calls = [item.call_id for item in self.bench.engine.conversation if item.call_id]
            call_id = self.chance.choice([*calls, "call_1"])
            return {**own, "type": "function_call_output", "call_id": call_id, "output": "seen"}
        part: dict[str, Any] = {"type": "input_text", "text": "hello"}
        if role == "spoken":
            part = {"type": "input_audio", "audio": base64.b64encode(SPEECH).decode()}
        if role == "assistant":
            part["type"] = "output_text" if self.bench.dialect == "ga" else "text"
        return {**own, "type": "message", "role": role if role != "spoken" else "user", "content": [part]}

    def mcp_item(self) -> dict[str, Any]:
        answer = {"approval_request_id": self.item_id(), "approve": True}
        invented = {
            "server_label": "port",
            "name": "tide",
            "arguments": self.chance.choice(["{}", "[", "[]"]),
        }
        return self.chance.choice(
            [
                {"type": "mcp_approval_response", **answer},
                {"type": "mcp_approval_response", **answer},
                {"type": "mcp_approval_request", **invented},
                {"type": "mcp_call", **answer, **invented},
            ]
        )

    def session(self) -> dict[str, Any]:
        tools = [TOOL, MCP_TOOL] if self.bench.dialect == "ga" else [TOOL]
        vad: list[Any] = [
            None,
            {"type": "server_vad"},
            {"type": "server_vad", "create_response": False, "interrupt_response": False},
            {"type": "semantic_vad", "eagerness": "high"},
        ]
        if self.bench.dialect == "ga":
            vad.append({"type": "server_vad", "idle_timeout_ms": 5000})
        flat = {
            "instructions": "Be brief.",
            "modalities": self.chance.choice([["text"], ["audio"]]),
            "turn_detection": self.chance.choice(vad),
            "input_audio_transcription": self.chance.choice(
                [None, {"model": "gpt-4o-transcribe"}, {"model": "x"}]
            ),
            "input_audio_format": self.chance.choice(["pcm16", "g711_ulaw"]),
            "output_audio_format": self.chance.choice(["pcm16", "g711_alaw"]),
            "tools": self.chance.choice([[], tools]),
            "max_response_output_tokens": self.chance.choice(["inf", 1]),
            "voice": self.chance.choice(["alloy", "sage"]),
        }
        return self.bench.session(**dict(self.chance.sample(sorted(flat.items()), 3)))

    def response(self) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "conversation": self.chance.choice(["auto", "none"]),
            "instructions": "Shortly.",
            "metadata": {"a": "b"},
            "input": self.chance.choice(
                [[], [self.item()], [{"type": "item_reference", "id": self.item_id()}]]
            ),
        }
        return dict(self.chance.sample(sorted(asked.items()), 2))

    def response_id(self) -> str | None:
        return self.chance.choice([None, "resp_of_nobody", *(run.id for run in self.bench.engine.runs)])


def item(client: Client) -> dict[str, Any]:
    after = client.chance.choice([None, None, "root", client.item_id()])
    return {"type": "conversation.item.create", "item": client.item(), "previous_item_id": after}


def audio(client: Client) -> dict[str, Any]:
    pcm = client.chance.choice([SPEECH, SILENCE, SPEECH + SILENCE, b"\0\0"])
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


COMMANDS: list[Any] = [
    item,
    item,
    audio,
    audio,
    lambda client: {"type": "response.create"},
    lambda client: {"type": "response.create"},
    lambda client: {"type": "response.create", "response": client.response()},
    lambda client: {"type": "response.cancel"},
    lambda client: {"type": "response.cancel", "response_id": client.response_id()},
    lambda client: {"type": "session.update", "session": client.session()},
    lambda client: {"type": "input_audio_buffer.commit"},
    lambda client: {"type": "input_audio_buffer.clear"},
    lambda client: {"type": "conversation.item.delete", "item_id": client.item_id()},
    lambda client: {"type": "conversation.item.retrieve", "item_id": client.item_id()},
    lambda client: {
        "type": "conversation.item.truncate",
        "item_id": client.item_id(),
        "content_index": client.chance.choice([0, 0, 1]),
        "audio_end_ms": client.chance.choice([0, 50, 100, 10_000]),
    },
]
COMMAND_TYPES = ("conversation.item.create", "session.update", "response.create")


@pytest.mark.thorough
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_sequence_of_commands_ends_a_session(
    dialect: str, effort: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a client sends, and whenever: it goes on, events in order, every response ends."""
    for seed in range(max(1, round(25 * effort**2))):
        try:
            client = Client(dialect, seed)
            for _ in range(client.chance.randrange(5, 30)):
                client.step()
            client.listen(client.bench.drain(120))
            client.order.end()
            assert client.bench.closed is None
            client.bench.send("response.create")
            client.listen(client.bench.drain(60))
            client.order.end()
            assert caplog.text == ""
        except Exception as exc:
            raise AssertionError(f"seed {seed}") from exc
