"""
Answers, and the functions that give them: the parts of an emulator that may be replaced.

They run on the connection's thread, which serves nothing else meanwhile. What takes long returns a future
instead, see :func:`.background.in_background`: the connection goes on, and the future is cancelled when its
result is not wanted any more.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .conversation import Conversation
from .session import Session

__all__ = [
    "Answer",
    "Failure",
    "FunctionCall",
    "McpServers",
    "RecogniserFunction",
    "Reply",
    "ResponderFunction",
    "SynthesiserFunction",
]


@dataclass(frozen=True)
class FunctionCall:
    """
    A function call for the client to run.

    Attributes:
        arguments: An object, or JSON text that is sent as it is.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    call_id: str = field(default_factory=lambda: f"call_{secrets.token_urlsafe(12)}")

    @property
    def arguments_json(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Failure:
    """A failed answer: ``response.done`` with status ``failed``."""

    message: str = (
        "The server had an error while processing your request. Sorry about that! You can retry your request."
    )
    code: str | None = None
    type: str = "server_error"


@dataclass(frozen=True)
class Reply:
    """
    One answer.

    Attributes:
        text: Spoken or written, as the session is configured; ``""`` for none.
        calls: Functions to call, after the text if there is one.
        incomplete: ``"content_filter"`` or ``"max_output_tokens"`` to end early for that reason.
        failure: End as failed, after the text if there is one.
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    incomplete: str | None = None
    failure: Failure | None = None

    @classmethod
    def of(cls, given: Answer) -> Reply:
        """
        Make a reply of what a responder has *given*.

        Raises:
            TypeError: It is none.
        """
        if isinstance(given, Reply):
            return given
        if isinstance(given, str):
            return cls(given)
        if isinstance(given, FunctionCall):
            return cls(calls=(given,))
        calls = tuple(given) if isinstance(given, Iterable) else (given,)
        if all(isinstance(call, FunctionCall) for call in calls):
            return cls(calls=calls)
        raise TypeError(f"a responder returned {given!r}: return a text, a Reply, or FunctionCalls")


Answer: TypeAlias = "str | Reply | FunctionCall | Iterable[FunctionCall]"
ResponderFunction: TypeAlias = Callable[[Conversation, Session], "Answer | Future[Answer]"]
# PCM16 24 000 Hz mono bytes and the session in, words out.
RecogniserFunction: TypeAlias = Callable[[bytes, Session], "str | Future[str]"]
# Words and the session in; PCM16 24 000 Hz mono out, in pieces of any size.
SynthesiserFunction: TypeAlias = Callable[[str, Session], "Iterable[bytes | Future[bytes]]"]
# By the label of a server and the name of a tool: a function of the arguments, which returns its output.
McpServers: TypeAlias = Mapping[str, Mapping[str, Callable[..., "str | Future[str]"]]]
