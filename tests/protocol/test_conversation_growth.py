"""A conversation of many thousand items: the next one costs what the first did."""

from __future__ import annotations

import time

from azure_rt_audio.protocol.conversation import Conversation
from azure_rt_audio.protocol.events import ConversationItemAdded, ConversationItemDeleted
from azure_rt_audio.protocol.items import MessageItem

ITEMS = 20_000
BLOCK = 500


def added(number: int) -> ConversationItemAdded:
    """Return the event of an item after the one before."""
    item = MessageItem(id=f"item_{number}", role="user", content=[])
    return ConversationItemAdded(item=item, previous_item_id=f"item_{number - 1}" if number else None)


def test_the_mirror_is_flat() -> None:
    """At 20 000 items a further one takes no longer than at the beginning, nor does a deletion."""
    conversation = Conversation()
    events = [added(number) for number in range(ITEMS)]
    took = []
    for start in range(0, ITEMS, BLOCK):
        began = time.process_time()
        for event in events[start : start + BLOCK]:
            conversation._apply(event)
        took.append(time.process_time() - began)
    ids = [entry.item.id for entry in conversation.entries]
    began = time.process_time()
    for number in range(BLOCK):
        conversation._apply(ConversationItemDeleted(item_id=f"item_{number}"))
    deleting = time.process_time() - began

    assert ids == [f"item_{number}" for number in range(ITEMS)]
    assert [entry.item.id for entry in conversation.entries] == ids[BLOCK:]
    # Of several blocks the quickest: a machine that is busy, and the collector, cost some.
    assert min(took[-8:]) < 4 * min(took[:8])
    assert deleting < 20 * min(took[:8])
