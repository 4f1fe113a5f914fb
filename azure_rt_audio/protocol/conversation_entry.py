"""One item of the conversation, as the mirror has it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from .items import ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem

__all__ = ["ConversationEntry"]


@frozen(kw_only=True)
class ConversationEntry:
    """
    One item of the conversation; a snapshot.

    Attributes:
        item: As the service last described it; never holds audio.
        text: Text or transcript, growing while it streams.
        audio_base64_length: Characters of base64 audio received for it, padding among them.
        truncated_at_ms: End of the audio after a truncation, else ``None``.
        texts: Text or transcript of each content part that has one, by its index.
        audio_ms: Milliseconds of audio received for it, in the format of its response.
        is_being_heard: It is speech of the user of which a part is transcribed, and the rest is to come.
    """

    item: ConversationItem
    text: str = ""
    audio_base64_length: int = 0
    truncated_at_ms: int | None = None
    texts: Mapping[int, str] = field(factory=dict, eq=False, repr=False)
    audio_ms: int = field(default=0, eq=False, repr=False)
    is_being_heard: bool = field(default=False, eq=False, repr=False)

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
