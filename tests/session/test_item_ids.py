"""How items are called on a connection that they were restored on."""

from __future__ import annotations

import json
from typing import Any

from azure_rt_audio._session.item_ids import ItemIds


def on(ids: ItemIds, **fields: Any) -> dict[str, Any]:
    """Return a command that was encoded for an earlier connection, as it is sent on this one."""
    message: dict[str, Any] = json.loads(ids.encoded_to_service(json.dumps(fields).encode()))
    return message


def begun(
    service: dict[str, str], calls: dict[str, str] | None = None, after: ItemIds | None = None
) -> ItemIds:
    ids = ItemIds()
    if after is not None:
        ids.inherit(after)
    ids.begin(service, {}, (), calls or {})
    return ids


def test_a_command_for_an_earlier_connection_names_the_item_of_this_one() -> None:
    """Whichever connection it was encoded for; the program's own id, which was held, too."""
    first = begun({"item": "first"})
    second = begun({"item": "second"}, after=first)
    third = begun({}, after=second)

    assert on(second, type="conversation.item.delete", item_id="first")["item_id"] == "second"
    assert on(second, type="conversation.item.delete", item_id="item")["item_id"] == "second"
    assert [
        on(third, previous_item_id=name)["previous_item_id"] for name in ("first", "second", "other")
    ] == [
        "item",
        "item",
        "other",
    ]


def test_the_output_of_a_call_that_is_a_text_is_a_text() -> None:
    """Under the id that its caller waits for; other outputs are as they were."""
    ids = begun({}, {"call_1": "lookup"})
    output = {"type": "function_call_output", "id": "item_1", "call_id": "call_1", "output": "42"}
    other = {**output, "call_id": "call_2"}

    assert on(ids, item=other)["item"] == other
    assert on(ids, item=output)["item"] == {
        "id": "item_1",
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "The function lookup returned: 42"}],
    }
