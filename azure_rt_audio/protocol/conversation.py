"""A mirror of the conversation: its items in order, with their texts and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from .._repr import also_half_made
from .events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    Event,
    InputAudioBufferCommitted,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
)
from .item_stream import ItemStream
from .items import ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem
from .response_outputs import ResponseOutputs

__all__ = ["Conversation", "ConversationEntry"]


@frozen(kw_only=True)
class ConversationEntry:
    """
    One item of the conversation; a snapshot.

    Attributes:
        item: As the service last described it; never holds audio.
        text: Text or transcript, growing while it streams.
        audio_base64_length: Characters of base64 audio received for it; 4 stand for 3 bytes.
        truncated_at_ms: End of the audio after a truncation, else ``None``.
    """

    item: ConversationItem
    text: str = ""
    audio_base64_length: int = 0
    truncated_at_ms: int | None = None

    @property
    def role(self) -> str | None:
        """Role of a message's author; ``None`` for calls and their outputs."""
        return self.item.role if isinstance(self.item, MessageItem) else None

    @property
    def words(self) -> str:
        """The text, the function call, or its output."""
        if isinstance(self.item, FunctionCallItem):
            return f"{self.item.name}({self.item.arguments or ''})"
        if isinstance(self.item, FunctionCallOutputItem):
            return f"→ {self.item.output}"
        return self.text


