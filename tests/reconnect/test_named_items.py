"""Items that are named while the conversation goes over to another session, and after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from listeners import HANG, NO_VAD, Connect, Probe, ready
from scripted_conversation import synthesise

from azure_rt_audio import Tool
from azure_rt_audio._session import item_ids
from azure_rt_audio.emulator import Delay, Emulator, Faults, FunctionCall, Reply, before

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}
SHORT_LIVED = {"max_age_s": 2.0, "swap_before_s": 1.0}
"""A response is no reason to wait in the last quarter second."""


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline, pause = time.monotonic() + HANG, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.001)


def test_a_quick_tool_in_an_answer_that_ends_in_the_old_session(connect: Connect) -> None:
    """Its output waits until the new session has its call, which it has at the end of the answer."""
    spoken = " ".join(f"w{number}" for number in range(25))  # two and a half seconds
    replies = iter([Reply(spoken, calls=(FunctionCall("look", {}),))])
    with Emulator(
        pace=1, responder=lambda *_: next(replies, "it is seven"), synthesiser=synthesise
    ) as service:
        service.faults.add(before("response.done", Delay(0.5)))
        tool = Tool(lambda: "seven", name="look")
        policy = {**QUICK, **SHORT_LIVED}
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=policy)
        client.tools = [tool]
        assert client.ask("one", timeout=4 * HANG).text == "it is seven"
        assert len(service.connections) > 1
        assert service.sent("error") == []
        kinds = [item.type for item in service.connections[1]._engine.conversation]

    assert kinds == ["message", "message", "function_call", "function_call_output", "message"]


def test_a_truncation_is_told_as_one(connect: Connect, emulator: Emulator) -> None:
    """Also where the service is asked to delete a text, and to create what was heard of it."""
    client = ready(connect)
    client.ask("Hello!", timeout=HANG)
    item_id = client.conversation.entries[-1].item.id
    client.reconnect().result(HANG)
    truncated, deleted = Probe(), Probe()
    client.on("conversation.item.truncated", truncated)
    client.on("conversation.item.deleted", deleted)
    with client.events("conversation.item.truncated", timeout=HANG) as stream:
        assert client.truncate_item(item_id, 0, 2000).result(HANG).audio_end_ms == 2000
        assert next(stream).item_id == item_id

    assert truncated.next().item_id == item_id
    client.delete_item(item_id).result(HANG)
    assert deleted.next().type == "conversation.item.deleted"
    assert emulator.sent("error") == []


@pytest.mark.parametrize("is_deleted_first", [False, True])
def test_a_truncation_and_a_deletion_while_items_are_restored(
    connect: Connect, is_deleted_first: bool
) -> None:
    """They are carried out in their order: what was deleted does not come back."""
    with Emulator(latency_ms=(60, 30), pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        client.ask("Hello!", timeout=HANG)
        item_id = client.conversation.entries[-1].item.id
        service.drop()
        until(lambda: client._engine.reconnector._restorer is not None)
        if is_deleted_first:
            deleted = client.delete_item(item_id)
            assert isinstance(client.truncate_item(item_id, 0, 300).exception(HANG), Exception)
        else:
            cut = client.truncate_item(item_id, 0, 300)
            deleted = client.delete_item(item_id)
            assert cut.result(HANG).audio_end_ms == 300
        assert deleted.result(HANG).item_id == item_id
        assert [entry.text for entry in client.conversation.entries] == ["Hello!"]
        assert [item.text for item in service.connections[-1]._engine.conversation] == ["Hello!"]


@pytest.mark.parametrize("how", ["truncated", "renamed"])
def test_a_reference_to_an_item_with_another_id(connect: Connect, how: str) -> None:
    """The service is asked for the item that it has."""
    faults = Faults(renames_items=how == "renamed")
    with Emulator(pace=0, faults=faults) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        client.ask("Hello!", timeout=HANG)
        item_id = client.conversation.entries[-1].item.id
        client.reconnect().result(HANG)
        if how == "truncated":
            client.truncate_item(item_id, 0, 2000).result(HANG)
        reference = {"type": "item_reference", "id": item_id}
        answer = client.create_response({"conversation": "none", "input": [reference]}).result(HANG)

        assert answer.status == "completed"
        assert service.sent("error") == []


def test_ids_of_former_connections_are_bounded() -> None:
    """However often a service that insists on its own ids is left."""
    ids = item_ids.ItemIds()
    for connection in range(10):
        following = item_ids.ItemIds()
        ids.begin({f"ours{n}": f"theirs{connection}.{n}" for n in range(500)}, {}, (), {})
        following.inherit(ids)
        ids = following

    assert len(ids._former) == item_ids._FORMER
    assert ids.known("theirs9.499") == "ours499"
    assert ids.known("theirs0.0") == "theirs0.0"
