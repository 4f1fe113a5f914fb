"""What came of a response, put together from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve

from ..protocol.events import (
    Event,
    ResponseCreated,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
)
from ..protocol.items import ContentPart, ConversationItem, FunctionCallItem, MessageItem
from ..protocol.responses import Response

__all__ = ["streamed_items", "streamed_response"]


def streamed_items(pieces: Iterable[Event]) -> list[ConversationItem]:
    """Return the items that events brought: whole where they ended, else as far as they came."""
    whole: dict[Any, ConversationItem] = {}
    text: dict[Any, list[str]] = {}
    spoken: dict[Any, list[str]] = {}
    calls: dict[Any, FunctionCallItem] = {}
    order: dict[Any, None] = {}
    for event in pieces:
        if isinstance(event, ResponseOutputItemAdded | ResponseOutputItemDone):
            key = getattr(event.item, "id", None)
            order.setdefault(key)
            if isinstance(event, ResponseOutputItemDone):
                whole[key] = event.item
            elif isinstance(event.item, FunctionCallItem):
                calls[key] = event.item
        elif isinstance(event, ResponseOutputTextDelta | ResponseOutputAudioTranscriptDelta):
            order.setdefault(event.item_id)
            kept = text if isinstance(event, ResponseOutputTextDelta) else spoken
            kept.setdefault(event.item_id, []).append(event.delta or "")
        elif isinstance(event, ResponseFunctionCallArgumentsDone):
            order.setdefault(event.item_id)
            name = getattr(event, "name", None) or getattr(calls.get(event.item_id), "name", None)
            calls[event.item_id] = FunctionCallItem(
                id=event.item_id, call_id=event.call_id, name=name or "", arguments=event.arguments
            )
    items: list[ConversationItem] = []
    for key in order:
        if key in whole:
            items.append(whole[key])
        elif key in text or key in spoken:
            content = [ContentPart(type="text", text="".join(text[key]))] if key in text else []
            if key in spoken:
                content.append(ContentPart(type="audio", transcript="".join(spoken[key])))
            items.append(MessageItem(id=key, role="assistant", status="incomplete", content=content))
        elif key in calls and calls[key].arguments:
            items.append(calls[key])
    return items


def streamed_response(pieces: list[Event]) -> Response | None:
    """Return the response that events brought without its end; ``None`` if it never began."""
    begun = next((event.response for event in pieces if isinstance(event, ResponseCreated)), None)
    if begun is None and not pieces:
        return None
    response = evolve(begun or Response(), status="incomplete", output=streamed_items(pieces))
    response._keep_sound([e for e in pieces if isinstance(e, ResponseOutputAudioDelta)])
    return response
