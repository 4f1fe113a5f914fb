"""Speech from end to end: a spoken question is understood, answered, and the answer can be understood."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from cli_runner import run
from speech import TOMORROW, TOMORROW_WORDS, errors_in, read_question, words_of

from azure_rt_audio import AzureRealTimeAudio, SessionConfig, TurnDetection
from azure_rt_audio.audio import duration_ms, read_wav
from azure_rt_audio.emulator import Emulator, Recogniser, SileroDetector, Synthesiser
from azure_rt_audio.emulator.model.pcm import from_wire, samples, to_wire
from azure_rt_audio.protocol.session import InputAudioTranscription

pytestmark = pytest.mark.sound

SECONDS = 20.0
VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
SENTENCES = (
    "What is the weather like in Lisbon today?",
    "Please count to one hundred.",
    "Stop. Thank you, that is enough.",
    "Can you tell me the time in New York?",
    "Hello, who are you?",
    "Tell me a joke about computers.",
    "The harbour is open until nine in the evening.",
    "How many people live in this town?",
    "I would like to book a table for four people.",
    "Repeat after me: the sky is blue.",
    "Turn on the light in the kitchen, please.",
    "Here is the result: the sky is sunny, and the temperature is twenty four degrees.",
)


@pytest.fixture(scope="module")
def recogniser() -> Iterator[Recogniser]:
    """A recogniser for the emulator and for the tests."""
    with Recogniser() as recogniser:
        recogniser.warm_up()
        yield recogniser


def session(**changes: Any) -> SessionConfig:
    """A session in which the service decides when the user has finished."""
    return SessionConfig(
        input_audio_transcription=InputAudioTranscription(model="gpt-4o-transcribe"),
        turn_detection=TurnDetection(type="server_vad", threshold=0.5, silence_duration_ms=500),
        **changes,
    )


def speak_to(client: AzureRealTimeAudio, pcm: bytes) -> None:
    """Say something, and be silent for a second after it."""
    whole = pcm + bytes(48_000)
    for start in range(0, len(whole), 4_800):
        client.append_audio(whole[start : start + 4_800])


def test_a_spoken_question_gets_an_answer_that_can_be_understood(
    recogniser: Recogniser, dialect: str
) -> None:
    """Question WAV, real socket, real words: a recogniser hears the answer's words in its sound."""
    answer = "The weather in New York is sunny tomorrow. The temperature is twenty four degrees."
    questions: Queue[str] = Queue()

    def reply(conversation: Any, session: Any) -> str:
        questions.put(conversation.last_user_text)
        return answer

    with Emulator(
        recogniser=recogniser, detector=SileroDetector, synthesiser=Synthesiser("flite"), responder=reply
    ) as service:
        options = {**service.options(dialect), "session_config": session()}
        with AzureRealTimeAudio(options) as client:
            wanted = (
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                "conversation.item.input_audio_transcription.completed",
                "response.audio.delta",
                "response.done",
            )
            with client.events(*wanted, timeout=SECONDS) as events:
                speak_to(client, bytes(48_000) + read_wav(TOMORROW))
                seen: dict[str, Any] = {}
                sound = bytearray()
                for event in events:
                    seen.setdefault(type(event).__name__, event)
                    sound += getattr(event, "audio", b"")
                    if type(event).__name__ == "ResponseDone":
                        break

    heard = recogniser(bytes(sound)).result(SECONDS)
    transcribed = seen["ConversationItemInputAudioTranscriptionCompleted"].transcript
    assert words_of(transcribed) == words_of(TOMORROW_WORDS)
    assert questions.get_nowait() == transcribed
    # A second of silence, 2.7 s of speech from then on, of which 0.3 s are the padding before it.
    assert seen["InputAudioBufferSpeechStarted"].audio_start_ms == pytest.approx(700, abs=250)
    assert seen["InputAudioBufferSpeechStopped"].audio_end_ms == pytest.approx(4_100, abs=250)
    assert seen["ResponseDone"].response.text == answer
    assert {"weather", "new", "york", "sunny", "temperature", "degrees"} <= set(words_of(heard))
    assert errors_in(heard, answer) <= len(words_of(answer)) / 4


