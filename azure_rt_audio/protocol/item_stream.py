"""An item of a conversation while it streams."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from .items import ContentPart, ConversationItem, FunctionCallItem, MessageItem

__all__ = ["ItemStream"]


class ItemStream:
    """
    What is known of an item, piece by piece. Audio is counted and not kept.

    Attributes:
        id: ``None`` if the service gives it none.
        item: As last described, once it has a place in the conversation; never holds audio.
        output: As an event of its response last described it.
        audio_format: That of its audio, as far as it is known.
        earlier_audio_ms: Milliseconds of audio that were received for it in an earlier program.
        is_being_heard: Some of what the user says is transcribed, and the rest is to come.
        is_linked: Its response is known.
        is_whole: The service has said that nothing more of it comes.
        previous: Id of the item before it, as far as it was told ahead of the item.
        texts: Pieces of text or transcript by content index.
        spoken: The content indices of transcripts.

    **Threads.** One thread writes: it appends to lists and replaces values. Any thread may call
    :meth:`text`.
    """

    __slots__ = (
        "_surplus",
        "arguments",
        "audio_base64_length",
        "audio_format",
        "call_id",
        "earlier_audio_ms",
        "id",
        "is_being_heard",
        "is_linked",
        "is_whole",
        "item",
        "name",
        "output",
        "previous",
        "spoken",
        "texts",
        "truncated_at_ms",
    )

    def __init__(self, item_id: str | None) -> None:
        self.id: str | None = item_id
        self.item: ConversationItem | None = None
        self.output: ConversationItem | None = None
        self.is_being_heard: bool = False
        self.is_linked: bool = False
        self.is_whole: bool = False
        self.previous: str | None = None
        self.texts: dict[int, list[str]] = {}
        self.spoken: frozenset[int] = frozenset()
        self.arguments: list[str] = []
        self.call_id: str | None = None
        self.name: str | None = None
        self.audio_base64_length: int = 0
        self._surplus: int = 0  # quarters of a byte that the base64 has more than its audio
        self.audio_format: str | None = None
        self.earlier_audio_ms: int = 0
        self.truncated_at_ms: int | None = None

    def note_padding(self, delta: str) -> None:
        """Take into account that a piece of audio ends with padding, or lacks it."""
        self._surplus += len(delta) * 3 - len(delta.rstrip("=")) * 3 // 4 * 4

    @property
    def audio_bytes(self) -> int:
        """Bytes of audio that were received for it."""
        return (self.audio_base64_length * 3 - self._surplus) // 4

    def append(self, part: int | None, text: str | None) -> None:
        """Add a piece of text."""
        self.texts.setdefault(part or 0, []).append(text or "")

    def append_spoken(self, part: int | None, text: str | None) -> None:
        """Add a piece of a transcript."""
        pieces = self.texts.get(part or 0)
        if pieces is None:
            self.spoken |= {part or 0}
            pieces = self.texts[part or 0] = []
        pieces.append(text or "")

    def replace(self, part: int | None, text: str | None) -> None:
        """Take the whole of a part; an empty one does not undo what has streamed."""
        if text:
            self.texts[part or 0] = [text]

    def take_words(self, item: ConversationItem) -> None:
        """Take the texts that a description of the item has."""
        if isinstance(item, MessageItem):
            for index, part in enumerate(item.content or ()):
                if part.type == "audio":
                    self.spoken |= {index}
                self.replace(index, part.text or part.transcript)

    def note_call(self, item: ConversationItem) -> None:
        """Keep what a description says of a function call, for a later one that says less."""
        if isinstance(item, FunctionCallItem):
            self.call_id, self.name = item.call_id or self.call_id, item.name or self.name

    def settle(self) -> None:
        """Let go of what only the end of its response needed; the item has it now."""
        self.output = None
        self.arguments = []

    @property
    def text(self) -> str:
        """All that can be read of it so far."""
        return "".join(self.parts.values())

    @property
    def parts(self) -> dict[int, str]:
        """The same by content index, in order."""
        texts = sorted(self.texts.copy().items())  # copies, as the writer may run at the same time
        return {index: "".join(tuple(pieces)) for index, pieces in texts}

    @property
    def is_call(self) -> bool:
        """Whether it is a function call."""
        known = self.item or self.output
        return isinstance(known, FunctionCallItem) if known is not None else bool(self.arguments)

    def completed(self, item: ConversationItem | None, *, is_success: bool) -> ConversationItem | None:
        """
        Return the item at the end of its response, with what streamed where the description lacks it.

        Args:
            item: As described at the end; left out, what is known from before.
            is_success: Whether the response ran to its end. A call that may be cut short is not returned.
        """
        is_described = item is not None
        item = item or self.output or self.item
        if item is None and self.is_call:
            item = FunctionCallItem(id=self.id)
        elif item is None and (self.texts or self.audio_base64_length):
            item = MessageItem(id=self.id, role="assistant")
        if isinstance(item, FunctionCallItem):
            return self._completed_call(item, is_success=is_success, is_described=is_described)
        if not isinstance(item, MessageItem):
            return item
        content = item.content if item.text else self._parts() or item.content
        status = item.status if is_described else _ended(item.status, is_success)
        if content is not item.content or status != item.status or item.id is None is not self.id:
            item = evolve(item, id=item.id or self.id, content=content, status=status)
        return item

    def _completed_call(
        self, item: FunctionCallItem, *, is_success: bool, is_described: bool
    ) -> FunctionCallItem | None:
        if not (is_described or is_success or self.is_whole):
            return None
        changes: dict[str, Any] = {
            "id": item.id or self.id,
            "arguments": item.arguments or "".join(self.arguments) or item.arguments,
            "call_id": item.call_id or self.call_id,
            "name": item.name or self.name,
            "status": item.status if is_described else _ended(item.status, is_success),
        }
        if any(getattr(item, name) != value for name, value in changes.items()):
            item = evolve(item, **changes)
        return item

    def _parts(self) -> list[ContentPart]:
        parts = [
            ContentPart(type="audio", transcript="".join(pieces))
            if index in self.spoken
            else ContentPart(type="text", text="".join(pieces))
            for index, pieces in sorted(self.texts.items())
        ]
        return parts or ([ContentPart(type="audio")] if self.audio_base64_length else [])


def _ended(status: str | None, is_success: bool) -> str:
    if status not in (None, "in_progress"):
        return status
    return "completed" if is_success else "incomplete"
