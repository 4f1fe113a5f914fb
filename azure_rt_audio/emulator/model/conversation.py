"""
The conversation as the service keeps it: items in order, each found by its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pcm import BYTES_PER_MS

__all__ = ["Conversation", "Item", "Part"]

_AUDIO_BUDGET_BYTES = 32 * 1024 * 1024


@dataclass
class Part:
    """
    One piece of an item's content.

    Attributes:
        kind: ``input_text``, ``input_audio``, ``input_image``, ``text`` or ``audio``; the last two
            are the assistant's.
        text: Of a text part.
        transcript: As the client sees it; ``None`` until transcribed.
        recognised: What the recogniser made of user audio, whether or not transcription is on.
        is_being_recognised: Whether the recogniser is at work; a response waits for it.
        audio: As the wire carries it, in *audio_format*; a ``bytearray`` while an answer is being produced.
        dropped_ms: Length of the audio that was here, and is not kept any more.
        is_truncated: Whether the client cut it; what an answer says further is not kept.
        image_url: Of an image, with *detail*.
    """

    kind: str
    text: str = ""
    transcript: str | None = None
    recognised: str | None = None
    is_being_recognised: bool = False
    audio: bytes | bytearray = b""
    audio_format: str = "pcm16"
    image_url: str = ""
    detail: str | None = None
    dropped_ms: int = 0
    is_truncated: bool = False

    @property
    def duration_ms(self) -> int:
        """Length of the audio in whole milliseconds, kept or not."""
        return self.dropped_ms + len(self.audio) // BYTES_PER_MS[self.audio_format]

    @property
    def is_spoken(self) -> bool:
        """Whether it is audio of the assistant, of which there was some once."""
        return self.kind == "audio" and (self.duration_ms > 0 or self.is_truncated)

    def say(self, data: bytes = b"", text: str | None = None) -> None:
        """Append audio, and replace the text so far; unless the client truncated the part meanwhile."""
        if self.is_truncated:
            return
        if data and isinstance(self.audio, bytearray):  # dropped, if it was over the budget
            self.audio += data
        if text is not None and self.kind == "audio":
            self.transcript = text
        elif text is not None:
            self.text = text

    def truncate(self, end_ms: int) -> None:
        """Keep the first *end_ms* milliseconds; the transcript goes, since it no longer fits."""
        self.audio = bytes(self.audio[: end_ms * BYTES_PER_MS[self.audio_format]])
        self.dropped_ms = min(self.dropped_ms, end_ms)
        self.transcript = None
        self.is_truncated = True

    @property
    def words(self) -> str:
        """The text, or the transcript."""
        return self.text or self.recognised or self.transcript or ""


@dataclass
class Item:
    """
    One entry of the conversation.

    Attributes:
        type: ``message``, ``function_call``, ``function_call_output`` or one of MCP: ``mcp_list_tools``,
            ``mcp_call``, ``mcp_approval_request``, ``mcp_approval_response``.
        role: Of a message: ``user``, ``assistant`` or ``system``.
        status: ``in_progress``, ``completed`` or ``incomplete``; also of an ``mcp_call``, which runs or waits
            for approval as long as it is in progress.
        parts: A message's content.
        call_id: Of a ``function_call`` and its ``function_call_output``.
        name: Of a tool that is called, or for which approval is asked.
        arguments: The same: JSON.
        output: A function's result, as the client gave it, or that of an ``mcp_call`` (``""`` if it failed).
        extra: Fields of the MCP types by their names on the wire, such as ``error`` and ``server_label``;
            ``approve`` and ``approval_request_id`` of an ``mcp_approval_response``.
        ended_after: Of an ``mcp_call`` that has ended: the item that was the last one then.
    """

    id: str
    type: str
    role: str | None = None
    status: str = "completed"
    parts: list[Part] = field(default_factory=list)
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    output: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    ended_after: str | None = None

    @property
    def text(self) -> str:
        """All words of a message, written or spoken."""
        return " ".join(part.words for part in self.parts if part.words)


class Conversation:
    """
    Items in order.

    Keeps at most 32 MiB of audio; beyond that the oldest audio is dropped, its item stays.

    Attributes:
        has_voice: Whether the assistant has ever spoken, which fixes its voice.
    """

    def __init__(self, conversation_id: str | None, items: Sequence[Item] = ()) -> None:
        self.id = conversation_id
        self.has_voice = False
        self._items: list[Item] = list(items)

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._items))

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, oldest first."""
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        """Id of the newest item; ``None`` in an empty conversation."""
        return self._items[-1].id if self._items else None

    @property
    def last_user_text(self) -> str:
        """What the user wrote or said last; ``""`` if nothing yet."""
        for item in reversed(self._items):
            if item.type == "message" and item.role == "user":
                return item.text
        return ""

    @property
    def is_user_unintelligible(self) -> bool:
        """Whether the user spoke last, and nothing was recognised."""
        last = next((item for item in reversed(self._items) if item.role == "user"), None)
        return last is not None and not last.text and any(part.kind == "input_audio" for part in last.parts)

    @property
    def is_being_recognised(self) -> bool:
        """Whether user audio is still being recognised."""
        return any(part.is_being_recognised for item in self._items for part in item.parts)

    def get(self, item_id: str) -> Item | None:
        """The item with this id, or ``None``."""
        return next((item for item in self._items if item.id == item_id), None)

    def before(self, item: Item) -> str | None:
        """Id of the item in front of *item*; ``None`` at the start or if *item* was removed."""
        for previous, current in zip([None, *self._items], self._items, strict=False):
            if current is item:
                return previous.id if previous else None
        return None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """
        Put *item* at the end, at the start (*after* is ``"root"``) or behind another item.

        Returns:
            The id of the item now in front of it.
        """
        if after is None:
            self._items.append(item)
        elif after == "root":
            self._items.insert(0, item)
        else:
            position = next(index for index, other in enumerate(self._items) if other.id == after)
            self._items.insert(position + 1, item)
        return self.before(item)

    def remove(self, item: Item) -> None:
        """Remove *item*."""
        self._items.remove(item)

    def has_call(self, call_id: str) -> bool:
        """Whether the model ever asked for this function call."""
        return any(item.type == "function_call" and item.call_id == call_id for item in self._items)

    @property
    def has_written_answers_only(self) -> bool:
        """Whether there are answers of the assistant, and none of them was spoken."""
        parts = [part for item in self._items if item.role == "assistant" for part in item.parts]
        return any(part.kind == "text" for part in parts) and all(part.kind != "audio" for part in parts)

    def drop_audio(self) -> None:
        """Drop all audio; the lengths stay."""
        self._trim(0)

    def trim_audio(self) -> None:
        """Drop the oldest audio beyond the budget."""
        self._trim(_AUDIO_BUDGET_BYTES)

    def _trim(self, budget_bytes: int) -> None:
        spent = 0
        for item in reversed(self._items):
            for part in item.parts:
                spent += len(part.audio)
                if spent > budget_bytes:
                    part.dropped_ms, part.audio = part.duration_ms, b""
