"""A mirror of the conversation: its items in order, with their texts and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

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
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
)
from .items import ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem

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


class _Line:
    """An item while it streams. Only one thread writes: it appends to lists and replaces values."""

    __slots__ = ("audio_base64_length", "item", "texts", "truncated_at_ms")

    def __init__(self) -> None:
        self.item: ConversationItem | None = None  # until the service announces it
        self.texts: dict[int, list[str]] = {}  # deltas by content index
        self.audio_base64_length = 0
        self.truncated_at_ms: int | None = None

    def append(self, part: int | None, text: str | None) -> None:
        self.texts.setdefault(part or 0, []).append(text or "")

    def replace(self, part: int | None, text: str) -> None:
        self.texts[part or 0] = [text]

    def entry(self) -> ConversationEntry | None:
        if self.item is None:
            return None
        texts = sorted(self.texts.copy().items())  # copies, as the writer may run at the same time
        text = "".join(piece for _, pieces in texts for piece in tuple(pieces))
        return ConversationEntry(
            item=self.item,
            text=text,
            audio_base64_length=self.audio_base64_length,
            truncated_at_ms=self.truncated_at_ms,
        )


class Conversation:
    """
    The items of the default conversation, in order, derived from events alone.

    Transcripts arrive late and out of order and are assigned by item id. Audio is not kept.

    **Threads.** One thread applies events. Any thread may read and gets a snapshot of immutable entries.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._order: tuple[str, ...] = ()
        self._changes: dict[type[Event], Callable[[Any], None]] = {
            ResponseOutputTextDelta: self._append,
            ResponseOutputAudioTranscriptDelta: self._append,
            ResponseOutputTextDone: lambda event: self._replace(event, event.text),
            ResponseOutputAudioTranscriptDone: lambda event: self._replace(event, event.transcript),
            InputAudioBufferCommitted: self._await,
            ConversationItemInputAudioTranscriptionDelta: self._append,
            ConversationItemInputAudioTranscriptionCompleted: (
                lambda event: self._replace(event, event.transcript)
            ),
            ConversationItemAdded: self._place,
            ConversationItemDone: self._place,
            ResponseOutputItemDone: self._update,
            ConversationItemRetrieved: self._update,
            ConversationItemTruncated: self._truncate,
            ConversationItemDeleted: self._delete,
        }

    def __len__(self) -> int:
        return len(self._order)

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
        line = self._lines.get(item_id)
        return None if line is None else line.entry()

    def _apply(self, event: Event) -> None:
        """Update from one event; events about other things are ignored. Called by the I/O thread."""
        if event.__class__ is ResponseOutputAudioDelta:
            line = self._lines.get(event.item_id)
            if line is not None:
                line.audio_base64_length += len(event.delta)
            return
        change = self._changes.get(event.__class__)
        if change is not None:
            change(event)

    def _append(
        self,
        event: ResponseOutputTextDelta
        | ResponseOutputAudioTranscriptDelta
        | ConversationItemInputAudioTranscriptionDelta,
    ) -> None:
        line = self._lines.get(event.item_id)
        if line is not None:
            line.append(event.content_index, event.delta)

    def _replace(
        self,
        event: ResponseOutputTextDone
        | ResponseOutputAudioTranscriptDone
        | ConversationItemInputAudioTranscriptionCompleted,
        text: str,
    ) -> None:
        line = self._lines.get(event.item_id)
        if line is not None:
            line.replace(event.content_index, text)

    def _await(self, event: InputAudioBufferCommitted) -> None:
        """Prepare for a transcript that arrives before its item."""
        self._lines.setdefault(event.item_id, _Line())

    def _place(self, event: ConversationItemAdded | ConversationItemDone) -> None:
        item_id = event.item.id
        if item_id is None:
            return
        line = self._lines.setdefault(item_id, _Line())
        is_new = line.item is None
        _describe(line, event.item)
        if is_new:
            place = self._place_after(event)
            self._order = (*self._order[:place], item_id, *self._order[place:])

    def _place_after(self, event: ConversationItemAdded | ConversationItemDone) -> int:
        previous = event.previous_item_id
        if previous in self._order:
            return self._order.index(previous) + 1
        if previous == "root" or (previous is None and "previous_item_id" in event.extra):
            return 0  # an explicit null: it is the first item
        return len(self._order)

    def _update(self, event: ResponseOutputItemDone | ConversationItemRetrieved) -> None:
        """Update known items only: those of an out-of-band response are not part of the conversation."""
        line = self._lines.get(event.item.id or "")
        if line is not None and line.item is not None:
            _describe(line, event.item)

    def _truncate(self, event: ConversationItemTruncated) -> None:
        # The service discards the transcript of the removed audio and does not say which part of it.
        line = self._lines.get(event.item_id)
        if line is not None:
            line.truncated_at_ms = event.audio_end_ms

    def _delete(self, event: ConversationItemDeleted) -> None:
        self._order = tuple(item_id for item_id in self._order if item_id != event.item_id)
        self._lines.pop(event.item_id, None)


def _describe(line: _Line, item: ConversationItem) -> None:
    line.item = _without_audio(item)
    if isinstance(item, MessageItem):
        for index, part in enumerate(item.content or ()):
            text = part.text or part.transcript
            if text:
                line.replace(index, text)


def _without_audio(item: ConversationItem) -> ConversationItem:
    """Drop audio: an hour of speech takes hundreds of megabytes."""
    if isinstance(item, MessageItem) and any(part.audio for part in item.content or ()):
        return evolve(item, content=[evolve(part, audio=None) for part in item.content or ()])
    return item
