"""How much of a conversation is restored: the newest, without separating what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from .items import ContentPart, ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem

__all__ = ["BEYOND", "Budget", "Piece", "as_cut"]

BEYOND: Final = "beyond max_items or max_characters"


@frozen(kw_only=True, eq=False)
class Piece:
    """
    What an item becomes in a new session.

    Attributes:
        source: Id of the item.
        items: What is created for it.
        call_id: Pieces with the same one are not separated.
        is_kept: Whether it is restored whatever the budget.
        missing: What it lacks.
    """

    source: str
    items: tuple[ConversationItem, ...]
    call_id: str | None = None
    is_kept: bool = False
    missing: str = ""

    @property
    def characters(self) -> int:
        """Characters of its texts."""
        return sum(map(_characters, self.items))


@frozen
class Budget:
    """Limits of what is restored; see :class:`~azure_rt_audio.ReconnectPolicy`."""

    max_items: int = 500
    max_characters: int = 100_000

    def __str__(self) -> str:
        return f"{self.max_items} items and {self.max_characters} characters"

    def halved(self) -> Budget:
        """Return half of it."""
        return Budget(self.max_items // 2, self.max_characters // 2)

    def choose(self, pieces: Sequence[Piece]) -> list[Piece]:
        """
        Return the newest pieces that it allows, in order.

        Calls and outputs stay together. Nothing older than what was left out is taken, but for what is kept
        in any case. If the newest one alone is too long, its text is cut.
        """
        units: dict[str, list[Piece]] = {}
        for piece in pieces:
            if piece.call_id is not None:
                units.setdefault(piece.call_id, []).append(piece)
        chosen = {piece: piece for piece in pieces if piece.is_kept}
        items = self.max_items - sum(len(piece.items) for piece in chosen)
        characters = self.max_characters - sum(piece.characters for piece in chosen)
        is_newest = True
        for piece in reversed(pieces):
            if piece in chosen:
                continue
            unit = [part for part in units.get(piece.call_id or "", [piece]) if part not in chosen]
            items -= sum(len(part.items) for part in unit)
            characters -= sum(part.characters for part in unit)
            cut = _cut(unit, -characters) if is_newest and characters < 0 else {}
            if items < 0 or (characters < 0 and not cut):
                break
            characters, is_newest = max(characters, 0), False
            chosen.update({part: cut.get(part, part) for part in unit})
        return [chosen[piece] for piece in pieces if piece in chosen]


def _cut(unit: list[Piece], excess: int) -> dict[Piece, Piece]:
    """Return the piece with the longest text, without that much of it; nothing, if it is not long enough."""
    found = [(len(_cuttable(item)), n, piece) for piece in unit for n, item in enumerate(piece.items)]
    length, number, piece = max(found, key=lambda entry: entry[0])
    left = length - excess
    if left < 1:
        return {}
    item = piece.items[number]
    if isinstance(item, FunctionCallOutputItem):
        item = evolve(item, output=item.output[:left])
    elif isinstance(item, MessageItem):
        kind = "text" if item.role == "assistant" else "input_text"
        item = evolve(item, content=[ContentPart(type=kind, text=item.text[:left])])
    items = (*piece.items[:number], item, *piece.items[number + 1 :])
    return {piece: evolve(piece, items=items, missing=_less(left, length))}


def as_cut(piece: Piece, items: Sequence[ConversationItem], missing: str) -> Piece:
    """
    Return a piece as it was cut before, unless it is another text by now.

    Args:
        items: What it became.
        missing: What it lacked then.
    """
    for whole, cut in zip(piece.items, items, strict=False):
        text, left = _cuttable(whole), _cuttable(cut)
        if text.startswith(left) and missing == _less(len(left), len(text)):
            return evolve(piece, items=tuple(items), missing=missing)
    return piece


def _less(left: int, length: int) -> str:
    return f"only {left} of {length} characters"


def _cuttable(item: ConversationItem) -> str:
    """Return the text that can be cut."""
    if isinstance(item, FunctionCallOutputItem):
        return item.output
    if isinstance(item, MessageItem) and all(part.text for part in item.content or ()):
        return item.text
    return ""


def _characters(item: ConversationItem) -> int:
    if isinstance(item, MessageItem):
        return sum(len(part.text or "") for part in item.content or ())
    if isinstance(item, FunctionCallItem):
        return len(item.name or "") + len(item.arguments or "")
    return len(item.output) if isinstance(item, FunctionCallOutputItem) else 0
