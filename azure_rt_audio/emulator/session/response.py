"""
One response, from ``response.created`` to ``response.done``.

A response is a generator of steps: a number is a pause in seconds, a dictionary is an event to
send. State changes when a step is taken, never ahead of it, so a response can be cancelled
between any two events, and its last events agree with those that were sent.
"""

from __future__ import annotations

import logging
import math
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ..._log import get_logger
from ...audio.pcm import to_pcm16
from ..model.background import when_done
from ..model.conversation import Conversation, Item, Part
from ..model.pcm import to_wire
from ..model.replies import Failure, FunctionCall, Reply
from ..model.session import Session
from ..model.tokens import arguments_as_written, pieces
from . import mcp
from .behaviour import Behaviour
from .events import EventMaker
from .usage import AUDIO_OUT_MS_PER_TOKEN, CHARACTERS_PER_TOKEN, Tokens, output_tokens

__all__ = ["UNTIL_AN_EVENT", "ResponseRun", "Step"]

log: logging.Logger = get_logger(__name__)

Step: TypeAlias = "float | dict[str, Any]"
UNTIL_AN_EVENT: Final = math.inf
"""A pause that ends with the next event of a response, or at once if there is none in progress."""

_POLL_SECONDS: Final = 0.01  # how often the recogniser's result is looked for
_CHUNK_BYTES: Final = 4_800  # 100 ms of PCM16
_TRANSCRIPT_LEAD_MS: Final = 300  # the service's text runs a little ahead of its audio
_MS_PER_CHARACTER: Final = 65


@dataclass
class _Open:
    """The output item being produced."""

    item: Item
    output_index: int
    part: Part | None = None
    text: str = ""
    is_announced: bool = False
    is_called: bool = False  # a tool of an MCP server: its item ends with the call, after the response


