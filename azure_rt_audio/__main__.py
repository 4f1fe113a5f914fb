"""The command line: ``azure-rt-audio``, or ``python -m azure_rt_audio``."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from . import __version__, _pages
from ._cli import UsageError, chat, demo, devices, emulator, replay, speak, talk, transcribe
from ._cli.streams import printable_streams
from ._printable import one_line
from .audio import SoundWarning
from .errors import MissingExtraError, RealtimeError

__all__ = ["main"]

_COMMANDS = (
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


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        argv: What follows the program's name; ``None`` takes it from ``sys.argv``.

    Returns:
        The exit code: 0 if all went well, 1 if not, 2 if the command was wrong, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal can show what a model may say
    # What goes wrong is told once, as an exception; without a handler Python would print the warning too.
    logging.getLogger("azure_rt_audio").addHandler(logging.NullHandler())
    with printable_streams(), warnings.catch_warnings():
        warnings.simplefilter("default", SoundWarning)
        warnings.showwarning = _show_warning
        return _run(_parser().parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except (UsageError, MissingExtraError) as exc:
        return _complain(arguments.command, exc, 2)
    except (RealtimeError, TimeoutError) as exc:
        return _complain(arguments.command, exc, 1)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever reads our output has left; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azure-rt-audio",
        description="A client for the Azure OpenAI Realtime API.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"azure-rt-audio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, summary in _COMMANDS:
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


def _complain(command: str, exc: BaseException, code: int) -> int:
    sys.stdout.flush()
    print(one_line(f"azure-rt-audio {command}: {exc}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