class Conversation:
    """
    The items of the default conversation, in order, derived from events alone.

    Transcripts arrive late and out of order and are assigned by item id. Audio is not kept. What a response
    brought is here when it ends, also if the service does not announce its items.

    **Threads.** One thread applies events. Any thread may read and gets a snapshot of immutable entries.
    """

    def __init__(self) -> None:
        self._streams: dict[str, ItemStream] = {}
        self._order: tuple[str, ...] = ()
        self._outputs = ResponseOutputs(self._streams)
        self._names_places = False  # of items that are neither of a response nor spoken by the user
        self._changes: dict[type[Event], Callable[[Any], object]] = {
            ResponseOutputTextDelta: self._append,
            ResponseOutputAudioTranscriptDelta: self._append_spoken,
            ResponseOutputTextDone: self._replace,
            ResponseOutputAudioTranscriptDone: self._replace_spoken,
            ResponseFunctionCallArgumentsDelta: self._outputs.append_arguments,
            ResponseFunctionCallArgumentsDone: self._outputs.take_arguments,
            InputAudioBufferCommitted: self._await,
            ConversationItemInputAudioTranscriptionDelta: self._append_heard,
            ConversationItemInputAudioTranscriptionCompleted: self._replace_heard,
            ConversationItemAdded: self._place,
            ConversationItemDone: self._place,
            ResponseCreated: self._outputs.begin,
            ResponseOutputItemAdded: self._outputs.describe,
            ResponseOutputItemDone: self._update_output,
            ResponseDone: self._finish,
            ConversationItemRetrieved: self._update,
            ConversationItemTruncated: self._truncate,
            ConversationItemDeleted: self._delete,
        }

    def __len__(self) -> int:
        return len(self._order)

    @also_half_made
    def __repr__(self) -> str:
        return f"<Conversation of {len(self)} items>"

    @property
    def entries(self) -> tuple[ConversationEntry, ...]:
        """All entries in the order of the conversation."""
        found = map(self.get, self._order)
        return tuple(entry for entry in found if entry is not None)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook's cell, with the texts and transcripts."""
        from .._html import card, speech

        return card("Conversation", [speech((entry.role, entry.words) for entry in self.entries)])

    def get(self, item_id: str) -> ConversationEntry | None:
        """Return one entry, or ``None``."""
        stream = self._streams.get(item_id)
        item = None if stream is None else stream.item
        if stream is None or item is None:
            return None
        return ConversationEntry(
            item=item,
            text=stream.text,
            audio_base64_length=stream.audio_base64_length,
            truncated_at_ms=stream.truncated_at_ms,
        )

    # ------------------------------------------------------------ on the I/O thread

    def _apply(self, event: Event) -> None:
        """
        Update from one event; events about other things are ignored. Called by the I/O thread.

        The output of a response that has ended is completed by what streamed, in the event itself.
        """
        if event.__class__ is ResponseOutputAudioDelta:
            stream = self._streams.get(event.item_id)
            if stream is None:
                stream = self._outputs.find(event)
            stream.audio_base64_length += len(event.delta)
            return
        change = self._changes.get(event.__class__)
        if change is not None:
            change(event)

    def _append(self, event: ResponseOutputTextDelta) -> None:
        stream = self._streams.get(event.item_id)
        if stream is None or not stream.is_linked:
            stream = self._outputs.find(event)
        stream.append(event.content_index, event.delta)

    def _append_spoken(self, event: ResponseOutputAudioTranscriptDelta) -> None:
        stream = self._streams.get(event.item_id)
        if stream is None or not stream.is_linked:
            stream = self._outputs.find(event)
        stream.append_spoken(event.content_index, event.delta)

    def _replace(self, event: ResponseOutputTextDone) -> None:
        self._outputs.find(event).replace(event.content_index, event.text)

    def _replace_spoken(self, event: ResponseOutputAudioTranscriptDone) -> None:
        stream = self._outputs.find(event)
        stream.spoken |= {event.content_index}
        stream.replace(event.content_index, event.transcript)

    def _append_heard(self, event: ConversationItemInputAudioTranscriptionDelta) -> None:
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.append(event.content_index, event.delta)

    def _replace_heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.replace(event.content_index, event.transcript)

    def _await(self, event: InputAudioBufferCommitted) -> None:
        """Prepare for a transcript that arrives before its item."""
        if event.item_id:
            stream = self._streams.setdefault(event.item_id, ItemStream(event.item_id))
            stream.previous = event.previous_item_id

    def _place(self, event: ConversationItemAdded | ConversationItemDone) -> None:
        item_id = event.item.id
        if not item_id:
            return
        stream = self._streams.get(item_id)
        if stream is None or stream.item is None:
            place = self._place_after(event, stream)
            if stream is None:
                stream = self._streams[item_id] = ItemStream(item_id)
                if event.previous_item_id:
                    self._names_places = True
            _describe(stream, event.item)
            self._order = (*self._order[:place], item_id, *self._order[place:])
        else:
            _describe(stream, event.item)

    def _place_after(
        self, event: ConversationItemAdded | ConversationItemDone, stream: ItemStream | None
    ) -> int:
        previous = event.previous_item_id or (None if stream is None else stream.previous)
        if previous in self._order:
            return self._order.index(previous) + 1
        # Null is what services say of the first item. Some say it of any, or when an answer's item is done.
        is_nothing_before = (
            previous is None
            and "previous_item_id" in event.extra
            and self._names_places
            and stream is None
            and isinstance(event, ConversationItemAdded)
        )
        return 0 if previous == "root" or is_nothing_before else len(self._order)

    def _update(self, event: ConversationItemRetrieved) -> None:
        """Update an item that has a place; it may have been deleted meanwhile."""
        stream = self._streams.get(event.item.id or "")
        if stream is not None and stream.item is not None:
            _describe(stream, event.item)

    def _update_output(self, event: ResponseOutputItemDone) -> None:
        stream = self._outputs.describe(event)
        if stream.item is not None:
            _describe(stream, event.item)
        else:  # it may be of a response that is not part of the conversation
            stream.take_words(event.item)

    def _finish(self, event: ResponseDone) -> None:
        for key, item in self._outputs.finish(event.response):
            stream = self._streams.setdefault(key, ItemStream(item.id))
            is_new = stream.item is None
            _describe(stream, item)
            stream.settle()
            if is_new:
                self._order = (*self._order, key)

    def _truncate(self, event: ConversationItemTruncated) -> None:
        # The service discards the transcript of the removed audio and does not say which part of it.
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.truncated_at_ms = event.audio_end_ms

    def _delete(self, event: ConversationItemDeleted) -> None:
        self._order = tuple(item_id for item_id in self._order if item_id != event.item_id)
        self._streams.pop(event.item_id, None)


def _describe(stream: ItemStream, item: ConversationItem) -> None:
    stream.item = _without_audio(item)
    stream.take_words(item)


def _without_audio(item: ConversationItem) -> ConversationItem:
    """Drop audio: an hour of speech takes hundreds of megabytes."""
    if isinstance(item, MessageItem) and any(part.audio for part in item.content or ()):
        return evolve(item, content=[evolve(part, audio=None) for part in item.content or ()])
    return item
