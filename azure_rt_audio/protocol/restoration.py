"""STUB until the pure core lands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from .conversation import ConversationEntry
from .items import ContentPart, ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem


@attrs.define
class Restoration:
    items: list[ConversationItem]
    shortened: dict[str, str]
    lost: dict[str, str]


def plan(entries: Sequence[ConversationEntry], turns: Mapping[str, bytes], policy: object, *, audio_format: str, budget: float) -> Restoration:
    made = Restoration([], {}, {})
    for entry in entries:
        item = entry.item
        if isinstance(item, MessageItem):
            kind = "text" if item.role == "assistant" else "input_text"
            made.items.append(MessageItem(id=item.id, role=item.role, content=[ContentPart(type=kind, text=entry.text)]))
        elif isinstance(item, FunctionCallItem):
            made.items.append(FunctionCallItem(id=item.id, name=item.name, call_id=item.call_id, arguments=item.arguments))
        elif isinstance(item, FunctionCallOutputItem):
            made.items.append(FunctionCallOutputItem(id=item.id, call_id=item.call_id, output=item.output))
    return made


def call_as_text(item: FunctionCallItem) -> MessageItem:
    return MessageItem(id=item.id, role="assistant", content=[ContentPart(type="text", text=f"{item.name}({item.arguments})")])
