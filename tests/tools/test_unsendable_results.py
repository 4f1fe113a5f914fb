"""Results, errors and decisions that cannot be sent as they are: the call is answered all the same."""

from __future__ import annotations

import os
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, Tool, ToolContext, ToolError, WebSocketOptions
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Session
from azure_rt_audio.events import ToolApprovalRequested, ToolEnded, ToolProgress
from azure_rt_audio.protocol.items import ContentPart
from azure_rt_audio.tools.output import output_of

NAME = os.fsdecode(b"\xe9t\xe9.txt")
"""A file's name in Latin-1, as ``os.listdir`` gives it: half a character that UTF-8 cannot express."""

READABLE = "\ufffdt\ufffd.txt"


@dataclass
class File:
    """A result that JSON is made of."""

    name: str


def reply(conversation: Conversation, session: Session) -> FunctionCall | str:
    """Call ``look`` once, and repeat what came of it."""
    last = conversation.items[-1]
    if last.type == "function_call_output":
        return f"got {last.output}"
    return FunctionCall("look", {}) if last.text == "look" else f"read {last.text}"


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """A service whose model looks."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


def asked(
    service: Emulator,
    function: Callable[..., Any],
    *,
    limit: int = 2**20,
    hello: str | None = "read hello",
    **options: Any,
) -> tuple[str, ToolEnded]:
    """Ask for a call of a tool; return the answer, and how the call ended."""
    config = {"modalities": ["text"]}
    ended: list[ToolEnded] = []
    with AzureRealTimeAudio(
        {**service.options(), "session_config": config},
        {"max_message_bytes": limit},
        tools=[Tool(function, name="look", **{"parameters": {"type": "object"}, **options})],
        reconnect=None,
    ) as client:
        client.on(ToolEnded, ended.append)
        text = client.ask("look", timeout=HANG).text
        assert hello is None or client.ask("hello", timeout=HANG).text == hello
    return text, ended[0]


def fail() -> str:
    """Fail, and tell the model."""
    raise ToolError(NAME)


def crash() -> str:
    """Fail."""
    raise FileNotFoundError(NAME)


RESULTS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "text": (lambda: NAME, {}, READABLE),
    "with a time-out": (lambda: NAME, {"timeout_s": HANG}, READABLE),
    "in a list": (lambda: [NAME, "b"], {}, f'["{READABLE}","b"]'),
    "told error": (fail, {}, f'{{"error":"{READABLE}"}}'),
    "told crash": (crash, {"errors": "tell"}, f'{{"error":"FileNotFoundError: {READABLE}"}}'),
}


@pytest.mark.parametrize("case", RESULTS)
def test_half_characters_of_a_result_are_replaced(case: str, service: Emulator) -> None:
    """The model is given the rest, and the answer comes."""
    function, options, expected = RESULTS[case]
    text, ended = asked(service, function, **options)

    assert text == f"got {expected}"
    assert ended.output == expected


def test_half_characters_are_replaced_wherever_json_has_texts() -> None:
    """In keys, in containers, in fields of objects; what is no JSON for another reason stays a mistake."""
    pair = "\ud83d\ude00"  # two halves that are one

    assert (
        output_of({NAME: (File(NAME), {pair})}).text == f'{{"{READABLE}":[{{"name":"{READABLE}"}},["😀"]]}}'
    )
    with pytest.raises(TypeError):
        output_of([NAME, object()])


@pytest.mark.parametrize("decides", ["listener", "function"])
def test_half_characters_of_a_reason_are_replaced(decides: str, service: Emulator) -> None:
    """Of who decides: the call is decided, and the model reads the rest."""

    def function(request: ToolApprovalRequested) -> str | None:
        if decides == "function":
            return NAME
        assert request.deny(NAME)
        return None

    text, ended = asked(service, lambda: "", needs_approval=function)

    assert READABLE in text
    assert READABLE in ended.output


def test_half_characters_of_progress_are_replaced(service: Emulator) -> None:
    """A listener can write them into a file."""
    told: list[str] = []
    ToolContext("c", "look", tell=told.append).progress(NAME)

    assert told == [READABLE]
    assert ToolProgress(call_id="c", name="look", text=told[0]).text.encode()


class UntoldError(ToolError):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise self


def fail_without_text() -> str:
    """Fail so that nothing can be said of it."""
    raise UntoldError


@dataclass
class Order:
    """An argument whose constructor ends the program, or so it wants."""

    kind: str

    def __post_init__(self) -> None:
        raise {"exit": SystemExit, "cancelled": CancelledError, "interrupt": KeyboardInterrupt}[self.kind]


class BrokenExecutor:
    """Runs nothing, and returns no future, or raises what no ``except Exception`` catches."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def submit(self, *job: object) -> None:
        """Do not run a job."""
        if self.error is not None:
            raise self.error