def test_the_answer_is_interrupted_by_speech(recogniser: Recogniser, dialect: str) -> None:
    """Speech over a spoken answer stops it, and is understood and answered itself."""
    with Emulator(
        recogniser=recogniser, detector=SileroDetector, synthesiser=Synthesiser("flite"), pace=2
    ) as service:
        options = {**service.options(dialect), "session_config": session()}
        with (
            AzureRealTimeAudio(options) as client,
            client.events("response.audio.delta", "response.done", timeout=SECONDS) as events,
        ):
            text = {"type": "input_text", "text": "Please count to 100."}
            client.create_conversation_item({"type": "message", "role": "user", "content": [text]})
            client.create_response()
            counted = bytearray()
            ended: list[Any] = []
            for event in events:
                if type(event).__name__ == "ResponseDone":
                    ended.append(event.response)
                    if len(ended) == 2:
                        break
                elif not ended:
                    counted += event.audio
                    if duration_ms(len(counted)) == 1_000:
                        speak_to(client, read_question())

    stopped, answer = ended
    assert (stopped.status, stopped.reason) == ("cancelled", "turn_detected")
    assert duration_ms(len(counted)) < 30_000
    heard = words_of(recogniser(bytes(counted[:240_000])).result(SECONDS))
    assert len({"one", "two", "three", "four"} & set(heard)) >= 2
    assert answer.status == "completed"
    assert "what is the weather like in lisbon today" in answer.text


@pytest.mark.parametrize("wire_format", ["g711_ulaw", "g711_alaw"])
def test_a_telephone_call(recogniser: Recogniser, wire_format: str, dialect: str) -> None:
    """Over G.711 a question is understood well enough to be answered, and the answer can be understood."""
    with Emulator(
        recogniser=recogniser,
        detector=SileroDetector,
        synthesiser=Synthesiser("flite"),
        responder=lambda *_: "The weather is sunny and warm today.",
    ) as service:
        config = session(input_audio_format=wire_format, output_audio_format=wire_format)
        with AzureRealTimeAudio({**service.options(dialect), "session_config": config}) as client:
            client.wait_until_ready(SECONDS)
            with client.events("response.audio.delta", "response.done", timeout=SECONDS) as events:
                wire = to_wire(read_question() + bytes(48_000), wire_format)
                for start in range(0, len(wire), 800):
                    client.append_audio(wire[start : start + 800])
                sound = bytearray()
                for event in events:
                    if type(event).__name__ == "ResponseDone":
                        break
                    sound += event.audio
        [transcribed] = service.sent("conversation.item.input_audio_transcription.completed")

    heard = recogniser(from_wire(bytes(sound), wire_format)).result(SECONDS)
    assert "weather" in transcribed["transcript"]
    assert len({"weather", "sunny", "warm", "today"} & set(words_of(heard))) >= 2


def test_the_voices_are_distinct_and_stable() -> None:
    """Each of the service's voices sounds the same every time and unlike the others; speed is honoured."""
    voice = Synthesiser("flite")
    sounds = {name: voice.speak("Good morning.", voice=name) for name in VOICES}
    slow, fast = (voice.speak("Good morning.", voice="alloy", speed=speed) for speed in (0.5, 1.5))

    assert len(set(sounds.values())) == len(VOICES)
    assert sounds["marin"] == voice.speak("Good morning.", voice="marin")
    assert voice.speak("Hi.", voice="fable") == voice.speak("Hi.", voice="fable")
    assert len(slow) / len(sounds["alloy"]) == pytest.approx(2, rel=0.1)
    assert len(sounds["alloy"]) / len(fast) == pytest.approx(1.5, rel=0.1)
    assert voice.speak("\u65e5\u672c\u8a9e") == b""
    assert voice.speak("It\u2019s caf\u00e9 \u2013 yes.") == voice.speak("It's cafe ,  yes.")


@pytest.mark.parametrize("engine", ["flite", "espeak-ng"])
def test_an_engine_makes_sound(engine: str) -> None:
    """Seconds of sound that is neither silent nor clipped."""
    pcm = Synthesiser(engine).speak("The quick brown fox jumps over the lazy dog.", voice="echo")

    assert 1_500 < duration_ms(len(pcm)) < 5_000
    assert 3_000 < max(map(abs, samples(pcm))) <= 32_767


@pytest.mark.parametrize("name", ["alloy", "echo", "marin"])
def test_a_dozen_sentences_are_understood(recogniser: Recogniser, name: str) -> None:
    """At most one word in six is wrong."""
    voice = Synthesiser("flite")
    heard = [recogniser(voice.speak(sentence, voice=name)) for sentence in SENTENCES]
    wrong = sum(errors_in(h.result(60), s) for h, s in zip(heard, SENTENCES, strict=True))

    assert wrong / sum(len(words_of(sentence)) for sentence in SENTENCES) <= 1 / 6


def test_the_demo_speaks_and_is_understood(dialect: str, tmp_path: Path) -> None:
    """The README's first command asks by voice, and a recogniser understands what it saved."""
    done = run("demo", "--emulator", "--dialect", dialect, cwd=tmp_path, PATH=os.environ["PATH"])

    story = " ".join(done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert "you what is the weather like in lisbon today" in story
    [heard] = re.findall(r'a speech recogniser hears in it: "([^"]*)"', story)
    assert {"result", "sunny", "temperature", "degrees"} <= set(heard.split())
