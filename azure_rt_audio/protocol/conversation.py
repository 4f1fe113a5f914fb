"""A mirror of the conversation: its items in order, with their texts and transcripts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import evolve

from .._not_pickled import NotPickled
from .._repr import also_half_made
from .conversation_entry import ConversationEntry
from .events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    Event,
    InputAudioBufferCommitted,
    McpListToolsFailed,
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
    SessionCreated,
    SessionUpdated,
)
from .history import write_history
from .item_stream import ItemStream
from .items import (
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    McpCallItem,
    McpListedTool,
    McpListToolsItem,
    MessageItem,
)
from .response_outputs import ResponseOutputs
from .responses import Response

__all__ = ["Conversation", "ConversationEntry"]

_NOT_PICKLED: Final = NotPickled(
    "client.conversation cannot be pickled: it goes on. Pickle what its to_dict() returns, which is also "
    "what history= of a client takes",
    is_copied=True,
)
_MAX_SENT_CHARACTERS: Final = 64 * 2**20
"""Of images, in base64, that are kept until the service has described their items."""
_NOT_SENT: Final = (None, 0)
_BYTES_PER_MS: Final = {"pcm16": 48, "g711_ulaw": 8, "g711_alaw": 8}


class Conversation:
    """
    The items of the default conversation, in order, derived from events alone.

    Transcripts arrive late and out of order and are assigned by item id. What a response brought is here when
    it ends, also if the service does not announce its items. Entries have no sound; of the user's, the client
    keeps what another session would be given, which :meth:`to_dict` writes on request.

    **Threads.** One thread applies events. Any thread may read and gets a snapshot of immutable entries.
    """

    def __init__(self) -> None:
        self._not_pickled = _NOT_PICKLED
        self._streams: dict[str, ItemStream] = {}
        self._order: list[str] = []  # changed in single steps of the interpreter; read by a copy
        self._outputs = ResponseOutputs(self._streams)
        self._whole: ItemStream | None = None  # the item that was complete last
        # Items with images, and the characters of these, until the service describes them. Changed in single
        # steps of the interpreter, by any thread.
        self._sent: dict[str, tuple[MessageItem, int]] = {}
        self._input_format = "pcm16"
        self._sound: Callable[[str], Mapping[str, str]] = lambda _: {}  # of the user's turns, in a format
        self._lost: Mapping[str, str] = {}  # replaced as a whole
        self._shortened: Mapping[str, str] = {}
        self._names_places = False  # of items that are neither of a response nor spoken by the user
        self._mcp_lists: dict[str, bool] = {}  # those that are over, by item; whether there is one
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
            ConversationItemInputAudioTranscriptionFailed: self._end_heard,
            ConversationItemAdded: self._place,
            ConversationItemDone: self._place_whole,
            McpListToolsFailed: self._note_no_list,
            ResponseCreated: self._outputs.begin,
            ResponseOutputItemAdded: self._outputs.describe,
            ResponseOutputItemDone: self._update_output,
            ResponseDone: self._finish,
            ConversationItemRetrieved: self._update,
            ConversationItemTruncated: self._truncate,
            ConversationItemDeleted: self._delete,
            SessionCreated: self._configure,
            SessionUpdated: self._configure,
        }

    def __len__(self) -> int:
        return len(self._order)

    @also_half_made
    def __repr__(self) -> str:
        return f"<Conversation of {len(self)} items>"

    @property
    def entries(self) -> tuple[ConversationEntry, ...]:
        """All entries in the order of the conversation."""
        found = map(self.get, tuple(self._order))
        return tuple(entry for entry in found if entry is not None)

    @property
    def mcp_tools(self) -> dict[str, list[McpListedTool]]:
        """The tools that MCP servers have listed, by the label of the server."""
        lists = self._mcp_list_items()
        return {item.server_label: item.tools for item in lists if self._mcp_lists.get(item.id or "")}

    @property
    def lost(self) -> dict[str, str]:
        """
        Ids of the items that the present session does not have, each with the reason.

        They are items of a ``history``, or from before a lost connection, beyond ``max_items`` or
        ``max_characters``, or that no session can be given. They are here because they were said.
        """
        return {item_id: why for item_id, why in self._lost.items() if item_id in self._streams}

    @property
    def shortened(self) -> dict[str, str]:
        """Ids of the items of which the present session has less than is here, each with what is missing."""
        return {item_id: what for item_id, what in self._shortened.items() if item_id in self._streams}

    def _mcp_settled(self) -> set[str]:
        """Return the labels of the servers that have listed their tools, or could not."""
        return {item.server_label for item in self._mcp_list_items() if item.id in self._mcp_lists}

    def _mcp_list_items(self) -> list[McpListToolsItem]:
        return (
            [e.item for e in self.entries if isinstance(e.item, McpListToolsItem)] if self._mcp_lists else []
        )

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
        texts = stream.parts
        return ConversationEntry(
            item=item,
            text="".join(texts.values()),
            audio_base64_length=stream.audio_base64_length,
            truncated_at_ms=stream.truncated_at_ms,
            texts=texts,
            audio_ms=stream.earlier_audio_ms
            + stream.audio_bytes // _BYTES_PER_MS.get(stream.audio_format or self._outputs.audio_format, 48),
            is_being_heard=stream.is_being_heard,
            is_fragment=stream.is_fragment,
        )

    def to_dict(self, *, sound: bool = False) -> dict[str, Any]:
        """
        Return the conversation as JSON values, to be kept and given to another client as ``history``.

        It has a version, and holds texts, transcripts, images, calls and their outputs; nothing of the
        configuration, and no credential. A later version of this library reads it.

        Args:
            sound: Whether what the user said is included as sound, 64 kB for a second of PCM16: as far as it
                is kept for another session, see ``keep_turns_s`` of
                :class:`~azure_rt_audio.ReconnectPolicy`; also what was in the ``history`` that the client
                began with.
        """
        return write_history(
            self.entries,
            sound=self._sound(self._input_format) if sound else {},
            input_audio_format=self._input_format,
        )

    def to_json(self, *, sound: bool = False) -> str:
        """Return the same as text; for *sound* see :meth:`to_dict`."""
        return orjson.dumps(self.to_dict(sound=sound), option=orjson.OPT_INDENT_2).decode()

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
            delta = event.delta
            size = len(delta)
            stream.audio_base64_length += size
            if size & 3 or delta[-1:] == "=":
                stream.note_padding(delta)
            return
        change = self._changes.get(event.__class__)
        if change is not None:
            change(event)

    def _previous(self, item_id: str) -> str | None:
        """Return the id of the item before one, of those that the session has; ``None`` if there is none."""
        order = tuple(self._order)
        before = order[: order.index(item_id)] if item_id in order else ()
        return next((other for other in reversed(before) if other not in self._lost), None)

    def _is_whole(self, response_id: str) -> bool:
        """Whether all that a response in progress has announced has come. Called by the I/O thread."""
        return self._outputs.is_whole(response_id)

    def _completed_call(self, call: FunctionCallItem) -> FunctionCallItem:
        """Return the call of the latest event with what was said of it before. Called by the I/O thread."""
        stream = self._whole
        item = (
            call if stream is None or stream.output is not call else stream.completed(call, is_success=True)
        )
        return item if isinstance(item, FunctionCallItem) else call

    def _forget_response(self, response_id: str) -> None:
        """Forget a response in progress, with its items. Called by the I/O thread."""
        keys = self._outputs.keys(response_id)
        self._outputs.finish(Response(id=response_id, status="cancelled", output=[]))
        self._order = [item_id for item_id in self._order if item_id not in keys]
        for key in keys:
            self._streams.pop(key, None)

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
            stream.is_being_heard = True
            stream.append(event.content_index, event.delta)

    def _replace_heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.is_being_heard = stream.is_fragment = False
            stream.replace(event.content_index, event.transcript)

    def _end_heard(self, event: ConversationItemInputAudioTranscriptionFailed) -> None:
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.end_hearing()

    def _await(self, event: InputAudioBufferCommitted) -> None:
        """Prepare for a transcript that arrives before its item."""
        if event.item_id:
            stream = self._streams.setdefault(event.item_id, ItemStream(event.item_id))
            stream.previous = event.previous_item_id
            stream.audio_format = self._input_format

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
            _describe(stream, self._with_images(event.item))
            self._order.insert(place, item_id)
        else:
            _describe(stream, self._with_images(event.item, stream.item))

    def _place_whole(self, event: ConversationItemDone) -> None:
        self._place(event)
        if isinstance(event.item, McpListToolsItem) and event.item.id:
            self._mcp_lists.setdefault(event.item.id, True)

    def _note_no_list(self, event: McpListToolsFailed) -> None:
        self._mcp_lists[event.item_id] = False

    def _with_images(self, item: ConversationItem, known: ConversationItem | None = None) -> ConversationItem:
        """Return an item with the images that were sent, which a service may not repeat."""
        known = self._sent.pop(item.id or "", _NOT_SENT)[0] if known is None else known
        if not (isinstance(item, MessageItem) and isinstance(known, MessageItem)):
            return item
        sent = {i: part.image_url for i, part in enumerate(known.content or ()) if part.image_url}
        if not sent or not item.content:
            return item
        content = [
            evolve(part, image_url=part.image_url or sent.get(i)) if part.type == "input_image" else part
            for i, part in enumerate(item.content)
        ]
        return evolve(item, content=content)

    def _place_after(
        self, event: ConversationItemAdded | ConversationItemDone, stream: ItemStream | None
    ) -> int:
        previous = event.previous_item_id or (None if stream is None else stream.previous)
        order = self._order
        if order and order[-1] == previous:  # nearly always, and a search takes longer with each item
            return len(order)
        if previous in self._streams and previous in order:
            return self._after_lost(order.index(previous) + 1)
        # Null is what services say of the first item. Some say it of any, or when an answer's item is done.
        is_nothing_before = (
            previous is None
            and "previous_item_id" in event.extra
            and self._names_places
            and stream is None
            and isinstance(event, ConversationItemAdded)
        )
        return self._after_lost(0) if previous == "root" or is_nothing_before else len(self._order)

    def _after_lost(self, place: int) -> int:
        """Return the place after items of which the session does not know: they were said before."""
        while place < len(self._order) and self._order[place] in self._lost:
            place += 1
        return place

    def _update(self, event: ConversationItemRetrieved) -> None:
        """Update an item that has a place; it may have been deleted meanwhile."""
        stream = self._streams.get(event.item.id or "")
        if stream is not None and stream.item is not None:
            _describe(stream, self._with_images(event.item, stream.item))

    def _update_output(self, event: ResponseOutputItemDone) -> None:
        if isinstance(event.item, McpCallItem) and not self._outputs.is_open(event.response_id):
            known = self._streams.get(event.item.id)
            if known is not None and known.item is not None:
                known.item = event.item  # the call has ended after its response
                return
        self._whole = stream = self._outputs.describe(event)
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
                self._order.append(key)

    def _truncate(self, event: ConversationItemTruncated) -> None:
        # The service discards the transcript of the removed audio and does not say which part of it.
        stream = self._streams.get(event.item_id)
        if stream is not None:
            stream.truncated_at_ms = event.audio_end_ms

    def _delete(self, event: ConversationItemDeleted) -> None:
        with contextlib.suppress(ValueError):
            self._order.remove(event.item_id)
        self._streams.pop(event.item_id, None)

    def _configure(self, event: SessionCreated | SessionUpdated) -> None:
        self._outputs.audio_format = (
            getattr(event.session, "output_audio_format", None) or self._outputs.audio_format
        )
        self._input_format = getattr(event.session, "input_audio_format", None) or self._input_format

    def _is_in_input_format(self, item_id: str) -> bool:
        """Whether the session's input has had no other format since a turn. Called by the I/O thread."""
        stream = self._streams.get(item_id)
        return stream is None or stream.audio_format in (None, self._input_format)

    # ------------------------------------------------------------ by this side

    def _note_sent(self, item: ConversationItem) -> None:
        """Keep the images of an item that is being sent. Any thread; before it is sent."""
        if not (isinstance(item, MessageItem) and item.id and (size := _image_characters(item))):
            return
        self._sent[item.id] = item, size
        kept = [(item_id, self._sent.get(item_id, _NOT_SENT)[1]) for item_id in tuple(self._sent)]
        total = sum(size for _, size in kept)
        for item_id, size in kept[:-1]:  # the oldest first: refused, or so many are on their way
            if total <= _MAX_SENT_CHARACTERS:
                return
            total -= size
            self._sent.pop(item_id, None)

    def _forget_sent(self) -> None:
        """The session is over: nothing more is described."""
        self._sent.clear()

    def _knows(self, item_id: str) -> bool:
        """Whether an item was told of, and was not deleted. Called by the I/O thread."""
        return item_id in self._streams

    def _being_heard(self) -> list[str]:
        """Return the ids of the items whose transcript has begun, and not ended. Called by the I/O thread."""
        return [item_id for item_id, stream in self._streams.items() if stream.is_being_heard]

    def _end(self) -> None:
        """Nothing more comes: the session is over. Called by the I/O thread."""
        for stream in tuple(self._streams.values()):
            stream.end_hearing()

    def _is_newest(self, item_id: str) -> bool:
        """
        Whether nothing but the model's own follows an item in the session, which has it. Any thread.

        One that was not told of yet is on its way: it will follow all others.
        """
        order, lost = tuple(self._order), self._lost
        if item_id not in order:
            return True
        behind = order[order.index(item_id) + 1 :]
        return item_id not in lost and not any(self._is_said(other) for other in behind if other not in lost)

    def _is_said(self, item_id: str) -> bool:
        """Whether an item is the user's, the program's, or a tool's, and not the model's."""
        stream = self._streams.get(item_id)
        item = None if stream is None else stream.item
        return isinstance(item, FunctionCallOutputItem) or (
            isinstance(item, MessageItem) and item.role != "assistant"
        )

    def _is_awaited(self, item_id: str) -> bool:
        """Whether an item was committed, and has no place yet. Called by the I/O thread."""
        stream = self._streams.get(item_id)
        return stream is not None and stream.item is None

    def _begin_with(self, entries: Iterable[ConversationEntry]) -> None:
        """Place what an earlier program has kept at the end. Called by the I/O thread."""
        for entry in entries:
            item = entry.item
            if item.id and item.id not in self._streams:
                stream = self._streams[item.id] = ItemStream(item.id)
                stream.truncated_at_ms, stream.earlier_audio_ms = entry.truncated_at_ms, entry.audio_ms
                stream.is_fragment = entry.is_fragment
                _describe(stream, item)
                self._order.append(item.id)

    def _note_session(self, shortened: Mapping[str, str], lost: Mapping[str, str]) -> None:
        """Another session has the conversation, but for this. Called by the I/O thread."""
        self._shortened, self._lost = dict(shortened), dict(lost)


def _describe(stream: ItemStream, item: ConversationItem) -> None:
    stream.item = _without_audio(item)
    stream.take_words(item)
    stream.note_call(item)


def _image_characters(item: MessageItem) -> int:
    return sum(len(part.image_url) for part in item.content or () if part.image_url)


def _without_audio(item: ConversationItem) -> ConversationItem:
    """Drop audio: an hour of speech takes hundreds of megabytes."""
    if isinstance(item, MessageItem) and any(part.audio for part in item.content or ()):
        return evolve(item, content=[evolve(part, audio=None) for part in item.content or ()])
    return item
