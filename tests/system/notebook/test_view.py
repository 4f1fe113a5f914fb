"""The live view in a real kernel, seen from the other end of its channel."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

import pytest
from kernels import BOUND, Kernel

from azure_rt_audio import AzureRealTimeAudio, MissingExtraError
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.notebook

SHOWN = "client = AzureRealTimeAudio(service.options())\nclient.wait_until_ready()\nclient.display()"


def widgets(kernel: Kernel) -> dict[str, dict[str, Any]]:
    """Return the state of each widget, as a page would have it."""
    states: dict[str, dict[str, Any]] = {}
    for message in kernel.comms:
        content = message["content"]
        if message["msg_type"] == "comm_open":
            states[content["comm_id"]] = dict(content["data"]["state"])
        elif message["msg_type"] == "comm_msg" and content["data"]["method"] == "update":
            # What is of a view before is nothing to this page.
            states.get(content["comm_id"], {}).update(content["data"]["state"])
        elif message["msg_type"] == "comm_close":
            states.pop(content["comm_id"], None)
    return states


def shown(kernel: Kernel) -> str:
    """Return all HTML of the view."""
    return "".join(
        state["value"] for state in widgets(kernel).values() if state["_model_name"] == "HTMLModel"
    )


def press(kernel: Kernel, description: str) -> None:
    """Press a button."""
    (button,) = [
        comm_id for comm_id, state in widgets(kernel).items() if state.get("description") == description
    ]
    data = {"method": "custom", "content": {"event": "click"}}
    message = kernel.client.session.msg("comm_msg", {"comm_id": button, "data": data})
    kernel.client.shell_channel.send(message)


def pictures(kernel: Kernel) -> list[str]:
    """Return the HTML that took the place of widgets."""
    return [
        message["content"]["data"]["text/html"]
        for cell in kernel.cells.values()
        for message in cell.messages
        if message["msg_type"] == "update_display_data"
    ]


def test_the_view_follows_the_conversation(notebook: Kernel) -> None:
    """What both sides say appears while it is said; at the end plain HTML is left, no widget, no thread."""
    showing = notebook.ok(SHOWN)
    notebook.until(lambda: "idle" in shown(notebook))
    notebook.ok("client.ask('What is <i>this</i>?');")
    notebook.until(lambda: "What is &lt;i&gt;this&lt;/i&gt;?" in shown(notebook))
    notebook.until(lambda: "assistant" in shown(notebook) and "first words after" in shown(notebook))
    (first,) = [m["content"]["data"] for m in showing.messages if m["msg_type"] == "display_data"]
    assert "application/vnd.jupyter.widget-view+json" in first

    notebook.ok("client.close()")
    notebook.until(lambda: widgets(notebook) == {})
    (last,) = pictures(notebook)
    assert "closed" in last
    assert "What is &lt;i&gt;this&lt;/i&gt;?" in last
    notebook.until(lambda: notebook.threads() == [])


def test_the_view_tells_of_a_connection_that_is_made_again(notebook: Kernel) -> None:
    """While there is none, the light says so; then a line says what was restored, until the next answer."""
    notebook.ok(SHOWN)
    notebook.ok("from azure_rt_audio.emulator import Refuse, at_handshake")
    notebook.ok("client.ask('Hello?'); service.faults.add(at_handshake(Refuse(503, retry_after_ms=1500)))")
    notebook.ok("events = client.events('reconnected'); service.drop();")
    notebook.until(lambda: ">reconnecting<" in shown(notebook) and "(attempt 2)" in shown(notebook))
    notebook.ok("next(events);")
    notebook.until(lambda: "2 restored, nothing lost" in shown(notebook))
    assert ">reconnecting<" not in shown(notebook)

    notebook.ok("client.ask('And now?');")
    notebook.until(lambda: "2 restored" not in shown(notebook))
    notebook.ok("client.close()")


def test_a_flood_of_deltas_does_not_flood_the_channel(notebook: Kernel) -> None:
    """Of thousands of events come ten pictures a second at most, the last of which is complete."""
    start = time.monotonic()
    notebook.ok("service.stop()")
    notebook.ok("service = Emulator(pace=0, responder=lambda c, s: 'word ' * 1500 + 'end'); service.start()")
    notebook.ok("count = 0\ndef note(event):\n    global count\n    count += 1")
    notebook.ok(SHOWN)
    notebook.ok("client.on('*', note)\nclient.ask('Hello!');")
    notebook.until(lambda: "word end" in shown(notebook))

    assert notebook.value("count") > 1500
    updates = [m["content"]["comm_id"] for m in notebook.comms if m["msg_type"] == "comm_msg"]
    pictures_of_one_widget = max(map(updates.count, updates))
    assert pictures_of_one_widget <= 2 + (time.monotonic() - start) / 0.1


def test_stop_stops_the_answer_and_close_ends_the_conversation(notebook: Kernel) -> None:
    """The buttons do what they say, while no cell runs."""
    notebook.ok("service.stop()")
    notebook.ok("service = Emulator(pace=1, responder=lambda c, s: 'word ' * 500); service.start()")
    notebook.ok(SHOWN)
    notebook.ok("pending = client.create_response()")
    notebook.until(lambda: "speaking" in shown(notebook))
    press(notebook, "Stop")
    notebook.ok(f"response = pending.result({BOUND})")
    notebook.until(lambda: "idle" in shown(notebook))

    assert notebook.value("(response.status, response.reason)") == ("cancelled", "client_cancelled")
    press(notebook, "Close")
    notebook.until(lambda: notebook.value("client.state.name") == "CLOSED")


TOOLS = """
from azure_rt_audio import Tool
from azure_rt_audio.emulator import FunctionCall, Reply

