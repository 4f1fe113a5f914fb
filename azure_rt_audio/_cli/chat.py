"""``azure-rt-audio chat``: a text conversation in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .. import (
    AzureRealTimeAudio,
    McpListingError,
    PendingResponse,
    RealtimeError,
    ResponseLostError,
    ResponseSupersededError,
    ServiceError,
    SessionConfig,
)
from ..protocol.events import ResponseDone, ResponseOutputTextDelta
from ..protocol.events.local import (
    Reconnected,
    Reconnecting,
    ToolApprovalRequested,
    ToolEnded,
    ToolProgress,
    ToolStarted,
)
from ..protocol.response_errors import CONNECTION_LOST
from . import UsageError
from .approvals import Approvals
from .files import check_distinct
from .history_file import HistoryFile
from .printer import Printer
from .service import add_service_arguments, new_client, open_service
from .texts import option_text, utf8
from .tool_calls import result_text
from .tools_option import add_tools_argument, load_tools

__all__ = ["add_arguments", "run"]

_INSTRUCTIONS: Final = "You are a friendly assistant. Answer in the user's language, briefly."
_HELP: Final = "Type a message and press Enter. Ctrl-C interrupts an answer; twice, or Ctrl-D, quits."
_POLL_SECONDS: Final = 0.1
_LOST_SECONDS: Final = 1.0
"""Seconds that the end of an answer has to be told after it was given up."""
_TOLD_SECONDS: Final = 5.0
"""Seconds that listeners have for the end of any other answer, if there is an event of it."""
_LIST_SECONDS: Final = 10.0
"""Seconds that MCP servers have to list their tools before the first question is asked without them."""
_UNTOLD: Final = (ResponseLostError, ResponseSupersededError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_service_arguments(parser)
    parser.add_argument(
        "--instructions",
        metavar="TEXT",
        type=option_text,
        default=_INSTRUCTIONS,
        help="instructions for the model",
    )
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="go on with the conversation in this file, and keep it there; a new file begins a new one",
    )
    add_tools_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Run the conversation until the user quits. Blocks.

    Returns:
        0, or 1 if the connection was lost, or an answer failed or a question was refused.
    """
    tools = load_tools(arguments.tools)
    screen = Printer()
    file = None if arguments.history is None else HistoryFile(arguments.history)
    if file is not None:
        check_distinct([("--record", arguments.record)], [("--history", str(file.path))])
    history = None if file is None else file.read()
    session = SessionConfig(modalities=["text"], instructions=arguments.instructions)
    with open_service(arguments, session, {}) as service:
        screen.line("service", service.name)
        if file is not None and file.count:
            screen.note(f"Going on with {file.count} items of {arguments.history}.")
        client = new_client(service, history=history, tools=tools)
        chat = _Chat(client, screen, file)  # before it is ready: servers that cannot be listed are told early
        with client:
            _tell_unknown(client, screen)
            if tools is not None and tools.servers:
                with contextlib.suppress(TimeoutError):
                    client.wait_for_mcp_tools(_LIST_SECONDS)
            if sys.stdin.isatty():
                screen.note(_HELP)
                _enable_line_editing()
            return chat.run()


def _tell_unknown(client: AzureRealTimeAudio, screen: Printer) -> None:
    """Say what of the history the model was not given, and why."""
    conversation = client.conversation
    for what, items in (("does not know", conversation.lost), ("has less of", conversation.shortened)):
        if items:
            why = "; ".join(sorted(set(items.values())))
            screen.note(f"The model {what} {len(items)} of them, which stay in the file as they are: {why}.")


