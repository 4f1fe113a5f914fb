"""
What each client event does.

:class:`Commands` changes the brain it belongs to. Fields were checked against :mod:`.tables`
before; what is refused here depends on the state of the session.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..dialects.base import response_changes, session_changes, session_on_wire
from ..dialects.schema import RefusalError
from .conversation import Conversation, Item, Part

if TYPE_CHECKING:
    from .engine import SessionEngine
    from .state import Session

__all__ = ["Commands"]

_LARGEST_APPEND: Final = 15 * 1024 * 1024


class Commands:
    """The client events of one session."""

    def __init__(self, brain: SessionEngine) -> None:
        self._brain = brain
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

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out a command that the tables let through."""
        self._actions[command["type"]](command)

    # Session --------------------------------------------------------------------------------

    def _session_update(self, command: dict[str, Any]) -> None:
        brain = self._brain
        asked = command["session"]
        kind = asked.get("type", "realtime")
        if kind != brain.session.kind:
            if brain.dialect == "preview":
                raise RefusalError(
                    "invalid_value",
                    "Passing a realtime session update event to a transcription session is not allowed.",
                    "type",
                )
            raise RefusalError(
                "invalid_value",
                f"Passing a {kind} session update event to a {brain.session.kind} session is not allowed.",
                "session.type",
            )
        model = asked.get("model")
        if model is not None and model not in (brain.deployment, brain.session.model):
            raise RefusalError(
                "invalid_value",
                "The model of a session cannot be changed after it was created.",
                "session.model",
            )
        self._update(session_changes(asked, brain.dialect), "session.updated")

    def _transcription_session_update(self, command: dict[str, Any]) -> None:
        brain = self._brain
        if brain.dialect == "ga":
            raise RefusalError(
                "invalid_value",
                "transcription_session.update is not supported by this API version. Use session.update with "
                "session.type 'transcription' instead.",
                "type",
            )
        if brain.session.kind != "transcription":
            raise RefusalError(
                "invalid_value",
                "Passing a transcription session update event to a realtime session is not allowed.",
                "type",
            )
        self._update(session_changes(command["session"], brain.dialect), "transcription_session.updated")

    def _update(self, changes: dict[str, Any], acknowledgement: str) -> None:
        brain = self._brain
        session = brain.session
        self._refuse_other_voice(
            changes, "session.audio.output.voice" if brain.dialect == "ga" else "session.voice"
        )
        if session.tracing is not None and changes.get("tracing", session.tracing) != session.tracing:
            raise RefusalError(
                "invalid_value",
                "Tracing cannot be changed once it is enabled for a session.",
                "session.tracing",
            )
        brain.change_session(**changes)
        brain.send(brain.make.event(acknowledgement, session=session_on_wire(brain.session, brain.dialect)))

    def _refuse_other_voice(self, changes: Mapping[str, Any], path: str) -> None:
        brain = self._brain
        if changes.get("voice", brain.session.voice) != brain.session.voice and (
            brain.conversation.has_assistant_audio()
        ):
            raise RefusalError(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
                path,
            )

    def _session_close(self, command: dict[str, Any]) -> None:
        self._brain.close(1000)

    # Audio ----------------------------------------------------------------------------------

    def _append(self, command: dict[str, Any]) -> None:
        encoded = command["audio"]
        if len(encoded) * 3 // 4 > _LARGEST_APPEND + 2:
            raise RefusalError(
                "invalid_value", "Invalid 'audio': at most 15 MiB may be appended at once.", "audio"
            )
        audio_format = self._brain.session.input_format
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
        self._brain.listening.append(data)

    def _commit(self, command: dict[str, Any]) -> None:
        self._brain.listening.commit()

    def _clear(self, command: dict[str, Any]) -> None:
        brain = self._brain
        brain.listening.clear()
        brain.send(brain.make.event("input_audio_buffer.cleared"))

    # Items ----------------------------------------------------------------------------------

    def _item_create(self, command: dict[str, Any]) -> None:
        brain = self._brain
        conversation = brain.conversation
        given = command["item"]
        after = command.get("previous_item_id")
        if given.get("id") and conversation.get(given["id"]) is not None:
            raise RefusalError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{given['id']}' already exists.",
                "item.id",
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
        brain = self._brain
        brain.conversation.add(item, after)
        brain.send(
            *brain.make.item_begun(item, brain.conversation), *brain.make.item_ended(item, brain.conversation)
        )

    def _read_item(self, given: Mapping[str, Any], path: str, conversation: Conversation) -> Item:
        """An item from the wire; its fields were checked, its references were not."""
        kind = given["type"]
        item = Item(given.get("id") or self._brain.make.new_id("item"), kind)
        if kind == "message":
            item.role = given["role"]
            item.parts = [
                self._read_part(part, item.role, f"{path}.content[{index}]")
                for index, part in enumerate(given["content"])
            ]
        elif kind == "function_call":
            item.call_id = given.get("call_id") or self._brain.make.new_id("call")
            item.name, item.arguments = given["name"], given["arguments"]
        elif kind == "function_call_output":
            item.call_id, item.output = given["call_id"], given["output"]
            if not conversation.has_call(given["call_id"]) and not self._brain.conversation.has_call(
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
        session = self._brain.session
        try:
            audio = b64decode(given.get("audio", ""), validate=True)
        except (binascii.Error, ValueError):
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}.audio'. Expected base64-encoded audio bytes.",
                f"{path}.audio",
            ) from None
        transcript = given.get("transcript")
        return Part(
            kind, transcript=transcript, heard=transcript, audio=audio, audio_format=session.input_format
        )

    def _find(self, item_id: str, verb: str) -> Item:
        item = self._brain.conversation.get(item_id)
        if item is None:
            raise RefusalError(
                f"item_{verb}_invalid_item_id",
                f"Error {verb[:-1]}ing item: the item with id '{item_id}' does not exist.",
                "item_id",
            )
        return item

    def _item_retrieve(self, command: dict[str, Any]) -> None:
        brain = self._brain
        item = self._find(command["item_id"], "retrieve")
        brain.send(
            brain.make.event("conversation.item.retrieved", item=brain.make.item(item, with_audio=True))
        )

    def _item_delete(self, command: dict[str, Any]) -> None:
        brain = self._brain
        item = self._find(command["item_id"], "delete")
        brain.conversation.remove(item)
        brain.send(brain.make.event("conversation.item.deleted", item_id=item.id))

    def _item_truncate(self, command: dict[str, Any]) -> None:
        brain = self._brain
        item = self._find(command["item_id"], "truncate")
        index, end_ms = command["content_index"], command["audio_end_ms"]
        part = item.parts[index] if index < len(item.parts) else None
        if item.role != "assistant" or part is None or part.kind != "audio" or not part.audio:
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
        brain.send(
            brain.make.event(
                "conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms
            )
        )

    # Responses ------------------------------------------------------------------------------

    def _response_create(self, command: dict[str, Any]) -> None:
        brain = self._brain
        if brain.session.kind != "realtime":
            raise RefusalError(
                "invalid_value", "Responses cannot be created in a transcription session.", "type"
            )
        given = command.get("response") or {}
        asked = {name: held for name, held in given.items() if held is not None}
        changes = response_changes(asked, brain.dialect)
        prefix = "response.audio.output.voice" if brain.dialect == "ga" else "response.voice"
        is_out_of_band = asked.get("conversation", "auto") == "none"
        if not is_out_of_band:
            self._refuse_other_voice(changes, prefix)
        session: Session = replace(brain.session, **changes)
        context = self._context(asked)
        added = [
            self._read_item(entry, f"response.append_input_items[{index}]", brain.conversation)
            for index, entry in enumerate(asked.get("append_input_items") or ())
        ]
        if asked.get("cancel_previous") and brain.active is not None:
            brain.cancel(brain.active, "client_cancelled")
        if asked.get("commit") and brain.listening.has_enough:
            brain.listening.commit()
        for item in added:
            self._announce(item)
        brain.respond(session, context=context, is_out_of_band=is_out_of_band, metadata=asked.get("metadata"))

    def _context(self, asked: Mapping[str, Any]) -> Conversation | None:
        """What the response shall see instead of the conversation; ``None`` if it sees that."""
        brain = self._brain
        name = "input" if "input" in asked else "input_items"
        given = asked.get(name)
        if given is None:
            return None
        context = Conversation(None)
        for index, entry in enumerate(given):
            path = f"response.{name}[{index}]"
            if entry["type"] == "item_reference":
                item = brain.conversation.get(entry["id"])
                if item is None:
                    raise RefusalError(
                        "invalid_value",
                        f"Invalid '{path}.id': the item with id '{entry['id']}' does not exist.",
                        f"{path}.id",
                    )
            else:
                item = self._read_item(entry, path, context)
            context.add(item)
        return context

    def _response_cancel(self, command: dict[str, Any]) -> None:
        brain = self._brain
        wanted = command.get("response_id")
        run = brain.active if wanted is None else next((r for r in brain.runs if r.id == wanted), None)
        if run is None:
            raise RefusalError("response_cancel_not_active", "Cancellation failed: no active response found")
        brain.cancel(run, "client_cancelled")