def crash_without_text() -> str:
    """Fail likewise."""
    raise type("OtherError", (Exception,), {"__str__": UntoldError.__str__})


def order(order: Order) -> str:
    """Take an order."""
    return "ordered"


UNANSWERED: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = {
    "an executor without futures": (fail, {"executor": BrokenExecutor()}, {}),
    "an executor that exits": (fail, {"executor": BrokenExecutor(SystemExit("x"))}, {}),
    "a told error without text": (fail_without_text, {}, {}),
    "a crash without text": (crash_without_text, {"errors": "tell"}, {}),
    "an argument that exits": (order, {"parameters": None}, {"order": {"kind": "exit"}}),
    "an argument that is cancelled": (order, {"parameters": None}, {"order": {"kind": "cancelled"}}),
    "an argument that interrupts": (order, {"parameters": None}, {"order": {"kind": "interrupt"}}),
}


@pytest.mark.parametrize("case", UNANSWERED)
def test_whatever_happens_a_call_is_answered(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Between the call and its output; the log tells what it was."""
    function, options, arguments = UNANSWERED[case]

    def act(conversation: Conversation, session: Session) -> FunctionCall | str:
        last = conversation.items[-1]
        return (last.output or "") if last.type == "function_call_output" else FunctionCall("look", arguments)

    with Emulator(responder=act, pace=0) as emulator:
        text, ended = asked(emulator, function, hello=None, **options)

    assert text == ended.output == '{"error":"the function failed; no more is known"}'
    assert ended.error is not None
    assert "tool look " in caplog.text
    assert "a job of tools failed" not in caplog.text


@pytest.mark.parametrize("options", [{}, {"late": "tell", "timeout_s": 0.01}], ids=["in time", "late"])
def test_a_result_that_cannot_be_sent_is_an_error(
    options: dict[str, Any], service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stands against it: the model learns that there is none, and so do listeners."""
    config = {"modalities": ["text"]}
    ended: list[ToolEnded] = []

    def look(context: ToolContext) -> str:
        if options:
            context.client.wait_for(ToolEnded, timeout=HANG)  # that there is no result in time
        return "x" * 70_000

    with AzureRealTimeAudio(
        {**service.options(), "session_config": config},
        {"max_message_bytes": 60_000},
        tools=[Tool(look, max_output=100_000, **options)],
        reconnect=None,
    ) as client:
        client.on(ToolEnded, ended.append)
        with client.events(ToolEnded, timeout=HANG) as ends:
            answer = client.ask("look", timeout=HANG).text
            for _ in range(2 if options else 1):
                last = next(ends)
        assert client.ask("hello", timeout=HANG).text == "read hello"

    assert '{"error":' in answer
    assert "could not be sent" in last.output
    assert isinstance(last.error, ValueError)
    assert "cannot be sent" in caplog.text


def test_an_image_that_is_too_large_is_refused_by_name(
    service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The service would send it back, which would end the connection, and the next one."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(60_000)
    text, ended = asked(service, lambda: [png, "a plot"], limit=60_000)

    assert text.startswith("got a plot\n[no image follows: item.content[0].image_url is too large")
    assert isinstance(ended.error, ValueError)
    assert "images of tool look were not sent" in caplog.text


def test_a_command_that_would_come_back_too_large_is_refused(service: Emulator) -> None:
    """Items and sessions, before anything is sent; sound is not sent back."""
    image = ContentPart(type="input_image", image_url="data:image/png;base64," + "A" * 60_000)
    sound = ContentPart(type="input_audio", audio="A" * 60_000)
    text = ContentPart(type="input_text", text="x" * 60_000)
    options = WebSocketOptions(max_message_bytes=60_000)
    with AzureRealTimeAudio(service.options(), options, reconnect=None) as client:
        client.wait_until_ready(HANG)
        before = len(service.received())
        for part, path in ((image, r"item.content\[0\].image_url"), (text, "item")):
            with pytest.raises(ValueError, match=f"^{path} is too large.*max_message_bytes"):
                client.create_conversation_item({"type": "message", "role": "user", "content": [part]})
        with pytest.raises(ValueError, match=r"^session is too large"):
            client.update_session({"instructions": "x" * 60_000})
        client.create_conversation_item({"type": "message", "role": "user", "content": [sound]}).result(HANG)
        sent = service.received()[before:]

    assert [event["type"] for event in sent] == ["conversation.item.create"]
