"""The commands as one program: what it takes, how it ends."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Final, NoReturn

from .. import __version__, _pages
from .._printable import one_line
from ..audio import SoundWarning
from ..errors import MissingExtraError, RealtimeError
from . import UsageError, chat, demo, devices, emulator, replay, speak, talk, transcribe
from .streams import OutputError, standard_streams

__all__ = ["COMMANDS", "new_parser", "run"]

COMMANDS: Final = (
    ("demo", demo, "watch a whole conversation: text, speech, a tool call, an interruption"),
    ("talk", talk, "talk with the model aloud, with microphone and speaker"),
    ("chat", chat, "talk with the model in writing"),
    ("speak", speak, "have a text read aloud, and save the sound"),
    ("transcribe", transcribe, "write down what is said in audio files"),
    ("devices", devices, "list microphones and speakers, and try them"),
    ("replay", replay, "play a recorded conversation again, or make a page, sound or subtitles of it"),
    ("emulator", emulator, "run the service in miniature on this machine"),
)
_EPILOGUE = """\
With none of AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT in the environment,
all commands talk to an emulator inside their own process, and say so on standard error: no account and no
network are needed. With some of them only, they end with an error that names the others.
See docs/reference/command-line.md.
"""


def run(argv: Sequence[str] | None) -> int:
    """Run a command; see :func:`azure_rt_audio.__main__.main`."""
    # What goes wrong is told once, as an exception; without a handler Python would print the warning too.
    logging.getLogger("azure_rt_audio").addHandler(logging.NullHandler())
    with standard_streams(), warnings.catch_warnings():
        warnings.simplefilter("default", SoundWarning)
        warnings.showwarning = _show_warning
        name = "azure-rt-audio"
        try:
            try:
                arguments = new_parser().parse_args(argv)
                name = f"{name} {arguments.command}"
                return _run(name, arguments)
            finally:
                sys.stdout.flush()
        except OutputError as exc:
            return _complain(name, exc, 1)
        except BrokenPipeError:  # whoever reads our output has left
            return 1


def _run(name: str, arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
        return code
    except (UsageError, MissingExtraError) as exc:
        return _complain(name, exc, 2)
    except (RealtimeError, TimeoutError) as exc:
        return _complain(name, exc, 1)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and exit with 2; a text without quotes is many arguments."""
        kind, _, rest = message.partition(": ")
        if kind == "unrecognized arguments" and not rest.startswith("-"):
            message += '; put a text of several words in quotes: "Hello world"'
        super().error(message)


def new_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="azure-rt-audio",
        description="A client for the Azure OpenAI Realtime API.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"azure-rt-audio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, summary in COMMANDS:
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=_pages.COMMANDS[name],
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _show_warning(message: Warning | str, *_: object, **more: object) -> None:
    print(one_line(f"azure-rt-audio: {message}"), file=sys.stderr, flush=True)


def _complain(name: str, exc: BaseException, code: int) -> int:
    with contextlib.suppress(OutputError, BrokenPipeError):  # which ends it, if it has not yet
        sys.stdout.flush()
    print(one_line(f"{name}: {exc}"), file=sys.stderr)
    return code