@dataclass
class ResponseRun:
    """
    A response in progress.

    Attributes:
        session: The session as it was when the response began, overrides included.
        context: The conversation that the responder sees.
        home: The conversation that receives the output; ``None`` out of band.
        on_done: Called with the tokens spent; returns the events that follow.
        mcp_calls: Takes the calls of MCP servers when the response has ended.
        read: Tokens of its input.
        cached: Those among them that an earlier response has read, which cost less.
        due: When the next step may be taken, in the engine's seconds.
        audio_ms: Milliseconds of audio sent so far.
    """

    id: str
    make: EventMaker
    session: Session
    context: Conversation
    home: Conversation | None
    behaviour: Behaviour
    on_done: Callable[[int], Iterable[dict[str, Any]]]
    mcp_calls: mcp.McpCalls
    read: Tokens
    cached: Tokens
    metadata: Mapping[str, str] | None = None
    due: float = 0.0
    audio_ms: float = 0.0
    is_over: bool = False
    _output: list[Item] = field(default_factory=list)
    _called: list[mcp.McpCall] = field(default_factory=list)
    _open: _Open | None = None
    _last: deque[dict[str, Any]] | None = None  # events of its end, while they are being sent
    _written: str = ""
    _failure: Failure | None = None
    _has_begun: bool = False

    def steps(self) -> Generator[Step, None, None]:
        """The whole response; see the module docstring."""
        yield from self._begin()
        try:
            ended = yield from self._produce()
        except Exception:  # such as a text that is none, from a responder
            log.exception("! a response could not be produced; it is reported as failed")
            self._failure, ended = Failure(), None
            yield from self._close_item("incomplete")
        failure = self._failure
        if failure is not None:
            error = {"type": failure.type, "code": failure.code, "message": failure.message}
            yield from self._finish("failed", {"type": "failed", "error": error})
        elif ended:
            yield from self._finish("incomplete", {"type": "incomplete", "reason": ended})
        else:
            yield from self._finish("completed", None)

    def _produce(self) -> Generator[Step, None, str | None]:
        """The output; the value is why it ended early, if it did."""
        if self.behaviour.first_delay:
            yield self.behaviour.first_delay
        while self.context.is_being_recognised:
            yield _POLL_SECONDS
        reply = yield from self._ask()
        if reply.text:
            yield from self._message(reply.text)
        ended = reply.incomplete or ("max_output_tokens" if self._is_exhausted else None)
        self._failure = self._failure or reply.failure
        yield from self._close_item("incomplete" if ended or self._failure else "completed")
        if self._failure is None and not ended:
            for call in reply.calls:
                server = mcp.server_of(call.name, self.session, self.behaviour.mcp_tools)
                if server is None:
                    yield from self._function_call(call)
                else:
                    yield from self._mcp_call(server, call)
                if self._is_exhausted:
                    ended = "max_output_tokens"
                yield from self._close_item("incomplete" if ended else "completed")
                if ended:
                    break
        return ended

    def cancel(self, reason: str) -> Iterator[dict[str, Any]]:
        """The last events of a response that is cancelled now."""
        yield from self._begin()
        yield from self._close_item("incomplete")
        yield from self._finish("cancelled", {"type": "cancelled", "reason": reason})

    def _begin(self) -> Iterator[dict[str, Any]]:
        if not self._has_begun:
            self._has_begun = True
            yield self.make.event("response.created", response=self._on_wire("in_progress", None, None))

    def _ask(self) -> Generator[float, None, Reply]:
        try:
            given = self.behaviour.responder(self.context, self.session)
            return Reply.of((yield from when_done(given)) if isinstance(given, Future) else given)
        except Exception:
            log.exception("! the responder failed; the response is reported as failed")
            return Reply(failure=Failure())

    # A message ------------------------------------------------------------------------------

    def _message(self, text: str) -> Iterator[Step]:
        item = Item(self.make.new_id("item"), "message", role="assistant", status="in_progress")
        opened = yield from self._open_item(item)
        writes_on = self.behaviour.writes_on and self.context.has_written_answers_only
        kind = "audio" if self.session.speaks and not writes_on else "text"
        opened.part = Part(kind, audio=bytearray(), audio_format=self.session.output_format)
        item.parts.append(opened.part)
        yield self._part_event("response.content_part.added", opened.part, "")
        if kind == "audio":
            yield from self._speech(opened, opened.part, text)
        else:
            for word in self._pieces(text):
                yield self._word(opened, opened.part, word)
                if self._is_exhausted:
                    return

    def _speech(self, opened: _Open, part: Part, text: str) -> Iterator[Step]:
        words = iter(self._pieces(text))
        promised_ms = 0.0
        for pcm in _rechunk(self._audio(text)):
            if isinstance(pcm, float):
                yield pcm
                continue
            while promised_ms < self.audio_ms + _TRANSCRIPT_LEAD_MS and (word := next(words, "")):
                promised_ms += _MS_PER_CHARACTER * len(word)
                yield self._word(opened, part, word)
                if self._is_exhausted:
                    return
            pcm = self._allowed_audio(pcm)
            data = to_wire(pcm, self.session.output_format)
            part.say(data)
            if self.home is not None:
                self.home.has_voice = True
            duration_ms = len(pcm) / 48
            self.audio_ms += duration_ms
            yield self._at("response.output_audio.delta", delta=b64encode(data).decode())
            if self.behaviour.pace:
                yield duration_ms / 1000 / self.behaviour.pace
            if self._is_exhausted:
                return
        for word in words:
            yield self._word(opened, part, word)
            if self._is_exhausted:
                return

    def _audio(self, text: str) -> Iterator[bytes | float]:
        try:
            for piece in self.behaviour.synthesiser(text, self.session):
                made = (yield from when_done(piece)) if isinstance(piece, Future) else piece
                yield bytes(to_pcm16(made))
        except Exception:
            log.exception("! the synthesiser failed; the response is reported as failed")
            self._failure = Failure()

    def _word(self, opened: _Open, part: Part, words: str) -> dict[str, Any]:
        words = self._write(words)
        opened.text += words
        part.say(text=opened.text)
        kind = "output_audio_transcript" if part.kind == "audio" else "output_text"
        return self._at(f"response.{kind}.delta", delta=words)

    def _function_call(self, call: FunctionCall) -> Iterator[Step]:
        item = Item(
            self.make.new_id("item"),
            "function_call",
            status="in_progress",
            call_id=call.call_id,
            name=call.name,
        )
        yield from self._open_item(item)
        arguments = call.arguments_json
        if self.make.dialect.profile.writes_tokens and not isinstance(call.arguments, str):
            arguments = arguments_as_written(call.arguments)
        for piece in self._pieces(arguments, 16):
            written = self._write(piece)
            item.arguments += written
            yield self._at("response.function_call_arguments.delta", call_id=call.call_id, delta=written)
            if self._is_exhausted:
                return

    def _mcp_call(self, server: str, call: FunctionCall) -> Iterator[Step]:
        told: dict[str, Any] = {"server_label": server, "name": call.name, "arguments": ""}
        item = Item(self.make.new_id("mcp"), "mcp_call", status="in_progress", name=call.name, extra=told)
        item.arguments = call.arguments_json
        opened = yield from self._open_item(item)
        for piece in self._pieces(call.arguments_json, 16):
            written = self._write(piece)
            told["arguments"] += written
            yield self._at("response.mcp_call_arguments.delta", delta=written)
            if self._is_exhausted:
                return
        opened.is_called = True
        called = mcp.McpCall(
            item,
            self.id,
            opened.output_index,
            self.home,
            self.behaviour.mcp_tools[server][call.name],
            mcp.needs_approval(call.name, server, self.session),
        )
        self._called.append(called)
        yield self._at("response.mcp_call_arguments.done", arguments=told["arguments"])
        if not called.needs_approval:
            yield self.make.event("response.mcp_call.in_progress", **called.place)

    def _write(self, piece: str) -> str:
        """Count what is written; of the piece that would exceed the limit of tokens, what it leaves."""
        limit = self.session.max_output_tokens
        if isinstance(limit, int):
            spoken = output_tokens("", self.audio_ms)[1]
            piece = piece[: max(0, (limit - spoken) * CHARACTERS_PER_TOKEN - len(self._written))]
        self._written += piece
        return piece

    def _allowed_audio(self, pcm: bytes) -> bytes:
        """What the limit of tokens leaves of a piece of sound."""
        limit = self.session.max_output_tokens
        if not isinstance(limit, int):
            return pcm
        left_ms = (limit - output_tokens(self._written, 0)[0]) * AUDIO_OUT_MS_PER_TOKEN - self.audio_ms
        return pcm[: max(0, round(left_ms * 24)) * 2]

    def _pieces(self, text: str, characters: int | None = None) -> list[str]:
        return pieces(text, self.make.dialect.profile.writes_tokens, characters)

    # Items ----------------------------------------------------------------------------------

    def _open_item(self, item: Item) -> Generator[dict[str, Any], None, _Open]:
        opened = _Open(item, len(self._output))
        self._open = opened
        self._output.append(item)
        yield self.make.event(
            "response.output_item.added",
            response_id=self.id,
            output_index=opened.output_index,
            item=self.make.item(item),
        )
        yield from self._announce(opened)
        return opened

    def _announce(self, opened: _Open) -> Iterator[dict[str, Any]]:
        if self.home is not None and not opened.is_announced:
            opened.is_announced = True
            self.home.add(opened.item)
            self.context.add(opened.item)
            yield from self.make.item_added(opened.item, self.home)

    def _close_item(self, status: str) -> Iterator[dict[str, Any]]:
        """The last events of the open item, if there is one; for a cancel amid them, those that are left."""
        if self._open is None:
            return
        if self._last is None:
            self._last = deque(self._closing(self._open, status))
        while self._last:
            yield self._last.popleft()
        self._open = self._last = None

    def _closing(self, opened: _Open, status: str) -> Iterator[dict[str, Any]]:
        item, part = opened.item, opened.part
        yield from self._announce(opened)  # not done yet if a cancel came right after the item was opened
        if item.type == "function_call":
            if status == "completed":
                yield self._at(
                    "response.function_call_arguments.done",
                    call_id=item.call_id,
                    name=item.name,
                    arguments=item.arguments,
                )
        elif opened.is_called:
            return
        elif part is not None:
            if part.kind == "audio":
                yield self._at("response.output_audio.done")
                yield self._at("response.output_audio_transcript.done", transcript=opened.text)
            else:
                yield self._at("response.output_text.done", text=opened.text)
            yield self._part_event("response.content_part.done", part, opened.text)
        item.status = status
        if self.home is not None and self.home.get(item.id) is item:  # not if the client deleted it
            yield from self.make.output_done(item, self.home)
        yield self.make.event(
            "response.output_item.done",
            response_id=self.id,
            output_index=opened.output_index,
            item=self.make.item(item),
        )

    def _part_event(self, event: str, part: Part, said: str) -> dict[str, Any]:
        # In both dialects a part's type is "text" or "audio" here, unlike in items.
        field = "transcript" if part.kind == "audio" else "text"
        names = self.make.dialect.profile.part_fields
        return self._at(event, **{name: {"type": part.kind, field: said} for name in names})

    def _at(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """An event about the open item."""
        opened = self._open
        assert opened is not None
        where: dict[str, Any] = {
            "response_id": self.id,
            "item_id": opened.item.id,
            "output_index": opened.output_index,
        }
        if opened.item.type == "message":
            where["content_index"] = 0
        return self.make.event(event, **where, **fields)

    # The end --------------------------------------------------------------------------------

    @property
    def _is_exhausted(self) -> bool:
        limit = self.session.max_output_tokens
        return isinstance(limit, int) and sum(output_tokens(self._written, self.audio_ms)) >= limit

    def _finish(self, status: str, details: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        usage = self._usage()
        self.is_over = True
        yield self.make.event("response.done", response=self._on_wire(status, details, usage))
        yield from self.on_done(usage["total_tokens"])
        yield from self.mcp_calls.follow(self._called)

    def _usage(self) -> dict[str, Any]:
        text_out, audio_out = output_tokens(self._written, self.audio_ms)
        cached = self.cached.in_blocks(self.make.dialect.profile.cached_block)
        read: dict[str, Any] = {
            "text_tokens": self.read.text,
            "audio_tokens": self.read.audio,
            "cached_tokens": cached.sum,
        }
        read |= self.make.dialect.input_token_details(
            self.read.image,
            {"text_tokens": cached.text, "audio_tokens": cached.audio, "image_tokens": cached.image},
        )
        return {
            "total_tokens": self.read.sum + text_out + audio_out,
            "input_tokens": self.read.sum,
            "output_tokens": text_out + audio_out,
            "input_token_details": read,
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def _on_wire(
        self, status: str, details: Mapping[str, Any] | None, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None if details is None else dict(details),
            "output": [self.make.item(item) for item in self._output],
            "conversation_id": self.home.id if self.home is not None else None,
            "max_output_tokens": self.session.max_output_tokens,
            "usage": None if usage is None else dict(usage),
            "metadata": None if self.metadata is None else dict(self.metadata),
            **self.make.dialect.response_fields(self.session),
        }


def _rechunk(pieces: Iterator[bytes | float]) -> Iterator[bytes | float]:
    """Recut audio into pieces of 100 ms, the last one shorter; pauses pass through."""
    waiting = bytearray()
    for piece in pieces:
        if isinstance(piece, float):
            yield piece
            continue
        waiting += piece
        while len(waiting) >= _CHUNK_BYTES:
            yield bytes(waiting[:_CHUNK_BYTES])
            del waiting[:_CHUNK_BYTES]
    if len(waiting) >= 2:
        yield bytes(waiting[: len(waiting) - len(waiting) % 2])
