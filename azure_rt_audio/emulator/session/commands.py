"""
The effect of each client event.

Fields were checked against the dialect's rules before; the refusals here depend on the state of the session.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from ..dialects.rules import RefusalError
from ..model.conversation import Conversation, Item, Part
from ..model.session import Session
from .input_audio import InputAudio, TurnTarget
from .mcp import McpCalls, list_tools
from .response import ResponseRun

__all__ = ["Commands"]

_LARGEST_APPEND: Final = 15 * 1024 * 1024
_OWN_ID: Final = re.compile(r"item_[0-9A-Za-z]{21}")


class CommandTarget(TurnTarget, Protocol):
    """The session that commands act on."""

    @property
    def input_audio(self) -> InputAudio:
        """The input buffer."""

    @property
    def runs(self) -> tuple[ResponseRun, ...]:
        """All responses in progress."""

    @property
    def mcp_calls(self) -> McpCalls:
        """The calls of MCP servers that outlive their responses."""

    def change_session(self, **changes: Any) -> None:
        """Replace settings."""

    def close(self, code: int, reason: str = "") -> None:
        """End the session."""


class Commands:
    """The client events of one session."""

    def __init__(self, target: CommandTarget) -> None:
        self._target = target
        self._actions: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._session_update,
            "transcription_session.update": self._transcription_session_update,
            "session.close": self._session_close,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._item_retrieve,
            "conversation.item.delete": self._item_delete,
            "conversation.item.truncate": self._item_truncate,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
        }

    def handle(self, command: dict[str, Any]) -> None:
        """Carry out a checked command."""
        self._actions[command["type"]](command)

    # Session --------------------------------------------------------------------------------

    def _session_update(self, command: dict[str, Any]) -> None:
        target = self._target
        asked = command["session"]
        kind = asked.get("type", "realtime")
        if kind != target.session.kind:
            raise target.make.dialect.wrong_kind(kind, target.session.kind)
        # A model is taken and changes nothing: the URL has chosen it.
        self._update(target.make.dialect.session_changes(asked), "session.updated")

    def _transcription_session_update(self, command: dict[str, Any]) -> None:
        target = self._target
        if target.session.kind != "transcription":
            raise RefusalError(
                "invalid_value",
                "Passing a transcription session update event to a realtime session is not allowed.",
                "type",
            )
        self._update(target.make.dialect.session_changes(command["session"]), "transcription_session.updated")

    def _update(self, changes: dict[str, Any], acknowledgement: str) -> None:
        target = self._target
        session = target.session
        self._refuse_other_voice(changes, "session")
        if session.tracing is not None and changes.get("tracing", session.tracing) != session.tracing:
            raise RefusalError(
                "invalid_value",
                "Tracing cannot be changed once it is enabled for a session.",
                "session.tracing",
            )
        target.change_session(**changes)
        target.send(
            target.make.event(acknowledgement, session=target.make.dialect.session_on_wire(target.session))
        )
        known, servers = _mcp_tools(session), _mcp_tools(target.session)
        for label in sorted({*servers} - {*known}):
            tool, functions = servers[label], target.behaviour.mcp_tools
            target.send(*list_tools(tool, functions, target.conversation, target.make))

    def _refuse_other_voice(self, changes: Mapping[str, Any], owner: str) -> None:
        target = self._target
        if changes.get("voice", target.session.voice) != target.session.voice and (
            target.conversation.has_voice
        ):
            raise RefusalError(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
                f"{owner}.{target.make.dialect.voice_path}",
            )

    def _session_close(self, command: dict[str, Any]) -> None:
        self._target.close(1000)

    # Audio ----------------------------------------------------------------------------------

    def _append(self, command: dict[str, Any]) -> None:
        encoded = command["audio"]
        if len(encoded) * 3 // 4 > _LARGEST_APPEND + 2:
            raise RefusalError(
                "invalid_value", "Invalid 'audio': at most 15 MiB may be appended at once.", "audio"
            )
        audio_format = self._target.session.input_format
        try:
            data = b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            data = None
        if data is None or (audio_format == "pcm16" and len(data) % 2):
            described = "mono PCM16 at 24kHz" if audio_format == "pcm16" else "mono G.711 at 8kHz"
            raise RefusalError(
                "invalid_value",
                f"Invalid 'audio'. Expected base64-encoded audio bytes ({described}) but got an invalid "
                "value.",
                "audio",
            )
        self._target.input_audio.append(data)

    def _commit(self, command: dict[str, Any]) -> None:
        self._target.input_audio.commit()

    def _clear(self, command: dict[str, Any]) -> None:
        target = self._target
        target.input_audio.clear()
        target.send(target.make.event("input_audio_buffer.cleared"))

    # Items ----------------------------------------------------------------------------------

    def _item_create(self, command: dict[str, Any]) -> None:
        target = self._target
        conversation = target.conversation
        given = command["item"]
        after = command.get("previous_item_id")
        if given.get("id") and conversation.get(given["id"]) is not None:
            names = target.make.dialect.profile.names_duplicates
            raise RefusalError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{given['id']}' already exists.",
                "item.id" if names else None,
                names_command=names,
            )
        if after is not None and after != "root" and conversation.get(after) is None:
            raise RefusalError(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{after}' does not exist.",
                "previous_item_id",
            )
        item = self._read_item(given, "item", conversation)
        self._announce(item, after)

    def _announce(self, item: Item, after: str | None = None) -> None:
        target = self._target
        target.conversation.add(item, after)
        target.input_audio.hear(item)
        target.send(
            *target.make.item_added(item, target.conversation),
            *target.make.item_done(item, target.conversation),
        )
        if item.type == "mcp_approval_response":
            target.send(*target.mcp_calls.decide(item))

    def _read_item(self, given: Mapping[str, Any], path: str, conversation: Conversation) -> Item:
        """Make an item of the wire's; its fields were checked, its references are checked here."""
        kind, behaviour = given["type"], self._target.behaviour
        if kind == "function_call" and behaviour.refuses_calls:
            raise RefusalError(
                "invalid_value",
                f"Invalid value: '{kind}'. Supported values are: 'message' and 'function_call_output'.",
                f"{path}.type",
            )
        named = given.get("id")
        if not named or (behaviour.renames_items and _OWN_ID.fullmatch(named)):
            named = self._target.make.new_id("item")
        item = Item(named, kind)
        if kind == "message":
            item.role = given["role"]
            item.parts = [
                self._read_part(part, item.role, f"{path}.content[{index}]")
                for index, part in enumerate(given["content"])
            ]
        elif kind == "function_call":
            item.call_id = given.get("call_id") or self._target.make.new_id("call")
            item.name, item.arguments = given["name"], given["arguments"]
        elif kind == "function_call_output":
            item.call_id, item.output = given["call_id"], given["output"]
            if not conversation.has_call(given["call_id"]) and not self._target.conversation.has_call(
                given["call_id"]
            ):
                raise RefusalError(
                    "invalid_tool_call_id",
                    f"Tool call ID '{given['call_id']}' not found in conversation.",
                    f"{path}.call_id",
                )
        else:
            item.extra = {name: held for name, held in given.items() if name not in ("id", "type", "object")}
        return item

    def _read_part(self, given: Mapping[str, Any], role: str | None, path: str) -> Part:
        kind = given["type"]
        if role == "assistant":
            return Part("text", text=given["text"])
        if kind == "input_text":
            return Part(kind, text=given["text"])
        if kind == "input_image":
            return Part(kind, image_url=given["image_url"], detail=given.get("detail"))
        session = self._target.session
        try:
            audio = b64decode(given.get("audio", ""), validate=True)
            if session.input_format == "pcm16" and len(audio) % 2:
                raise ValueError
        except (binascii.Error, ValueError):
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}.audio'. Expected base64-encoded audio bytes.",
                f"{path}.audio",
            ) from None
        transcript = given.get("transcript")
        return Part(
            kind, transcript=transcript, recognised=transcript, audio=audio, audio_format=session.input_format
        )

    def _find(self, item_id: str, verb: str) -> Item:
        item = self._target.conversation.get(item_id)
        if item is None:
            raise RefusalError(
                f"item_{verb}_invalid_item_id",
                f"Error {verb[:-1]}ing item: the item with id '{item_id}' does not exist.",
                "item_id",
            )
        return item

    def _item_retrieve(self, command: dict[str, Any]) -> None:
        target = self._target
        item = self._find(command["item_id"], "retrieve")
        target.send(
            target.make.event("conversation.item.retrieved", item=target.make.item(item, with_audio=True))
        )

    def _item_delete(self, command: dict[str, Any]) -> None:
        target = self._target
        item = self._find(command["item_id"], "delete")
        target.conversation.remove(item)
        target.send(target.make.event("conversation.item.deleted", item_id=item.id))

    def _item_truncate(self, command: dict[str, Any]) -> None:
        target = self._target
        item = self._find(command["item_id"], "truncate")
        index, end_ms = command["content_index"], command["audio_end_ms"]
        part = item.parts[index] if index < len(item.parts) else None
        if part is None or not part.is_spoken:
            raise RefusalError(
                "unsupported_content_type", "Only model output audio messages can be truncated", "item_id"
            )
        if end_ms > part.duration_ms:
            raise RefusalError(
                "invalid_value",
                f"Audio content of {part.duration_ms}ms is already shorter than {end_ms}ms",
                "audio_end_ms",
            )
        part.truncate(end_ms)
        target.send(
            target.make.event(
                "conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms
            )
        )

    # Responses ------------------------------------------------------------------------------

    def _response_create(self, command: dict[str, Any]) -> None:
        target = self._target
        if target.session.kind != "realtime":
            raise RefusalError(
                "invalid_value", "Responses cannot be created in a transcription session.", "type"
            )
        given = command.get("response") or {}
        asked = {name: held for name, held in given.items() if held is not None}
        changes = target.make.dialect.session_changes(asked)
        is_out_of_band = asked.get("conversation", "auto") == "none"
        if not is_out_of_band:
            self._refuse_other_voice(changes, "response")
        session: Session = replace(target.session, **changes)
        context = self._context(asked)
        added = [
            self._read_item(entry, f"response.append_input_items[{index}]", target.conversation)
            for index, entry in enumerate(asked.get("append_input_items") or ())
        ]
        if asked.get("cancel_previous") and target.active is not None:
            target.cancel(target.active, "client_cancelled")
        if asked.get("commit") and target.input_audio.has_enough:
            target.input_audio.commit()
        for item in added:
            self._announce(item)
        target.respond(
            session, context=context, is_out_of_band=is_out_of_band, metadata=asked.get("metadata")
        )

    def _context(self, asked: Mapping[str, Any]) -> Conversation | None:
        """The items given in place of the conversation; ``None`` if none were given."""
        target = self._target
        name = "input" if "input" in asked else "input_items"
        given = asked.get(name)
        if given is None:
            return None
        context = Conversation(None)
        for index, entry in enumerate(given):
            path = f"response.{name}[{index}]"
            if entry["type"] == "item_reference":
                item = target.conversation.get(entry["id"])
                if item is None:
                    raise RefusalError(
                        "invalid_value",
                        f"Invalid '{path}.id': the item with id '{entry['id']}' does not exist.",
                        f"{path}.id",
                    )
            else:
                item = self._read_item(entry, path, context)
                target.input_audio.hear(item)
            context.add(item)
        return context

    def _response_cancel(self, command: dict[str, Any]) -> None:
        target = self._target
        wanted = command.get("response_id")
        run = target.active if wanted is None else next((r for r in target.runs if r.id == wanted), None)
        if run is None:
            raise RefusalError("response_cancel_not_active", "Cancellation failed: no active response found")
        target.cancel(run, "client_cancelled")


def _mcp_tools(session: Session) -> dict[str, Mapping[str, Any]]:
    return {str(tool["server_label"]): tool for tool in session.tools if tool.get("type") == "mcp"}