class _Chat:
    """
    One conversation.

    **Threads.** :meth:`run` reads input on the main thread, which handles Ctrl-C, and polls there for the end
    of the answer, because a longer wait cannot be interrupted on every system. Listeners print the answer on
    the client's thread. Two things keep the two from printing at the same time: while an answer is given the
    main thread waits for ``_is_done``; and while it asks whether a tool may run, listeners keep for later
    what they have to print.
    """

    def __init__(self, client: AzureRealTimeAudio, screen: Printer, file: HistoryFile | None) -> None:
        self._file = file
        self._client = client
        self._screen = screen
        self._approvals = Approvals(screen)
        self._pending: PendingResponse | None = None
        self._is_done = threading.Event()
        self._is_lost = threading.Event()
        self._has_failed = False
        self._is_at_prompt = False
        self._has_left_prompt = False  # listeners have printed below it
        self._calls: dict[str, str] = {}  # those that run or wait, as they are shown
        self._open_call: str | None = None  # on the unfinished line
        self._lock = threading.Lock()  # leaf; guards what follows
        self._kept: list[Callable[[], object]] | None = None  # for after the question
        client.on(ResponseOutputTextDelta, self._print(self._on_words))
        client.on(ResponseDone, self._print(self._on_done))
        client.on("error", self._print(self._on_error))
        client.on(Reconnecting, self._print(self._on_connection))
        client.on(Reconnected, self._print(self._on_connection))
        client.on(ToolStarted, self._print(self._on_tool_started))
        client.on(ToolProgress, self._print(self._on_tool_progress))
        client.on(ToolEnded, self._print(self._on_tool_ended))
        client.on(ToolApprovalRequested, self._on_approval)
        client.on("closed", self._on_closed)

    def run(self) -> int:
        """Read lines and print the answers, until there are no more lines."""
        while not self._is_lost.is_set():
            try:
                line = self._read()
                if self._approvals.decide(line):
                    line = ""
                self._ask_approvals()
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
            self._is_at_prompt = True
            try:
                return utf8(input(prompt), "what was typed")
            except UsageError as exc:  # the conversation goes on
                self._screen.line("error", str(exc))
                return ""
            finally:
                self._is_at_prompt = self._has_left_prompt = False
        line = utf8(sys.stdin.readline(), "standard input")
        if not line:
            raise EOFError
        line = line.rstrip("\r\n")
        if line.strip():
            self._screen.line("you", line)
        return line

    def _ask(self, text: str) -> None:
        self._is_done.clear()
        question = self._client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )
        self._pending = pending = self._client.create_response()
        has_cancelled = False
        told_by: float | None = None
        try:
            while not self._is_done.is_set():
                try:
                    self._is_done.wait(_POLL_SECONDS)
                    self._ask_approvals()
                except KeyboardInterrupt:
                    if has_cancelled:
                        raise
                    has_cancelled = True
                    pending.cancel()
                if pending.done:
                    seconds = _LOST_SECONDS if self._ends_untold(pending) else _TOLD_SECONDS
                    told_by = told_by or time.monotonic() + seconds
                    if time.monotonic() > told_by and not self._is_done.is_set():
                        self._tell_end(pending)
            has_failed = pending.error is not None and pending.status != "cancelled"
            self._has_failed |= has_failed or (question.done() and question.exception() is not None)
        finally:
            self._keep()

    @staticmethod
    def _ends_untold(pending: PendingResponse) -> bool:
        """Whether it has ended in a way that no event may tell of."""
        return isinstance(pending.error, _UNTOLD) or pending.status == "cancelled"

    def _tell_end(self, pending: PendingResponse) -> None:
        if isinstance(pending.error, _UNTOLD):
            self._screen.line("error", pending.error.message)
        elif pending.status == "cancelled":
            self._screen.note("[interrupted]")
        self._is_done.set()

    def _ask_approvals(self) -> None:
        """Ask for the calls that wait for it; then print what was kept."""
        with self._lock:
            if self._kept is None and not self._approvals.is_waiting:
                return
            self._kept = self._kept or []
        try:
            self._approvals.ask()
        finally:
            for say in iter(self._next_kept, None):
                say()

    def _next_kept(self) -> Callable[[], object] | None:
        """Return what is to be printed next of what was kept; after the last, listeners print again."""
        with self._lock:
            if self._kept:
                return self._kept.pop(0)
            self._kept = [] if self._approvals.is_waiting else None
            return None

    def _keep(self) -> None:
        """Write the conversation so far to its file; a full disk does not end the conversation."""
        if self._file is not None:
            try:
                self._file.write(self._client.conversation.to_json() + "\n")
            except OSError as exc:
                self._screen.note(f"[the history was not saved: {exc.strerror or exc}]")

    # Listeners, on the client's thread ------------------------------------------------------

    def _print(self, listener: Callable[[Any], object]) -> Callable[[Any], None]:
        """Return a listener that prints now, or after the question that is being asked."""

        def listen(event: Any) -> None:
            with self._lock:
                if self._kept is not None:
                    self._kept.append(lambda: listener(event))
                    return
            if self._is_at_prompt and not self._has_left_prompt:
                self._has_left_prompt = True
                print(flush=True)  # the user types on below
            listener(event)
            if self._has_left_prompt and not self._screen.is_growing("model"):
                self._has_left_prompt = False
                print(self._screen.prompt("you") + _typed(), end="", flush=True)

        return listen

    def _on_words(self, event: ResponseOutputTextDelta) -> None:
        self._screen.grow("model", event.delta)

    def _on_done(self, event: ResponseDone) -> None:
        response, pending = event.response, self._pending
        if self._screen.is_growing("model"):
            self._screen.end_line()
        is_last = pending is None or (pending.done and pending.id == response.id)
        if response.status == "failed":  # the error, which comes next, is not listened to
            error = response.error
            self._screen.line("error", "the answer failed" if error is None else error.message)
            self._has_failed = True
        elif response.status == "cancelled":
            self._screen.note("[interrupted]")
        elif response.reason == CONNECTION_LOST:
            self._screen.note(f"[{response.status}: {response.reason}]")  # the conversation goes on
            self._has_failed = True
        elif response.error is not None:
            self._screen.line("error", f"the answer is not complete: {response.error}")
            self._has_failed = True
        elif is_last and not response.text and not response.function_calls:
            self._screen.note("[no words]")
        if is_last:
            self._is_done.set()

    def _on_error(self, error: RealtimeError) -> None:
        if isinstance(error, ServiceError) and (error.is_benign or error.response is not None):
            return  # the response that failed has told
        if not self._client.is_initialized and not isinstance(error, McpListingError):
            return  # it is raised to who waits for the session
        self._screen.line("error", error.message)
        reason = None if self._pending is None else self._pending.error
        if reason is not None and reason.message == error.message:
            self._is_done.set()  # any other is none of this answer's, which is still to come

    def _on_connection(self, event: Reconnecting | Reconnected) -> None:
        if not (isinstance(event, Reconnected) and event.is_planned and not event.lost):
            self._screen.line("status", str(event))

    def _on_tool_started(self, event: ToolStarted) -> None:
        self._begin_call(event.call_id, str(event))

    def _begin_call(self, call_id: str, text: str) -> None:
        self._screen.end_line()
        self._screen.grow("tool", text, is_whole=True)
        self._calls[call_id], self._open_call = text, call_id

    def _on_tool_progress(self, event: ToolProgress) -> None:
        self._screen.line("tool", f"{event.name}: {event.text}")

    def _on_tool_ended(self, event: ToolEnded) -> None:
        text = self._calls.pop(event.call_id, event.name)
        if not (self._open_call == event.call_id and self._screen.is_growing("tool")):
            self._begin_call(event.call_id, text)
        self._screen.grow("tool", " -> ")
        self._screen.grow("tool", result_text(event), is_whole=True)
        self._screen.end_line()
        self._calls.pop(event.call_id, None)

    def _on_approval(self, request: ToolApprovalRequested) -> None:
        self._calls[request.call_id] = str(request)
        with self._lock:
            if sys.stdin.isatty() and not self._is_at_prompt:
                self._kept = self._kept or []
        if self._approvals.add(request) and self._is_at_prompt:
            self._print(self._on_asked)(request)

    def _on_asked(self, request: ToolApprovalRequested) -> None:
        self._screen.line("tool", f"{request} needs your approval: answer y or n")

    def _on_closed(self, event: Any) -> None:
        self._is_lost.set()
        self._is_done.set()


def _typed() -> str:
    """Return what the user has typed already at the prompt."""
    with contextlib.suppress(ImportError):
        import readline

        return readline.get_line_buffer()
    return ""


def _enable_line_editing() -> None:
    """Enable line editing and history in ``input``, if Python has readline."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