service.stop()

def reply(conversation, session):
    outputs = [item.output for item in conversation.items if item.type == "function_call_output"]
    calls = [FunctionCall("send_mail", {"to": to}) for to in ("<b>Ada</b>", "Bo")]
    return " and ".join(outputs) if outputs else Reply(calls=calls)

service = Emulator(pace=0, responder=reply); service.start()

def send_mail(to: str) -> str:
    return "sent to " + to

client = AzureRealTimeAudio(service.options(), tools=[Tool(send_mail, needs_approval=True)])
client.wait_until_ready()
client.display()
"""


def test_a_tool_waits_for_a_button(notebook: Kernel) -> None:
    """The calls that need approval are asked for one after the other, and the buttons are there only then."""

    def is_asked() -> bool:
        rows = [s for s in widgets(notebook).values() if s.get("description") in ("Allow", "Deny")]
        return [row["disabled"] for row in rows] == [False, False]

    notebook.ok(TOOLS)
    assert not is_asked()
    notebook.ok("pending = client.create_response()")
    notebook.until(lambda: "{&quot;to&quot;: &quot;&lt;b&gt;Ada&lt;/b&gt;&quot;})" in shown(notebook))
    notebook.until(lambda: "(1 more)" in shown(notebook) and is_asked())
    press(notebook, "Allow")
    notebook.until(lambda: "&quot;Bo&quot;" in shown(notebook) and "more)" not in shown(notebook))
    press(notebook, "Deny")
    text = notebook.value(f"pending.result({BOUND}).text")
    assert text.startswith("sent to <b>Ada</b> and ")
    assert "the user has said no" in text
    notebook.until(lambda: not is_asked())
    notebook.ok("client.close()")
    notebook.until(lambda: widgets(notebook) == {})


def test_there_is_one_view_of_a_client(notebook: Kernel) -> None:
    """It moves to the cell that asks last; ten of them leave one thread, and that ends with the client."""
    notebook.ok(SHOWN)
    for _ in range(10):
        notebook.ok("client.display()")
    notebook.until(lambda: len([name for name in notebook.threads() if "view" in name]) == 1)

    notebook.ok("del client")
    notebook.until(lambda: notebook.threads() == [])


def test_a_refused_connection_is_shown_with_its_remedy(notebook: Kernel) -> None:
    """Not only the colour changes: the reason can be read."""
    notebook.ok("wrong = {**service.options(), 'api_key': 'wrong'}")
    showing = notebook.ok("client = AzureRealTimeAudio(wrong)\nclient.display()")
    notebook.ok("try:\n    client.wait_until_ready()\nexcept Exception as error:\n    reason = str(error)")
    reason = notebook.value("reason")
    notebook.until(lambda: pictures(notebook))

    assert "failed" in pictures(notebook)[-1]
    assert html.escape(reason) in pictures(notebook)[-1]
    assert showing.error is None


def test_elsewhere_there_is_no_view() -> None:
    """Outside of a kernel it says so, and without ipywidgets which extra is missing."""
    with Emulator(pace=0) as service, AzureRealTimeAudio(service.options()) as client:
        with pytest.raises(RuntimeError, match="notebook"):
            client.display()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "ipywidgets", None)
            with pytest.raises(MissingExtraError, match=r"azure-rt-audio\[jupyter\]"):
                client.display()
