"""``azure-rt-audio chat``: a conversation in writing, in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from typing import Any, Final

from .. import AzureRealTimeAudio, RealtimeError, ServiceError, SessionConfig
from ..protocol.events import ResponseDone, ResponseOutputTextDelta
from .printer import Screen
from .service import add_service_arguments, open_service

__all__ = ["add_arguments", "run"]

_INSTRUCTIONS: Final = "You are a friendly assistant. Answer in the user's language, briefly."
_HELP: Final = "Write, and press Enter. Ctrl-C interrupts an answer; twice, or Ctrl-D, leaves."
_SLICE_SECONDS: Final = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_service_arguments(parser)
    parser.add_argument(
        "--instructions", metavar="TEXT", default=_INSTRUCTIONS, help="how the model shall behave"
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Talk until the user leaves. Blocks.

    Returns:
        0, or 1 if the connection was lost.
    """
    screen = Screen()
    session = SessionConfig(modalities=["text"], instructions=arguments.instructions)
    with open_service(arguments, session, {}) as service:
        screen.line("service", service.name)
        if service.remark is not None:
            screen.note(service.remark)
        with AzureRealTimeAudio(service.options) as client:
            if sys.stdin.isatty():
                screen.note(_HELP)
                _make_editable()
            return _Chat(client, screen).run()


class _Chat:
    """
    One conversation.

    **Threads.** :meth:`run` reads what the user writes on the main thread, the only one that Ctrl-C reaches,
    and waits there for answers in slices, because a longer wait cannot be interrupted everywhere.
    Listeners write the answers, on the client's thread; the two take turns by way of ``_is_done``.
    """

    def __init__(self, client: AzureRealTimeAudio, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._is_done = threading.Event()
        self._is_lost = threading.Event()
        client.on(ResponseOutputTextDelta, lambda event: screen.grow("model", event.delta))
        client.on(ResponseDone, self._on_done)
        client.on("error", self._on_error)
        client.on("closed", self._on_closed)

    def run(self) -> int:
        """Ask for lines and have them answered until there are no more."""
        while not self._is_lost.is_set():
            try:
                line = self._read()
                if line.strip():
                    self._ask(line)
            except (EOFError, KeyboardInterrupt):
                self._screen.end_line()
                if sys.stdin.isatty():
                    print()  # the prompt stands there, and perhaps ^C
                return 0
        return 1

    def _read(self) -> str:
        prompt = self._screen.prompt("you")
        if sys.stdin.isatty():
            return input(prompt)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        if line.strip():
            self._screen.line("you", line.rstrip("\n"))
        return line

    def _ask(self, text: str) -> None:
        self._is_done.clear()
        self._client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )
        pending = self._client.create_response()
        has_cancelled = False
        while not self._is_done.is_set():
            try:
                self._is_done.wait(_SLICE_SECONDS)
            except KeyboardInterrupt:
                if has_cancelled:
                    raise
                has_cancelled = True
                pending.cancel()

    # Listeners, on the client's thread ------------------------------------------------------

    def _on_done(self, event: ResponseDone) -> None:
        response = event.response
        self._screen.end_line()
        if response.status == "failed":
            return  # the error that says why comes next
        if response.status == "cancelled":
            self._screen.note("[interrupted]")
        elif response.status != "completed":
            self._screen.note(f"[{response.status}: {response.reason or 'no reason given'}]")
        self._is_done.set()

    def _on_error(self, error: RealtimeError) -> None:
        if isinstance(error, ServiceError) and error.is_benign:
            return
        self._screen.line("error", error.message)
        self._is_done.set()

    def _on_closed(self, event: Any) -> None:
        self._is_lost.set()
        self._is_done.set()


def _make_editable() -> None:
    """Give the prompt cursor keys and a memory, where Python has them."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
