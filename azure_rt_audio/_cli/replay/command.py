"""``azure-rt-audio replay``: a recording on the terminal, or as another file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import orjson

from ..._printable import one_line, printable_json
from ...errors import RecordingError
from ...recording import Recording
from ...recording.analysis import analyse
from ...recording.document import document
from ...recording.page import write_page
from ...recording.stereo import write_stereo
from ...recording.subtitles import subtitles
from ...recording.timeline import Timeline
from .. import UsageError
from ..devices import device_of
from ..files import check_distinct, readable, writable
from ..printer import Printer
from ..progress import Progress, open_progress
from .playback import open_speaker, play

__all__ = ["add_arguments", "run"]

_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")
_MAX_PROBLEMS: Final = 10
_EXPORTS: Final = ("to_html", "to_wav", "to_srt", "to_json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", metavar="FILE", help="a recording, made with record= or --record")
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="N",
        help="seconds of the recording per second; 0 prints everything at once (default: 1)",
    )
    parser.add_argument("--no-sound", action="store_true", help="play no sound, and put none into a page")
    parser.add_argument(
        "--output",
        metavar="DEVICE",
        help="the speaker: a number or part of a name, see azure-rt-audio devices",
    )
    parser.add_argument(
        "--to-html",
        metavar="FILE",
        help="write a page for a browser: sound, texts, events, tools and latencies on one axis of time",
    )
    parser.add_argument(
        "--to-wav",
        metavar="FILE",
        help="write the sound: left the user, right the assistant as it was heard (a typed question is "
        "silence)",
    )
    parser.add_argument(
        "--to-srt", metavar="FILE", help="write subtitles of what was said and heard; - for standard output"
    )
    parser.add_argument("--to-json", metavar="FILE", help="write the timeline as JSON; - for standard output")


def run(arguments: argparse.Namespace) -> int:
    """
    Replay a recording, or write what was asked for. Blocks.

    Returns:
        0; 1 if lines of the recording could not be read, or a file could not be written: all else was done.
    """
    if not 0 <= arguments.speed < float("inf"):
        raise UsageError(f"--speed: {arguments.speed} is no speed; pass a number, 0 or more")
    exports = {name: getattr(arguments, name) for name in _EXPORTS if getattr(arguments, name) is not None}
    readable(arguments.file, "FILE")
    for name, path in exports.items():
        if path != "-":
            writable(path, _option(name), [".wav"] if name == "to_wav" else ())
        elif name in ("to_html", "to_wav"):
            raise UsageError(f"{_option(name)}: pass the path of a file")
    if [*exports.values()].count("-") > 1:
        raise UsageError("only one of --to-srt and --to-json can go to standard output")
    outputs = [(_option(name), path) for name, path in exports.items() if path != "-"]
    check_distinct(outputs, [("FILE", arguments.file)])
    with open_progress(1 + len(exports)) as progress:
        recording, timeline = _read(arguments.file, progress)
        for remark in _estimates(recording, timeline):
            print(one_line(f"azure-rt-audio replay: {remark}"), file=sys.stderr)
        done = [
            _export(name, path, recording, timeline, arguments, progress) for name, path in exports.items()
        ]
    if not exports:
        _play(timeline, arguments)
    _tell_problems(recording)
    return 0 if all(done) and not recording.problems else 1


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _read(path: str, progress: Progress) -> tuple[Recording, Timeline]:
    try:
        recording = Recording.load(path)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except RecordingError as exc:
        raise UsageError(exc.message) from exc
    progress.begin(path, max(recording.seconds, 0.001))
    timeline = analyse(recording, progress.advance)
    progress.end()
    return recording, timeline


def _estimates(recording: Recording, timeline: Timeline) -> Iterator[str]:
    """Yield what of a replay was not recorded, or not said by a model."""
    endpoint = str((recording.header.configuration or {}).get("endpoint") or "")
    if endpoint.rpartition(":")[0].strip("[]") in _THIS_MACHINE:
        yield f"recorded from a service on {endpoint}, such as the emulator, and not from Azure"
    answers = [turn for turn in timeline.turns if turn.role == "assistant" and turn.is_spoken]
    unknown = sum(not turn.has_account for turn in answers)
    if unknown:
        yield (
            f"when {unknown} of {len(answers)} answers were heard is estimated: no speaker was recorded that "
            "says so"
        )
    if any(turn.is_interrupted and turn.has_account and turn.text for turn in answers):
        yield "which words of interrupted answers were heard is estimated, by the share of the sound"


def _export(
    name: str,
    path: str,
    recording: Recording,
    timeline: Timeline,
    arguments: argparse.Namespace,
    progress: Progress,
) -> bool:
    """Write one file, and return whether it could be written."""
    passes = 3 if name == "to_html" else 1
    progress.begin(path, max(passes * timeline.seconds, 0.001))
    try:
        remark = _write(name, path, recording, timeline, arguments, progress.advance)
    except (OSError, ValueError) as exc:
        reason = (exc.strerror or exc) if isinstance(exc, OSError) else exc
        _complain(f"{_option(name)}: cannot write {path}: {reason}")
        return False
    finally:
        progress.end()
    if path != "-":
        print(one_line(f"saved as {path}"), flush=True)
    if remark is not None:
        _complain(remark)
    return True


def _write(
    name: str,
    path: str,
    recording: Recording,
    timeline: Timeline,
    arguments: argparse.Namespace,
    advance: Callable[[float], object],
) -> str | None:
    """Write one file, and return what is to be remarked."""
    if name == "to_html":
        why = write_page(
            path,
            recording,
            timeline,
            title=Path(arguments.file).name.encode(errors="replace").decode(),
            has_sound=not arguments.no_sound,
            advance=advance,
        )
        return f"the page has no sound: {why}" if why is not None else None
    if name == "to_wav":
        write_stereo(path, timeline, advance)
        return None if timeline.has_sound else "the WAV file is silent: the recording has no sound"
    if name == "to_srt":
        content = subtitles(timeline)
    else:
        text = orjson.dumps(document(recording, timeline), option=orjson.OPT_INDENT_2).decode()
        content = printable_json(text) + "\n"
    if path == "-":
        sys.stdout.write(content)
    else:
        Path(path).write_text(content, encoding="utf-8", newline="\n")
    return None


def _play(timeline: Timeline, arguments: argparse.Namespace) -> None:
    screen = Printer()
    speaker, why = None, None
    if arguments.speed and not arguments.no_sound:
        speaker, why = open_speaker(timeline, arguments.speed, device_of(arguments.output))
    if why is not None:
        screen.note(why)
    play(timeline, screen, arguments.speed, speaker)
    median = timeline.median_latency
    counts = (
        f"turns: {len(timeline.turns)}, interruptions: {len(timeline.interruptions)}, "
        f"tool calls: {len(timeline.tool_calls)}, errors: {len(timeline.failures)}"
    )
    waits = f"; median latency: {median * 1000:.0f} ms" if median is not None else ""
    screen.note(f"{timeline.seconds:.1f} s; {counts}{waits}")


def _tell_problems(recording: Recording) -> None:
    problems = recording.problems
    for problem in problems[:_MAX_PROBLEMS]:
        _complain(str(problem))
    if len(problems) > _MAX_PROBLEMS:
        _complain(f"and {len(problems) - _MAX_PROBLEMS} more lines")


def _complain(problem: str) -> None:
    print(one_line(f"azure-rt-audio replay: {problem}"), file=sys.stderr)
