"""``azure-rt-audio demo``: a conversation from beginning to end, checked step by step."""

from __future__ import annotations

import argparse
import contextlib
import platform
import re
import threading
from pathlib import Path
from time import monotonic
from typing import Final

import orjson

from ... import AzureRealTimeAudio, SessionConfig, TurnDetection, __version__
from ...audio import duration_ms, write_wav
from ...devices import SimulatedMicrophone, SimulatedSpeaker
from ...errors import RealtimeError
from ...protocol.items import FunctionCallItem
from ...protocol.tools import FunctionTool
from ...protocol.turn import ModelStatusEnum
from .. import UsageError, recordings
from ..files import check_distinct, writable
from ..printer import Printer
from ..service import Service, add_service_arguments, new_client, open_service
from ..texts import option_text
from .transcript import MissedError, Transcript, Turn

__all__ = ["add_arguments", "run"]

_GREETING: Final = "Hello, who are you?"
_LONG_TASK: Final = "Please count to 100, slowly."
_PAUSE: Final = bytes(48_000)  # a second
_HEARD_BEFORE_INTERRUPTION: Final = bytes(72_000)
_LATE_SECONDS: Final = 3.0
"""What the service has not told so long after the last sound, it has not heard."""

_INSTRUCTIONS: Final = (
    "You are a friendly assistant. Speak English and answer in one or two short sentences, "
    "unless you are asked to count: then count to the end, one number after the other."
)
_WORDS: Final = re.compile(r"[a-z]+")
_WEATHER: Final = FunctionTool(
    name="get_weather",
    description="Tell the present weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_service_arguments(parser)
    parser.add_argument(
        "--audio",
        metavar="FILE",
        help="a WAV file to ask with, any rate, mono or stereo (default: one that comes with the package)",
    )
    parser.add_argument(
        "--says",
        metavar="TEXT",
        type=option_text,
        help="what is said in FILE; only the emulator wants to know, in case it does not understand it",
    )
    parser.add_argument(
        "--out", metavar="FILE", default="answer.wav", help="where to save the answer (default: answer.wav)"
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Run the demonstration. Blocks for some seconds.

    Returns:
        0 if every step happened, 1 if not.
    """
    out = writable(arguments.out, "--out", [".wav"])
    outputs = [("--out", arguments.out), ("--record", arguments.record)]
    check_distinct(outputs, [("--audio", arguments.audio)])
    question, name = _question(arguments.audio)
    if arguments.says is not None and arguments.audio is None:
        raise UsageError("--says TEXT is the transcript of --audio FILE; pass both")
    told = {question: arguments.says} if arguments.says is not None else {}
    session = SessionConfig(
        voice="alloy",
        instructions=_INSTRUCTIONS,
        input_audio_format="pcm16",
        output_audio_format="pcm16",
        turn_detection=TurnDetection(type="server_vad", threshold=0.5, silence_duration_ms=600),
        tools=[_WEATHER],
    )
    screen = Printer()
    screen.line("library", f"azure-rt-audio {__version__}, Python {platform.python_version()}")
    with open_service(arguments, session, told, will_hear=True) as service:
        screen.line("service", service.name)
        if service.is_embedded:
            # That it has no model, and how it hears and speaks, is told on standard error already.
            screen.note(f"(no account, no network; at {service.tempo:.0f} times real time)")
            for remedy in service.remedies:
                screen.note(f"({remedy})")
        return _converse(service, screen, question, name, out)


def _converse(service: Service, screen: Printer, question: bytes, name: str, out: Path) -> int:
    began = monotonic()
    screen.heading("1. Connect")
    with new_client(service, does_reconnect=False) as client:
        session = client.session
        assert session is not None
        screen.note(
            f"ready in {(monotonic() - began) * 1000:.0f} ms: {session.model}, voice {session.voice}, "
            f"{service.options.resolved_dialect.label} protocol"
        )
        microphone = SimulatedMicrophone(block_ms=100, tempo=service.tempo)
        sender = threading.Thread(
            target=_send, args=(client, microphone), name="demo-microphone", daemon=True
        )
        demo = _Demo(client, screen, microphone, SimulatedSpeaker(tempo=service.tempo), service)
        try:
            microphone.start()
            sender.start()
            demo.text_turn()
            demo.spoken_turn(question, name, out)
            demo.interruption()
        except MissedError as exc:
            screen.end_line()
            screen.line("missing", str(exc))
            return 1
        finally:
            microphone.close()
            if sender.ident is not None:
                sender.join()
    screen.heading("Everything happened as it should")
    screen.note(f"{monotonic() - began:.1f} s in all; listen to {out}")
    return 0


class _Demo:
    """The steps; each raises :class:`MissedError` if something that belongs to it did not happen."""

    def __init__(
        self,
        client: AzureRealTimeAudio,
        screen: Printer,
        microphone: SimulatedMicrophone,
        speaker: SimulatedSpeaker,
        service: Service,
    ) -> None:
        self._client = client
        self._screen = screen
        self._microphone = microphone
        self._service = service
        self._speaker = speaker
        self._transcript = Transcript(client, screen, speaker, _call)
        self._follow = self._transcript.follow

    def text_turn(self) -> None:
        """Write, and read the answer."""
        self._screen.heading("2. Text in, text out")
        turn = self._write(_GREETING)
        self._client.create_response({"modalities": ["text"]})
        self._follow(lambda: turn.answer is not None, "the text turn got no answer")
        if turn.answer is None or not turn.answer.text:
            raise MissedError("the answer to the text turn is empty")
        self._report(turn, "first word", turn.latency.first_text_at, "the question was sent")

    def spoken_turn(self, question: bytes, name: str, out: Path) -> None:
        """Speak, have a function called, and hear the answer."""
        self._screen.heading("3. Speech in, a tool call, speech out")
        turn = self._begin()
        self._screen.line("you", f"[speak: {name}, {duration_ms(len(question)) / 1000:.1f} s]")
        self._microphone.say(question + _PAUSE)
        self._follow(lambda: self._is_over(turn), f"the spoken turn ({name}) got no answer")
        if not turn.has_speech:
            raise MissedError(f"nobody was heard to speak in {name}; is it silent, or very quiet?")
        self._check_sound(turn)
        self._report(turn, "first audio", turn.latency.first_audio_at, "the end of speech")
        if not turn.calls:
            turn = self._call_by_text()
        audio = turn.answer_audio
        try:
            write_wav(out, audio)
        except OSError as exc:
            raise MissedError(f"the answer could not be saved: {exc}") from exc
        self._screen.note(f"saved as {out}: {duration_ms(len(audio)) / 1000:.1f} s")
        self._listen_to(turn)

    def _listen_to(self, turn: Turn) -> None:
        """Have the answer's sound understood, where something here can do that."""
        if self._service.listen is None or turn.answer is None:
            return
        try:
            heard = self._service.listen(turn.answer_audio)
        except RuntimeError as exc:
            raise MissedError(f"nobody could listen to the answer: {exc}") from exc
        self._screen.note(f'a speech recogniser hears in it: "{heard}"')
        said = set(_WORDS.findall(turn.answer.text.lower()))
        if self._service.speaks_clearly and len(said & set(_WORDS.findall(heard))) < len(said) / 2:
            raise MissedError(f'the answer cannot be understood: it should say "{turn.answer.text}"')

    def _call_by_text(self) -> Turn:
        """What was said did not make the model call the function; written words will."""
        turn = self._write(recordings.QUESTION_WORDS)
        self._client.create_response()
        self._follow(lambda: turn.answer is not None, "the question for the weather got no answer")
        if not turn.calls:
            raise MissedError("the model did not call get_weather")
        self._check_sound(turn)
        self._report(turn, "first audio", turn.latency.first_audio_at, "the question was sent")
        return turn

    def interruption(self) -> None:
        """Ask for something long, and speak over the answer."""
        self._screen.heading("4. An interruption")
        turn = self._write(_LONG_TASK)
        self._client.create_response()
        self._follow(lambda: turn.latency.first_audio_at is not None, "the long answer did not begin")
        self._microphone.say(_HEARD_BEFORE_INTERRUPTION + recordings.interruption() + _PAUSE)
        self._follow(lambda: self._is_over(turn), "there was no answer after the interruption")
        if not turn.has_speech:
            raise MissedError("the service did not notice that somebody spoke over the answer")
        if turn.stopped is None or turn.stopped.reason != "turn_detected":
            raise MissedError("the answer was not stopped when somebody spoke over it")
        self._follow(lambda: turn.cut_at_ms is not None, "the answer was not cut at what had been heard")
        sent_ms = duration_ms(len(turn.audio.get(turn.stopped.id or "", b"")))
        self._report(turn, "first audio", turn.latency.first_audio_at, "the end of speech")
        self._screen.note(
            f"of the counting, {sent_ms / 1000:.1f} s had come and {(turn.cut_at_ms or 0) / 1000:.1f} s been "
            "heard; the service has cut the rest"
        )

    def _is_over(self, turn: Turn) -> bool:
        """Whether a spoken turn is answered, or nothing was heard that there could be an answer to."""
        quiet = self._microphone.silent_s
        return quiet > 0 and (turn.answer is not None or (quiet > _LATE_SECONDS and not turn.has_speech))

    def _begin(self) -> Turn:
        self._transcript.turn = Turn()
        return self._transcript.turn

    def _write(self, text: str) -> Turn:
        self._screen.line("you", text)
        turn = self._begin()
        self._client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )
        return turn

    def _report(self, turn: Turn, what: str, first_at: float | None, after: str) -> None:
        """Say how long it took; nobody listens, so the answer counts as heard."""
        self._speaker.stop()
        self._client.set_model_speak_done()
        self._follow(
            lambda: self._transcript.status is ModelStatusEnum.IDLE, "the status did not become idle"
        )
        self._screen.note(
            f"{what} {turn.since_asked_ms(first_at)} after {after}, "
            f"whole turn {turn.since_asked_ms(turn.latency.done_at)}"
        )

    @staticmethod
    def _check_sound(turn: Turn) -> None:
        if turn.answer is None or not any(turn.answer_audio):
            raise MissedError("the answer has no sound")


def _send(client: AzureRealTimeAudio, microphone: SimulatedMicrophone) -> None:
    """Send what the microphone brings, until it is closed or the connection ends."""
    with contextlib.suppress(RealtimeError, TimeoutError):
        while (block := microphone.read()) is not None:
            client.append_audio(block)


def _call(call: FunctionCallItem) -> str:
    """Answer a function call by hand; the arguments are what the model wrote, so nothing is certain."""
    try:
        city = orjson.loads(call.arguments or "{}")["city"]
    except (ValueError, KeyError, TypeError):
        return '{"error": "give the name of a city as city"}'
    if call.name != _WEATHER.name:
        return '{"error": "there is only get_weather"}'
    return orjson.dumps({"city": city, "sky": "sunny", "temperature": "24 degrees"}).decode()


def _question(path: str | None) -> tuple[bytes, str]:
    if path is None:
        return recordings.question(), "question.wav"
    return recordings.read(path, "--audio"), Path(path).name
