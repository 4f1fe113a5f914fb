"""``azure-rt-audio talk``: a spoken conversation, in a full-screen terminal."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from ... import UNSET, SessionConfig, Tools, TurnDetection
from ..._extras import importing
from ...devices import Microphone, Speaker
from ...dispatch import QueueDispatcher
from .. import UsageError
from ..devices import device_of
from ..service import (
    TRANSCRIPTION_VARIABLE,
    Service,
    add_service_arguments,
    new_client,
    open_service,
)
from ..texts import option_text
from ..tools_option import add_tools_argument, load_tools
from .conversation_log import EVENTS, ConversationLog

__all__ = ["add_arguments", "run"]

_INSTRUCTIONS: Final = (
    "You are a friendly assistant in a spoken conversation. Answer in the user's language, in one or two "
    "short sentences."
)
_ECHO: Final = ("headphones", "half_duplex", "gate", "cancel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_service_arguments(parser)
    parser.add_argument(
        "--input",
        metavar="DEVICE",
        help="the microphone: a number or part of a name, see azure-rt-audio devices",
    )
    parser.add_argument("--output", metavar="DEVICE", help="the speaker, likewise")
    parser.add_argument(
        "--echo",
        choices=_ECHO,
        default="gate",
        help="echo control: none, for headphones; muting the microphone during answers; a noise gate; or "
        "echo cancellation (default: gate)",
    )
    parser.add_argument(
        "--push-to-talk",
        action="store_true",
        help="send only between two presses of the space bar",
    )
    parser.add_argument(
        "--voice", metavar="NAME", type=option_text, default="alloy", help="the voice (default: alloy)"
    )
    parser.add_argument(
        "--label", metavar="TEXT", help="first line of the screen (default: the resource and the deployment)"
    )
    parser.add_argument(
        "--instructions",
        metavar="TEXT",
        type=option_text,
        default=_INSTRUCTIONS,
        help="instructions for the model",
    )
    add_tools_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Run the conversation until the user quits. Blocks.

    Returns:
        0; 1 if the connection was lost, 128 plus its number after a signal.
    """
    with importing("textual", "cli", "A full-screen terminal interface"):
        import textual  # noqa: F401
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise UsageError("talk needs an interactive terminal; in a program, use client.talk()")
    tools = load_tools(arguments.tools)
    session = SessionConfig(
        voice=arguments.voice,
        instructions=arguments.instructions,
        turn_detection=TurnDetection(type="server_vad", threshold=0.5, silence_duration_ms=600),
    )
    with open_service(arguments, session, {}, will_hear=True) as service, _stderr_redirected():
        return _talk(service, arguments, tools)


def _talk(service: Service, arguments: argparse.Namespace, tools: Tools | None) -> int:
    from .view import TalkView

    conversation = ConversationLog()
    # Listeners run on the main thread, between two frames.
    queue = QueueDispatcher()
    with closing(new_client(service, queue, tools=tools)) as client:
        for event in EVENTS:
            client.on(event, conversation.update)
        client.on("error", conversation.update)
        with client.talk(
            Microphone(device_of(arguments.input)),
            Speaker(device_of(arguments.output)),
            echo=arguments.echo,
            push_to_talk=arguments.push_to_talk,
            on_event=conversation.update,
        ) as voice:
            for hint in _hints(service):
                conversation.note(hint)
            details = f"voice: {arguments.voice} · echo: {arguments.echo}"
            title = arguments.label or service.label
            view = TalkView(conversation, queue.run_pending, voice, title, details)
            view.run()
            voice.wait(0)  # raises why it ended, unless the user wanted that
    if conversation.end is not None:
        raise conversation.end
    return view.return_code or 0


def _hints(service: Service) -> Iterator[str]:
    """Yield remarks about the service."""
    if service.is_embedded:
        yield f"The emulator has no model: it answers by rule, {service.speech}."
    yield from (hint[0].upper() + hint[1:] for hint in service.remedies)
    if service.options.session_config.input_audio_transcription is UNSET:
        yield (
            "Your own words are not written down: name the deployment that transcribes, by "
            f"--transcription-deployment or {TRANSCRIPTION_VARIABLE}."
        )


@contextmanager
def _stderr_redirected() -> Iterator[None]:
    """
    Redirect what native libraries print, mostly ALSA, so that it does not corrupt the screen.

    textual draws to a copy of the descriptor; standard error is redirected to a temporary file.
    """
    if os.name == "nt":
        yield  # textual draws to standard output there
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as discarded, open(os.dup(2), "w", encoding="utf-8") as screen:
        before = vars(sys)["__stderr__"]
        os.dup2(discarded.fileno(), 2)
        vars(sys)["__stderr__"] = screen  # where textual draws
        try:
            yield
        finally:
            sys.stderr.flush()
            vars(sys)["__stderr__"] = before
            os.dup2(screen.fileno(), 2)
