"""``azure-rt-audio chat``: a text conversation in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from typing import Any, Final

from .. import AzureRealTimeAudio, RealtimeError, ResponseLostError, ServiceError, SessionConfig
from ..protocol.events import ResponseDone, ResponseOutputTextDelta
from ..protocol.events.local import Reconnected, Reconnecting
from ..protocol.response_errors import CONNECTION_LOST
from .history_file import HistoryFile
from .printer import Printer
from .service import add_service_arguments, new_client, open_service

__all__ = ["add_arguments", "run"]

_INSTRUCTIONS: Final = "You are a friendly assistant. Answer in the user's language, briefly."
_HELP: Final = "Type a message and press Enter. Ctrl-C interrupts an answer; twice, or Ctrl-D, quits."
_POLL_SECONDS: Final = 0.1
_LOST_SECONDS: Final = 1.0
"""Seconds that the end of an answer has to be told after it was given up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_service_arguments(parser)
    parser.add_argument(
        "--instructions", metavar="TEXT", default=_INSTRUCTIONS, help="instructions for the model"
    )
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="go on with the conversation in this file, and keep it there; a new file begins a new one",
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Run the conversation until the user quits. Blocks.

    Returns:
        0, or 1 if the connection was lost or an answer failed.
    """
    screen = Printer()
    file = None if arguments.history is None else HistoryFile(arguments.history)
    history = None if file is None else file.read()
    session = SessionConfig(modalities=["text"], instructions=arguments.instructions)
    with open_service(arguments, session, {}) as service:
        screen.line("service", service.name)
        if file is not None and file.count:
            screen.note(f"Going on with {file.count} items of {arguments.history}.")
        with new_client(service, history=history) as client:
            if sys.stdin.isatty():
                screen.note(_HELP)
                _enable_line_editing()
            return _Chat(client, screen, file).run()


class _Chat:
    """
    One conversation.

    **Threads.** :meth:`run` reads input on the main thread, which handles Ctrl-C, and polls there for the end
    of the answer, because a longer wait cannot be interrupted on every system. Listeners print the answer on
    the client's thread; ``_is_done`` keeps the two from printing at the same time.
    """

    def __init__(self, client: AzureRealTimeAudio, screen: Printer, file: HistoryFile | None) -> None:
        self._file = file
        self._client = client
        self._screen = screen
        self._is_done = threading.Event()
        self._is_lost = threading.Event()
        self._has_failed = False
        client.on(ResponseOutputTextDelta, lambda event: screen.grow("model", event.delta))
        client.on(ResponseDone, self._on_done)
        client.on("error", self._on_error)
        client.on(Reconnecting, self._on_connection)
        client.on(Reconnected, self._on_connection)
        client.on("closed", self._on_closed)

    def run(self) -> int:
        """Read lines and print the answers, until there are no more lines."""
        while not self._is_lost.is_set():
            try:
                line = self._read()
                if line.strip() and not self._is_lost.is_set():
                    self._ask(line)
            except (EOFError, KeyboardInterrupt):
                self._screen.end_line()
                if sys.stdin.isatty():
                    print()  # ends the line of the prompt
                break
        return 1 if self._has_failed or self._is_lost.is_set() else 0

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
        try:
            while not self._is_done.is_set():
                try:
                    self._is_done.wait(_POLL_SECONDS)
                except KeyboardInterrupt:
                    if has_cancelled:
                        raise
                    has_cancelled = True
                    pending.cancel()
                error = pending.error
                if isinstance(error, ResponseLostError) and not self._is_done.wait(_LOST_SECONDS):
                    self._on_error(error)  # no event tells of it
        finally:
            self._keep()

    def _keep(self) -> None:
        """Write the conversation so far to its file; a full disk does not end the conversation."""
        if self._file is not None:
            try:
                self._file.write(self._client.conversation.to_json() + "\n")
            except OSError as exc:
                self._screen.note(f"[the history was not saved: {exc.strerror or exc}]")

    # Listeners, on the client's thread ------------------------------------------------------

    def _on_done(self, event: ResponseDone) -> None:
        response = event.response
        self._screen.end_line()
        if response.status == "failed":
            return  # the next event is the error
        if response.status == "cancelled":
            self._screen.note("[interrupted]")
        elif response.reason == CONNECTION_LOST:
            self._screen.note(f"[{response.status}: {response.reason}]")  # the conversation goes on
            self._has_failed = True
        elif response.error is not None:
            self._screen.line("error", f"the answer is not complete: {response.error}")
            self._has_failed = True
        elif not response.text:
            self._screen.note("[no words]")
        self._is_done.set()

    def _on_error(self, error: RealtimeError) -> None:
        if isinstance(error, ServiceError) and error.is_benign:
            return
        self._screen.line("error", error.message)
        self._has_failed = True
        self._is_done.set()

    def _on_connection(self, event: Reconnecting | Reconnected) -> None:
        if not (isinstance(event, Reconnected) and event.is_planned and not event.lost):
            self._screen.line("status", str(event))

    def _on_closed(self, event: Any) -> None:
        self._is_lost.set()
        self._is_done.set()


def _enable_line_editing() -> None:
    """Enable line editing and history in ``input``, if Python has readline."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
