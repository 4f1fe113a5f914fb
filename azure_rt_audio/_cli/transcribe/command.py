"""``azure-rt-audio transcribe``: what is said in audio files."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

import orjson
from attrs import frozen

from ... import AzureRealTimeAudio, RealtimeError, ServiceError, SessionConfig, WebSocketState
from ...audio import AudioReader
from ...protocol.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
)
from ...protocol.session import InputAudioTranscription
from ..service import Service, add_service_arguments, open_service
from .progress import Progress, open_progress
from .segments import Segment, segments

__all__ = ["add_arguments", "run"]

_PATIENCE_SECONDS: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_service_arguments(parser)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio files: WAV, FLAC, OGG, MP3, at any rate, of any length",
    )
    parser.add_argument(
        "--json", action="store_true", help="print an object on a line of its own for each file, with times"
    )
    parser.add_argument("--language", metavar="CODE", help="what is spoken, such as en (default: guess)")


def run(arguments: argparse.Namespace) -> int:
    """
    Transcribe one file after the other. Blocks.

    Returns:
        0, or 1 if there is a file that could not be transcribed.
    """
    language = {} if arguments.language is None else {"language": arguments.language}
    # An ordinary session that is never asked for a response: the one way that is the same in both
    # dialects. Without turn detection, each piece is a message when we say so.
    session = SessionConfig(
        modalities=["text"],
        input_audio_format="pcm16",
        input_audio_transcription=InputAudioTranscription(**language),
        turn_detection=None,
    )
    failures = 0
    with (
        open_service(arguments, session, {}, will_hear=True, needs_transcripts=True) as service,
        _Listener(service) as listener,
        open_progress(len(arguments.files)) as progress,
    ):
        for path in arguments.files:
            outcome = _transcribe(listener, path, progress)
            failures += outcome.error is not None
            _print(outcome, arguments)
    return 1 if failures else 0


@frozen
class _Piece:
    start_ms: int
    end_ms: int
    text: str


@frozen
class _Outcome:
    """What became of a file: pieces up to its end, or up to an error."""

    path: str
    seconds: float
    pieces: list[_Piece]
    error: str | None = None

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


def _transcribe(listener: _Listener, path: str, progress: Progress) -> _Outcome:
    pieces: list[_Piece] = []
    seconds = 0.0
    listener.connect()  # what is wrong with this is wrong for every file
    try:
        with AudioReader(path) as reader:
            seconds = reader.seconds
            progress.begin(path, seconds)
            for segment in segments(reader):
                text = listener.hear(segment)
                if text:
                    pieces.append(_Piece(segment.start_ms, segment.end_ms, text))
                progress.advance(segment.end_ms / 1000)
    except TimeoutError as exc:  # an OSError as well, but of the service
        return _Outcome(path, seconds, pieces, str(exc))
    except OSError as exc:
        return _Outcome(path, seconds, pieces, f"cannot be read: {exc.strerror or exc}")
    except (ValueError, RealtimeError) as exc:
        return _Outcome(path, seconds, pieces, str(exc).removeprefix(f"{path} "))
    finally:
        progress.end()
    return _Outcome(path, seconds, pieces)


def _print(outcome: _Outcome, arguments: argparse.Namespace) -> None:
    if arguments.json:
        shown: dict[str, Any] = {
            "file": outcome.path.encode(errors="replace").decode(),  # JSON has no names that are no text
            "seconds": round(outcome.seconds, 3),
            "text": outcome.text,
            "segments": [
                {"start_ms": piece.start_ms, "end_ms": piece.end_ms, "text": piece.text}
                for piece in outcome.pieces
            ],
        }
        if outcome.error is not None:
            shown["error"] = outcome.error
        print(orjson.dumps(shown).decode(), flush=True)
    elif outcome.error is None or outcome.text:
        print(outcome.text if len(arguments.files) == 1 else f"{outcome.path}: {outcome.text}", flush=True)
    if outcome.error is not None:
        print(f"azure-rt-audio transcribe: {outcome.path}: {outcome.error}", file=sys.stderr, flush=True)


class _Listener:
    """
    A session that writes down what it hears, and a new one if that is lost.

    **Threads**: not shared.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._client: AzureRealTimeAudio | None = None

    def connect(self) -> None:
        """Have a session that is ready; raises a :class:`RealtimeError`, and ``TimeoutError``."""
        if self._client is not None and self._client.state is WebSocketState.OPEN:
            return
        self.close()
        self._client = AzureRealTimeAudio(self._service.options)
        self._client.wait_until_ready()

    def hear(self, segment: Segment) -> str:
        """
        Return what is said. Blocks.

        Raises:
            RealtimeError: The service refused, or is gone.
            TimeoutError: It says nothing for a minute.
        """
        client = self._client
        assert client is not None
        results = (
            ConversationItemInputAudioTranscriptionCompleted,
            ConversationItemInputAudioTranscriptionFailed,
        )
        with client.events(*results, timeout=_PATIENCE_SECONDS) as events:
            client.append_audio(segment.pcm)
            item_id = client.commit_audio().result(_PATIENCE_SECONDS).item_id
            for event in events:
                if event.item_id != item_id:
                    continue
                client.delete_item(item_id)  # or a long file fills the conversation
                if isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
                    return event.transcript.strip()
                error = event.error
                raise ServiceError(
                    error.message or "it was not transcribed; no reason is given", code=error.code
                )
        raise AssertionError("events end with an exception")

    def close(self) -> None:
        """Leave."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
