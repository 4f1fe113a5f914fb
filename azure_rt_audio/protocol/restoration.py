"""
What a new session is given of a conversation, in which form, and what it cannot be given.

================================  ==================================================================
item                              becomes
================================  ==================================================================
message of the system             itself; the budget does not concern it
text and images of the user       themselves; images on GA only
speech of the user                its transcript, or its sound where that is kept and there is none
message of the model              a text, as far as it was heard: its sound cannot be created
function call, output             themselves, as a pair; a call without output yet stays without
MCP call that has ended           a function call and its output
MCP call in progress, approval    lost
list of MCP tools, old approvals  nothing: the new session has its own
================================  ==================================================================

Pure: no clock, no thread, no connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

from attrs import field, frozen

from .budget import BEYOND, Budget, Piece, as_cut
from .conversation_entry import ConversationEntry
from .dialects import Dialect
from .items import (
    ContentPart,
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpListToolsItem,
    MessageItem,
)
from .restored_texts import heard_text, in_seconds, short_id

__all__ = ["UNHEARD", "Restoration", "plan_restoration"]

UNHEARD: Final = "it has no transcript, and its sound is not kept"
"""Why a spoken turn of the user is lost."""


@frozen(kw_only=True)
class Restoration:
    """
    A plan: items to create, in order, each after the one before it.

    Attributes:
        items: With their ids, and without what the service fills in.
        sources: Id of each of them to the id of the item that it stands for. Two may stand for one.
        shortened: Id of each item that is restored with less than it had, to what is missing.
        lost: Id of each item that is not restored, to the reason.
    """

    items: tuple[ConversationItem, ...] = ()
    sources: Mapping[str, str] = field(factory=dict)
    shortened: Mapping[str, str] = field(factory=dict)
    lost: Mapping[str, str] = field(factory=dict)

    @property
    def restored(self) -> tuple[str, ...]:
        """Ids of the items that are restored, in order."""
        return tuple(dict.fromkeys(self.sources.values()))


def plan_restoration(
    entries: Iterable[ConversationEntry],
    dialect: Dialect,
    *,
    restore: Literal["text", "audio", "none"] = "text",
    budget: Budget | None = None,
    sound: Mapping[str, str] | None = None,
    cut_s: Mapping[str, float] | None = None,
    pending: Collection[str] = (),
    previous: Restoration | None = None,
) -> Restoration:
    """
    Plan what a new session is given.

    Args:
        entries: The conversation, in order.
        dialect: Of the new session.
        restore: As :class:`~azure_rt_audio.ReconnectPolicy` has it.
        budget: What may be restored at most; the default of the policy, if it is left out.
        sound: Base64 of the user's speech by id, in the format of the new session's input.
        cut_s: Seconds that are missing at its beginning, where it is not whole, by id.
        pending: Call ids whose output may still come: these calls are kept whatever the budget.
        previous: The plan that the session was given before: what is there stays, what was left out for the
            budget stays out, and what is new is added.
    """
    named = {
        entry.item.id or f"restored_{number}": entry  # some services give no ids
        for number, entry in enumerate(entries, 1)
    }
    if restore == "none":
        return Restoration(lost=dict.fromkeys(named, 'restore="none"'))
    transcriber = _Transcriber(
        named,
        bool(restore == "audio"),
        sound or {},
        cut_s or {},
        pending,
        dialect.why_not("images"),
    )
    written = {source: transcriber.write(entry, source) for source, entry in named.items()}
    if previous is not None:
        written = {
            source: _kept(source, piece, previous, is_cut=source in (cut_s or {}))
            for source, piece in written.items()
        }
    pieces = [piece for piece in written.values() if isinstance(piece, Piece)]
    chosen = (budget or Budget()).choose(pieces) if previous is None else _additional(pieces, previous)
    beyond = {piece.source for piece in pieces} - {piece.source for piece in chosen}
    return Restoration(
        items=tuple(item for piece in chosen for item in piece.items),
        sources={item.id or "": piece.source for piece in chosen for item in piece.items},
        shortened={piece.source: piece.missing for piece in chosen if piece.missing},
        lost={
            source: BEYOND if source in beyond else str(piece)
            for source, piece in written.items()
            if source in beyond or isinstance(piece, str)
        },
    )


def _kept(
    source: str, piece: Piece | str | None, previous: Restoration, *, is_cut: bool
) -> Piece | str | None:
    """Return what an item became before, if its sound, of which it is made, was kept longer then."""
    if piece is None or (isinstance(piece, Piece) and not (is_cut and piece.missing)):
        return piece
    items = tuple(item for item in previous.items if previous.sources[item.id or ""] == source)
    missing = previous.shortened.get(source, "")
    return Piece(source=source, items=items, missing=missing) if items else piece


def _additional(pieces: Sequence[Piece], previous: Restoration) -> list[Piece]:
    """Return all but what was left out before, and what belongs to that; what was cut stays so."""
    left_out = {source for source, why in previous.lost.items() if why == BEYOND}
    calls = {piece.call_id for piece in pieces if piece.source in left_out and piece.call_id is not None}
    cut: dict[str, list[ConversationItem]] = {source: [] for source in previous.shortened}
    for item in previous.items:
        if (source := previous.sources[item.id or ""]) in cut:
            cut[source].append(item)
    return [
        as_cut(piece, cut[piece.source], previous.shortened[piece.source]) if piece.source in cut else piece
        for piece in pieces
        if piece.source not in left_out and piece.call_id not in calls
    ]


class _Transcriber:
    """Writes items in the form in which they can be created."""

    def __init__(
        self,
        entries: Mapping[str, ConversationEntry],
        prefers_sound: bool,
        sound: Mapping[str, str],
        cut_s: Mapping[str, float],
        pending: Collection[str],
        no_images: str,
    ) -> None:
        self._prefers_sound = prefers_sound
        self._sound = sound
        self._cut_s = cut_s
        self._pending = pending
        self._no_images = no_images
        items = [entry.item for entry in entries.values()]
        self._calls = {i.call_id for i in items if isinstance(i, FunctionCallItem) and not _is_broken(i)}
        self._approved = {
            i.approval_request_id for i in items if isinstance(i, McpCallItem) and _mcp_output(i) is not None
        }

    def write(self, entry: ConversationEntry, source: str) -> Piece | str | None:
        """Return what an item becomes: nothing, if it is not needed; a text says why it is lost."""
        item = entry.item
        if isinstance(item, MessageItem):
            return self._message(item, entry, source)
        if isinstance(item, FunctionCallItem):
            return self._call(item, source)
        if isinstance(item, FunctionCallOutputItem):
            if item.call_id not in self._calls:
                return "its function call is not in the conversation"
            output = FunctionCallOutputItem(id=source, call_id=item.call_id, output=item.output)
            return Piece(source=source, items=(output,), call_id=item.call_id)
        if isinstance(item, McpCallItem):
            return _mcp_call(item, source)
        if isinstance(item, McpApprovalRequestItem):
            return None if item.id in self._approved else "a pending approval ends with its session"
        if isinstance(item, McpApprovalResponseItem):
            is_over = item.approval_request_id in self._approved
            return None if is_over else "the call that it approves ended with its session"
        if isinstance(item, McpListToolsItem):
            return None
        return f"an item of type {item.type!r} cannot be created"

    def _call(self, item: FunctionCallItem, source: str) -> Piece | str:
        if _is_broken(item):
            return "the call was cut off"
        call = FunctionCallItem(
            id=source, name=item.name, arguments=item.arguments or "{}", call_id=item.call_id
        )
        return Piece(
            source=source, items=(call,), call_id=item.call_id, is_kept=item.call_id in self._pending
        )

    def _message(self, item: MessageItem, entry: ConversationEntry, source: str) -> Piece | str:
        if item.role == "user":
            content, missing, reason = self._said(item, entry, source)
        elif item.role == "assistant":
            content, missing, reason = self._answered(item, entry, source)
        else:
            content, missing, reason = _text("input_text", entry.text or item.text), "", "it has no text"
        if not content:
            return reason
        return Piece(
            source=source,
            items=(MessageItem(id=source, role=item.role, content=content),),
            is_kept=item.role == "system",
            missing=missing,
        )

    def _said(
        self, item: MessageItem, entry: ConversationEntry, source: str
    ) -> tuple[list[ContentPart], str, str]:
        """Return the parts of a message of the user, what is missing, and why, if that is all."""
        content: list[ContentPart] = []
        missing: dict[str, str] = {}
        for index, part in enumerate(item.content or ()):
            words = entry.texts.get(index) or part.text or part.transcript or ""
            if part.type == "input_image":
                if part.image_url and not self._no_images:
                    content.append(
                        ContentPart(type="input_image", image_url=part.image_url, detail=part.detail)
                    )
                else:
                    missing["an image"] = self._no_images or "the image is not kept"
            elif part.type == "input_audio":
                sound, cut_s = self._sound.get(source), self._cut_s.get(source)
                is_preferred = self._prefers_sound and cut_s is None
                if sound and (is_preferred or not words or entry.is_being_heard):
                    if cut_s is not None:
                        missing[f"{in_seconds(cut_s)} of its beginning"] = "it was longer than is kept"
                    known = None if entry.is_being_heard else words or None
                    content.append(ContentPart(type="input_audio", audio=sound, transcript=known))
                elif words:
                    content.append(ContentPart(type="input_text", text=words))
                    if entry.is_being_heard:
                        missing["the end of its transcript"] = "its transcript was cut off"
                else:
                    missing["speech"] = UNHEARD
            elif words:
                content.append(ContentPart(type="input_text", text=words))
        what = f"without {' and '.join(missing)}" if missing else ""
        return content, what, "; ".join(missing.values()) or "it is empty"

    def _answered(
        self, item: MessageItem, entry: ConversationEntry, source: str
    ) -> tuple[list[ContentPart], str, str]:
        """Return the same of a message of the model."""
        parts = item.content or []
        written = spoken = ""
        for index in range(max([len(parts), *(index + 1 for index in entry.texts)])):
            part = parts[index] if index < len(parts) else ContentPart()
            words = entry.texts.get(index) or part.text or part.transcript or ""
            if part.type == "audio" or (part.type is None and entry.audio_ms):
                spoken += words
            else:
                written += words
        end_ms = entry.truncated_at_ms
        if end_ms is None or not spoken:
            missing = "cut off" if item.status == "in_progress" else ""
            return _text("text", written + spoken), missing, "it has no transcript"
        heard = heard_text(spoken, end_ms, entry.audio_ms)
        missing = f"only what was heard: {end_ms} of {entry.audio_ms} ms" if heard != spoken else ""
        return _text("text", written + heard), missing, "nothing of it was heard"


def _text(kind: str, text: str) -> list[ContentPart]:
    return [ContentPart(type=kind, text=text)] if text else []


def _is_broken(item: FunctionCallItem) -> bool:
    is_cut = item.status in ("in_progress", "incomplete") or item.arguments is None
    return is_cut or not item.name or not item.call_id


def _mcp_call(item: McpCallItem, source: str) -> Piece | str:
    text = _mcp_output(item)
    if text is None:
        return "the MCP call ended with its session"
    call_id = short_id(source)
    call = FunctionCallItem(id=call_id, name=item.name, arguments=item.arguments or "{}", call_id=call_id)
    output = FunctionCallOutputItem(id=short_id(source, "_o"), call_id=call_id, output=text)
    return Piece(source=source, items=(call, output), missing="an MCP call, as a function call")


def _mcp_output(item: McpCallItem) -> str | None:
    """Return what came of an MCP call that has ended."""
    if item.output is not None:
        return item.output
    return None if item.error is None else f"error: {item.error.message}"
