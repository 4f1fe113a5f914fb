"""Calls of tools by a service that wants to write on the terminal, and tools that fail with secrets."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from frames import held_by_frames
from hostile_service import HOSTILE, hostile_service, reaches
from listeners import HANG, Connect, Probe

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._tool_loop.outputs import OutputSender
from azure_rt_audio.emulator import Emulator, FunctionCall, Reply
from azure_rt_audio.protocol.events.local import Reconnected, Reconnecting, ToolApprovalRequested
from azure_rt_audio.protocol.items import FunctionCallItem
from azure_rt_audio.tools import Tool, ToolContext, Tools
from azure_rt_audio.tools.declaration import declare
from azure_rt_audio.tools.output import ToolOutput
from azure_rt_audio.tools.shape import UnfitError

PASSWORD = "PASSWORD-0123456789"
TEXT = '{"text": "x"}'
PRINTED = HOSTILE.removesuffix("\ud83d")  # a model's arguments are JSON, which has no half characters


def listen(text: str) -> str:
    """Listen."""
    return text


def explode(text: str = "") -> str:
    """Fail with what the model wrote."""
    password = PASSWORD
    raise ValueError(f"{text}{len(password)}")


def slow(context: ToolContext) -> str:
    """Say how far it is, for longer than anybody waits."""
    context.progress(HOSTILE)
    context.cancelled.wait(HANG)
    return ""


@contextlib.contextmanager
def calling(name: str, arguments: Any, call_id: str = "c") -> Iterator[str]:
    """Yield the URL of a service whose model calls a tool once, and then refuses all outputs."""

    def act(send: Any, command: dict[str, Any], connection: Any) -> None:
        if command["type"] != "response.create":
            return
        call = {"id": "i", "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        response = {"id": HOSTILE, "object": "realtime.response", "status": "in_progress", "output": []}
        send("response.created", response=response)
        send("response.output_item.done", response_id=HOSTILE, output_index=0, item=call)
        send("response.done", response={**response, "status": "completed", "output": [call]})

    with hostile_service(act) as url:
        yield url


CALLS = {
    "unknown": (HOSTILE, "{}", "c"),
    "no JSON": ("listen", HOSTILE, "c"),
    "another type": ("listen", json.dumps({"text": [PRINTED]}), "c"),
    "unknown argument": ("listen", json.dumps({PRINTED: 1}), "c"),
    "fails": ("explode", json.dumps({"text": PRINTED}), "c"),
    "denied": ("approved", "{}", HOSTILE),
    "times out": ("slow", "{}", HOSTILE),
    "well": ("listen", json.dumps({"text": PRINTED}), HOSTILE),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_cannot_write_into_the_log(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Names, arguments, ids and what comes of them; exceptions, and what shows objects."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")

    def refuse(request: Any) -> str:
        raise ValueError(HOSTILE)

    tools = Tools(
        listen,
        explode,
        Tool(slow, timeout_s=0.02),
        Tool(lambda: "", name="approved", parameters={"type": "object"}, needs_approval=refuse),
    )
    told = Probe()
    with calling(*CALLS[case]) as url:
        options = {"host_name": url, "deployment": "m", "api_key": "k"}
        with AzureRealTimeAudio(options, tools=tools, reconnect=None) as client:
            for name in ("tool_started", "tool_progress", "tool_ended", "tool_approval_requested"):
                client.on(name, told)
            client.create_response()
            events = told.until(lambda event: event.type == "tool_ended")
    shown = "\n".join([*map(repr, events), repr(ToolContext(HOSTILE, HOSTILE)), repr(tools)])

    assert reaches(shown.replace("\n", "")) == []
    for record in caplog.records:
        line = logging.Formatter().format(record)
        assert reaches(line.replace("\n", "")) == []
        assert not any(part.startswith("forged") for part in line.splitlines())


@pytest.mark.parametrize("arguments", [{"pattern": "old"}, ["old"], 5, None, ""], ids=repr)
def test_arguments_that_are_no_text_do_not_run_a_function(arguments: Any) -> None:
    """Its defaults are not what the model wants, which is told. Without parameters, none are usual."""
    ran: list[str] = []

    def wipe(pattern: str = "*") -> None:
        ran.append(pattern)

    def tick() -> None:
        ran.append("tick")

    outputs = []
    for function in (wipe, tick):
        told = Probe()
        with calling(function.__name__, arguments) as url:
            options = {"host_name": url, "deployment": "m", "api_key": "k"}
            with AzureRealTimeAudio(options, tools=[function], reconnect=None) as client:
                client.on("tool_ended", told)
                client.create_response()
                outputs.append(told.until(lambda event: event.type == "tool_ended")[-1].output)

    assert ran == ([] if arguments == 5 else ["tick"])
    assert "JSON object" in json.loads(outputs[0])["error"]


def test_who_decides_sees_all_arguments() -> None:
    """What is long does not hide what follows; of very long ones it is told that there is more."""
    long, longer = (json.dumps({"note": "x" * size, "path": "/"}) for size in (3_000, 9_000))
    shown, cut = (
        str(ToolApprovalRequested(call_id="c", name="delete", arguments=given, decide=lambda *_: True))
        for given in (long, longer)
    )

    assert shown == f"delete({long})"
    assert cut.endswith("\N{HORIZONTAL ELLIPSIS}) (5025 characters more, not shown)")
    assert len(cut) < 5_000


NESTED = [f'{{"text": {"[" * depth}{"]" * depth}}}' for depth in (300, 900, 5_000)]
"""Deeper than orjson writes, than Python does, than either reads."""


@pytest.mark.parametrize("arguments", NESTED, ids=["300", "900", "5000"])
def test_arguments_that_are_nested_without_end_are_only_wrong(arguments: str) -> None:
    """They can be shown and quoted, and the model is told that they do not fit."""
    asked = ToolApprovalRequested(call_id="c", name="listen", arguments=arguments, decide=lambda *_: True)
    call = FunctionCallItem(id="i", call_id="c", name="listen", arguments=arguments)
    quoted = OutputSender(Numbering(), None, None).late_item(call, ToolOutput("x"))  # type: ignore[arg-type]

    assert "listen(" in str(asked)
    assert arguments in str((quoted.content or [])[0].text)
    with pytest.raises(UnfitError, match=r"the arguments are no JSON|must be a string, not"):
        declare(listen).arguments(arguments)


class Numbering:
    """Gives ids."""

    def new_item_id(self) -> str:
        """Return the only one."""
        return "item_1"


def test_the_line_of_a_reconnection_is_one() -> None:
    """Whatever reason the service gave."""
    again = Reconnected(gap_s=1.0, reason=HOSTILE, is_planned=True)
    lines = [str(Reconnecting(attempt=1, delay_s=0.0, reason=HOSTILE)), str(again)]

    assert [(reaches(line), line.count("\n")) for line in lines] == [([], 0)] * 2


def test_what_a_tool_fails_with_stays_here(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, for whoever wrote the tool; the service is told neither."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")

    def look_up(text: str) -> str:
        """Look something up in a database."""
        password = PASSWORD
        raise ConnectionError(f"no database for {text}" if password else "")

    def answer(conversation: Any, session: Any) -> Any:
        is_answered = any(item.type == "function_call_output" for item in conversation)
        return "sorry" if is_answered else Reply("", calls=[FunctionCall("look_up", '{"text": "a flat"}')])

    told = Probe()
    with Emulator(pace=0, responder=answer) as service:
        client = connect(service=service, session_config={"modalities": ["text"]}, api_key="emulator-key")
        client.tools = [look_up]
        client.on("tool_ended", told)
        assert client.ask("hello", timeout=HANG).text == "sorry"
        (ended,) = told.until(lambda event: True)
        sent = json.dumps(service.received())
        assert client.close()

    assert "no database" not in sent
    assert "the function failed; no more is known" in sent
    assert PASSWORD not in sent + caplog.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ConnectionError: no database for a flat" in caplog.text
    assert ended.error is record.exc_info[1]  # type: ignore[index]
    assert held_by_frames(ended.error, "emulator-key") == []


@pytest.mark.parametrize(("ids", "runs"), [((None,), 0), (("",), 0), (("same", "same"), 1)])
def test_calls_that_cannot_be_answered_are_told_once(
    ids: tuple[str | None, ...], runs: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an id, or with that of another one; who asked is given what came of the others."""
    asked: list[object] = []
    calls = [
        {"id": f"i{n}", "type": "function_call", "call_id": call_id, "name": "listen", "arguments": TEXT}
        for n, call_id in enumerate(ids)
    ]

    def act(send: Any, command: dict[str, Any], connection: Any) -> None:
        if command["type"] != "response.create":
            return
        asked.append(command)
        output = calls if len(asked) == 1 else []
        response = {
            "id": f"r{len(asked)}",
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
        }
        send("response.created", response=response)
        for item in output:
            send("response.output_item.done", response_id=response["id"], output_index=0, item=item)
        send("response.done", response={**response, "status": "completed", "output": output})

    told = Probe()
    with hostile_service(act) as url:
        options = {"host_name": url, "deployment": "m", "api_key": "k"}
        with AzureRealTimeAudio(options, tools=[listen], reconnect=None) as client:
            client.on("tool_ended", told)
            assert client.create_response().result(HANG).status == "completed"
    warnings = [record.message for record in caplog.records if "there can be no output" in record.message]

    assert len(told.told) == runs
    assert len(asked) == 1 + runs
    assert len(warnings) == 1
