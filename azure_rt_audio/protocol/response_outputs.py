"""What the responses in progress have brought, for services that do not say it again at the end."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import define, field

from .events import (
    ResponseCreated,
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
from .items import ConversationItem, FunctionCallItem
from .responses import Response
from .turn import is_out_of_band

__all__ = ["ResponseOutputs"]

_MAX_OPEN: Final = 64
"""Responses in progress, at most; more have lost their ends."""

_Call: TypeAlias = ResponseFunctionCallArgumentsDelta | ResponseFunctionCallArgumentsDone
_Piece: TypeAlias = (
    ResponseOutputTextDelta
    | ResponseOutputTextDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseOutputAudioDelta
    | _Call
)


@define
class _Output:
    """The items of one response: keys of their streams by output index, and the format of their sound."""

    audio_format: str
    keys: dict[int, str] = field(factory=dict)
    is_beside: bool | None = None  # None until something tells


class ResponseOutputs:
    """
    The items of the responses in progress.

    Args:
        streams: Of all items by id, those in the conversation among them. An item without an id stands there
            by a key of its own.

    Attributes:
        audio_format: The session's, which responses have that do not say another one.

    **Threads.** Not shared: the I/O thread.
    """

    def __init__(self, streams: dict[str, ItemStream]) -> None:
        self.audio_format = "pcm16"
        self._streams = streams
        self._open: dict[str, _Output] = {}

    def begin(self, event: ResponseCreated) -> None:
        """Take note of a response."""
        output = self._output(event.response.id or "")
        output.is_beside = _is_beside(event.response)
        output.audio_format = event.response.output_audio_format or output.audio_format

    def describe(self, event: ResponseOutputItemAdded | ResponseOutputItemDone) -> ItemStream:
        """Take the description of an item, and return its stream."""
        output = self._output(event.response_id)
        keys = output.keys
        is_whole = isinstance(event, ResponseOutputItemDone)
        key, at_index = event.item.id, keys.get(event.output_index)
        if key not in self._streams and at_index is not None:
            known = self._streams.get(at_index)
            described = None if known is None else known.output or known.item
            is_same = not key or described is None
            if not is_same and is_whole:  # its id may be odd; or another item has the same index
                is_same = known is not None and not known.is_whole and type(described) is type(event.item)
            key = at_index if is_same else key
        stream = self._stream(output, key, event.response_id, event.output_index)
        stream.output = event.item
        stream.is_whole = is_whole
        stream.note_call(event.item)
        if is_whole and isinstance(event.item, FunctionCallItem) and event.item.arguments:
            stream.arguments = [event.item.arguments]
        return stream

    def find(self, event: _Piece) -> ItemStream:
        """Return the stream of a piece's item, which may not have been announced, or not be named."""
        output = self._output(event.response_id)
        keys = output.keys
        is_call = isinstance(event, _Call)
        key: str | None = event.item_id
        if key not in self._streams:
            fitting = [k for k in keys.values() if self._fits(k, is_call=is_call)]
            at_index = keys.get(event.output_index)
            key = at_index if at_index in fitting else fitting[-1] if fitting and not key else key
        return self._stream(output, key, event.response_id, event.output_index)

    def append_arguments(self, event: ResponseFunctionCallArgumentsDelta) -> None:
        """Take a piece of a function call."""
        stream = self._streams.get(event.item_id)
        if stream is None or not stream.is_linked:
            stream = self.find(event)
        stream.arguments.append(event.delta)
        stream.call_id = stream.call_id or event.call_id

    def take_arguments(self, event: ResponseFunctionCallArgumentsDone) -> None:
        """Take the whole of a function call."""
        stream = self.find(event)
        if event.arguments:
            stream.arguments = [event.arguments]
        stream.call_id = stream.call_id or event.call_id
        stream.name = stream.name or event.name
        stream.is_whole = True

    def finish(self, response: Response) -> list[tuple[str, ConversationItem]]:
        """
        Complete the output of a response that has ended by what streamed.

        Returns:
            The items that belong to the conversation, with the keys of their streams. What was deleted
            meanwhile is not among them.
        """
        output = self._pop(response.id)
        beside = _is_beside(response)
        is_beside = bool(output.is_beside if beside is None else beside and output.is_beside is not False)
        given = list(response.output or ())
        items = self._matched(output.keys, given, response.id or "")
        is_success = response.status in (None, "completed")
        for _, key in sorted(output.keys.items()):
            stream = self._streams.get(key)
            if stream is None:
                continue  # deleted
            if key in items or not given or stream.is_whole:
                item = stream.completed(items.get(key), is_success=is_success)
                if item is not None:
                    items[key] = item
        for key in items:
            stream = self._streams.get(key)
            if stream is not None:  # its sound may have come without a word about its response
                stream.audio_format = response.output_audio_format or output.audio_format
        completed = list(items.values())
        if completed != given:
            response._complete(completed)
        kept = {} if is_beside else {k: item for k, item in items.items() if self._is_there(k, output)}
        for key in output.keys.values():
            if key not in kept:
                self._drop(key)
        return list(kept.items())

    def is_open(self, response_id: str) -> bool:
        """Whether a response is in progress, as far as is known."""
        return response_id in self._open

    def is_whole(self, response_id: str) -> bool:
        """Whether all items that a response has announced have come to their end, and there is one."""
        output = self._open.get(response_id)
        if output is None or not output.keys:
            return False
        streams = [self._streams.get(key) for key in output.keys.values()]
        return all(stream is not None and stream.is_whole for stream in streams)

    def keys(self, response_id: str) -> tuple[str, ...]:
        """Return the keys of the streams of a response in progress."""
        output = self._open.get(response_id)
        return () if output is None else tuple(output.keys.values())

    # ------------------------------------------------------------ inside

    def _output(self, response_id: str) -> _Output:
        """Return the output of a response; of one that an event does not name, that of the latest."""
        found = self._open.get(response_id)
        if found is None and not response_id and self._open:
            return next(reversed(self._open.values()))
        if found is None:
            if len(self._open) >= _MAX_OPEN:
                for key in self._open.pop(next(iter(self._open))).keys.values():
                    self._drop(key)
            found = self._open[response_id] = _Output(self.audio_format)
        return found

    def _pop(self, response_id: str | None) -> _Output:
        if response_id is None and self._open:
            return self._open.pop(next(reversed(self._open)))
        return self._open.pop(response_id or "", None) or _Output(self.audio_format)

    def _stream(self, output: _Output, key: str | None, response_id: str, index: int) -> ItemStream:
        keys = output.keys
        item_id, key = key, key or f"{response_id}/{index}"
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = ItemStream(item_id or None)
        stream.is_linked = True
        stream.audio_format = output.audio_format
        if key not in keys.values():
            keys[index if index not in keys else max(keys) + 1] = key
        return stream

    def _fits(self, key: str, *, is_call: bool) -> bool:
        stream = self._streams.get(key)
        if stream is None:
            return False
        known = stream.item or stream.output
        if known is None:
            return not (stream.texts if is_call else stream.arguments)
        return isinstance(known, FunctionCallItem) == is_call

    def _matched(
        self, keys: dict[int, str], given: list[ConversationItem], response_id: str
    ) -> dict[str, ConversationItem]:
        """Return the items that the service described at the end, by the keys of their streams."""
        named = {item.id for item in given}
        matched: dict[str, ConversationItem] = {}
        for index, item in enumerate(given):
            key = item.id
            if not key or key not in keys.values():
                at_index = keys.get(index)
                key = at_index if at_index is not None and at_index not in named else key
            matched[key or f"{response_id}/{index}"] = item
        return matched

    def _is_there(self, key: str, output: _Output) -> bool:
        return key in self._streams or key not in output.keys.values()

    def _drop(self, key: str) -> None:
        """Forget an item that has no place in the conversation."""
        stream = self._streams.get(key)
        if stream is not None and stream.item is None:
            del self._streams[key]


def _is_beside(response: Response) -> bool | None:
    """Whether a response stands beside the conversation, or ``None`` if it does not tell."""
    if response.conversation_id is not None:
        return False
    return True if is_out_of_band(response) else None
