"""``azure-rt-audio talk``: a spoken conversation, on the whole terminal."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from ... import AzureRealTimeAudio, SessionConfig, TurnDetection
from ..._extras import importing
from ...devices import Microphone, Speaker
from ...dispatch import QueueDispatcher
from .. import UsageError
from ..devices import device_of
from ..service import Service, add_service_arguments, open_service
from .conversation_log import EVENTS, ConversationLog

__all__ = ["add_arguments", "run"]

_INSTRUCTIONS: Final = (
    "You are a friendly assistant in a spoken conversation. Answer in the user's language, in one or two "
    "short sentences."
)
_ECHO: Final = ("headphones", "half_duplex", "gate", "cancel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_service_arguments(parser)
    parser.add_argument(
        "--input",
        metavar="DEVICE",
        help="the microphone: a number or part of a name, see azure-rt-audio devices",
    )
    parser.add_argument("--output", metavar="DEVICE", help="the loudspeaker, likewise")
    parser.add_argument(
        "--echo",
        choices=_ECHO,
        default="gate",
        help="what keeps the assistant from hearing itself: nothing, as you wear headphones; a microphone "
        "that is off while it speaks; one that lets only loud speech through; or echo cancelling "
        "(default: gate)",
    )
    parser.add_argument(
        "--push-to-talk",
        action="store_true",
        help="be heard only from one press of the space bar to the next",
    )
    parser.add_argument("--voice", metavar="NAME", default="alloy", help="whose voice (default: alloy)")
    parser.add_argument(
        "--instructions", metavar="TEXT", default=_INSTRUCTIONS, help="how the model shall behave"
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Talk until the user leaves. Blocks.

    Returns:
        0; or 1 if the connection was lost, and 128 and its number after a signal.
    """
    with importing("textual", "cli", "Drawing on the whole terminal"):
        import textual  # noqa: F401
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise UsageError("talk needs a terminal to itself; in a program use client.talk()")
    session = SessionConfig(
        voice=arguments.voice,
        instructions=arguments.instructions,
        turn_detection=TurnDetection(type="server_vad", threshold=0.5, silence_duration_ms=600),
    )
    with open_service(arguments, session, {}, will_hear=True) as service, _undisturbed():
        return _talk(service, arguments)


def _talk(service: Service, arguments: argparse.Namespace) -> int:
    from .view import TalkView

    dialogue = ConversationLog()
    # Whatever happens is heard of on the main thread, between two frames of the screen.
    queue = QueueDispatcher()
    with closing(AzureRealTimeAudio(service.options, dispatcher=queue)) as client:
        for event in EVENTS:
            client.on(event, dialogue.take)
        client.on("error", dialogue.take)
        with client.talk(
            Microphone(device_of(arguments.input)),
            Speaker(device_of(arguments.output)),
            echo=arguments.echo,
            push_to_talk=arguments.push_to_talk,
            on_event=dialogue.take,
        ) as voice:
            for hint in _hints(service):
                dialogue.note(hint)
            details = f"voice: {arguments.voice} · echo: {arguments.echo}"
            view = TalkView(dialogue, queue.run_pending, voice, service.name, details)
            view.run()
    if dialogue.end is not None:
        raise dialogue.end
    return view.return_code or 0


def _hints(service: Service) -> Iterator[str]:
    """What to know before saying the first word."""
    if service.is_embedded:
        yield f"There is no model in the emulator: it answers by rule, {service.senses}."
    yield from (hint[0].upper() + hint[1:] for hint in (service.remark, *service.remedies) if hint)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """
    Keep off the screen what libraries print behind Python's back, those of ALSA above all.

    What is drawn goes to a descriptor of its own; standard error leads to a file until the end.
    """
    if os.name == "nt":
        yield  # the screen is drawn on standard output there
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as spill, open(os.dup(2), "w", encoding="utf-8") as screen:
        before = vars(sys)["__stderr__"]
        os.dup2(spill.fileno(), 2)
        vars(sys)["__stderr__"] = screen  # where textual draws
        try:
            yield
        finally:
            sys.stderr.flush()
            vars(sys)["__stderr__"] = before
            os.dup2(screen.fileno(), 2)
