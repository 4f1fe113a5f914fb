"""``azure-rt-audio transcribe``: transcripts of audio files."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

import orjson
from attrs import frozen

from ... import AzureRealTimeAudio, RealtimeError, SessionConfig, WebSocketState
from ..._printable import one_line, printable_json
from ...audio import AudioReader, Channel
from ...protocol.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
)
from ...protocol.service_errors import transcription_error
from ...protocol.session import InputAudioTranscription
from ..files import check_distinct, readable
from ..progress import Progress, open_progress
from ..service import Service, add_service_arguments, new_client, open_service, tell_remedies
from ..texts import option_text
from .segments import Segment, segments

__all__ = ["add_arguments", "run"]

_TIMEOUT_SECONDS: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_service_arguments(parser)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio files: WAV, FLAC, OGG or MP3, of any rate and length",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per line and file, with timestamps"
    )
    parser.add_argument(
        "--channel",
        choices=("mix", "left", "right"),
        default="mix",
        help="of stereo files: both sides mixed, or one of them, as of a telephone call (default: mix)",
    )
    parser.add_argument(
        "--language", metavar="CODE", type=option_text, help="language, such as en (default: detect)"
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Transcribe the files one after the other. Blocks.

    Returns:
        0; 1 if a file could not be transcribed.
    """
    files = [("FILE", readable(path, "FILE")) for path in arguments.files]
    check_distinct([("--record", arguments.record)], files)
    language = {} if arguments.language is None else {"language": arguments.language}
    # A conversation without responses, which is the same in both dialects. Without turn detection, each
    # commit is a message.
    session = SessionConfig(
        modalities=["text"],
        input_audio_format="pcm16",
        input_audio_transcription=InputAudioTranscription(**language),
        turn_detection=None,
    )
    failures = 0
    with (
        open_service(arguments, session, {}, will_hear=True, needs_transcripts=True) as service,
        _Transcriber(service) as transcriber,
        open_progress(len(arguments.files)) as progress,
    ):
        tell_remedies(arguments, service)
        for path in arguments.files:
            outcome = _transcribe(transcriber, path, arguments.channel, progress)
            failures += outcome.error is not None
            _print(outcome, arguments)
    return 1 if failures else 0


@frozen
class _Transcript:
    start_ms: int
    end_ms: int
    text: str


@frozen
class _Outcome:
    """The result of a file: transcripts of its segments, up to the end or an error."""

    path: str
    seconds: float
    transcripts: list[_Transcript]
    error: str | None = None

    @property
    def text(self) -> str:
        return " ".join(transcript.text for transcript in self.transcripts)


def _transcribe(transcriber: _Transcriber, path: str, channel: Channel, progress: Progress) -> _Outcome:
    transcripts: list[_Transcript] = []
    seconds = 0.0
    transcriber.connect()  # an error here concerns all files
    try:
        with AudioReader(path, channel) as reader:
            seconds = reader.seconds
            progress.begin(path, seconds)
            for segment in segments(reader):
                text = transcriber.transcribe(segment)
                if text:
                    transcripts.append(_Transcript(segment.start_ms, segment.end_ms, text))
                progress.advance(segment.end_ms / 1000)
    except TimeoutError as exc:  # a subclass of OSError, but not of the file
        return _Outcome(path, seconds, transcripts, str(exc))
    except OSError as exc:
        return _Outcome(path, seconds, transcripts, f"cannot be read: {exc.strerror or exc}")
    except (ValueError, RealtimeError) as exc:
        return _Outcome(path, seconds, transcripts, str(exc).removeprefix(f"{path} "))
    finally:
        progress.end()
    return _Outcome(path, seconds, transcripts)


def _print(outcome: _Outcome, arguments: argparse.Namespace) -> None:
    if arguments.json:
        shown: dict[str, Any] = {
            "file": outcome.path.encode(errors="replace").decode(),  # JSON cannot contain surrogates
            "seconds": round(outcome.seconds, 3),
            "text": outcome.text,
            "segments": [
                {"start_ms": transcript.start_ms, "end_ms": transcript.end_ms, "text": transcript.text}
                for transcript in outcome.transcripts
            ],
        }
        if outcome.error is not None:
            shown["error"] = outcome.error
        print(printable_json(orjson.dumps(shown).decode()), flush=True)
    elif outcome.error is None or outcome.text:
        label = "" if len(arguments.files) == 1 else f"{outcome.path}: "
        print(one_line(label + outcome.text), flush=True)
    if outcome.error is not None:
        problem = f"azure-rt-audio transcribe: {outcome.path}: {outcome.error}"
        print(one_line(problem), file=sys.stderr, flush=True)


class _Transcriber:
    """
    A session for transcription, with a client for each connection.

    A transcript that was under way when its connection was lost never comes, so its file fails at once; the
    next file is transcribed by another client.

    **Threads**: not shared.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._client: AzureRealTimeAudio | None = None
        self._clients = 0

    def connect(self) -> None:
        """Connect unless connected; raises :class:`RealtimeError` and ``TimeoutError``."""
        if self._client is not None and self._client.state is WebSocketState.OPEN:
            return
        self.close()
        self._clients += 1
        self._client = new_client(self._service, number=self._clients, does_reconnect=False)
        self._client.wait_until_ready()

    def transcribe(self, segment: Segment) -> str:
        """
        Return the transcript. Blocks.

        Raises:
            RealtimeError: The service refused, or the connection ended.
            TimeoutError: No event for a minute.
        """
        client = self._client
        assert client is not None
        results = (
            ConversationItemInputAudioTranscriptionCompleted,
            ConversationItemInputAudioTranscriptionFailed,
        )
        with client.events(*results, timeout=_TIMEOUT_SECONDS) as events:
            client.append_audio(segment.pcm)
            item_id = client.commit_audio().result(_TIMEOUT_SECONDS).item_id
            for event in events:
                if event.item_id != item_id:
                    continue
                client.delete_item(item_id)  # or a long file exceeds the conversation's limits
                if isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
                    return event.transcript.strip()
                asked = client.session.input_audio_transcription if client.session is not None else None
                raise transcription_error(event, asked.model if asked is not None else None)
        raise AssertionError("events end with an exception")

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> _Transcriber:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
