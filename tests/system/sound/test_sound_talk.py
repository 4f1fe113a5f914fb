"""``azure-rt-audio talk``: a terminal, a microphone, a loudspeaker, and somebody who speaks and listens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import Terminal, from_emulator
from sound.room import Room
from speech import QUESTION_WORDS, errors_in, needs_speech, read_question

from azure_rt_audio.emulator import Close, Emulator, Faults, Recogniser, Synthesiser, after

pytestmark = pytest.mark.sound

ANSWER = "The weather in London is good today, and the sun will shine until the evening."
SILENCE = bytes(48_000)


@pytest.fixture
def recogniser() -> Iterator[Recogniser]:
    """Ears for the service, and for what comes out of the loudspeaker."""
    recogniser = Recogniser()
    yield recogniser
    recogniser.close()


@needs_speech
def test_a_question_is_spoken_and_its_answer_heard(
    room: Room, recogniser: Recogniser, tmp_path: Path
) -> None:
    """What is said into the microphone stands on the screen, and what leaves the speaker is the answer."""
    service = Emulator(recogniser=recogniser, synthesiser=Synthesiser("flite"), responder=lambda *_: ANSWER)
    with (
        service,
        room.listen() as heard,
        Terminal("talk", cwd=tmp_path, **from_emulator(service)) as terminal,
    ):
        terminal.wait_for("say something")
        room.say(SILENCE + read_question() + SILENCE)
        terminal.wait_for("Lisbon".lower())
        terminal.wait_for("London")
        terminal.wait_for("speaking")
        terminal.wait_for("answered after")
        heard.wait_for_sound()
        heard.wait_for_silence(ms=1_000)
        terminal.press("q")
        assert terminal.wait() == 0
        transcript = service.sent("conversation.item.input_audio_transcription.completed")[0]["transcript"]

    understood = recogniser(heard.sound).result(60)
    assert errors_in(transcript, QUESTION_WORDS) <= 1
    assert errors_in(understood, ANSWER) <= 3, understood


@pytest.mark.parametrize(
    ("end", "code"),
    [("q", 0), ("\x03", 0), (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["q", "ctrl-c", "SIGINT", "SIGTERM", "SIGHUP"],
)
def test_the_terminal_is_left_as_it_was(room: Room, end: str | int, code: int, tmp_path: Path) -> None:
    """However it is ended, the screen, the cursor, the mouse and the line discipline are back."""
    with Terminal("talk", cwd=tmp_path) as terminal:
        before = terminal.discipline()
        terminal.wait_for("say something")
        assert terminal.discipline() != before
        if isinstance(end, str):
            terminal.press(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.wait() == code
        after = terminal.discipline()

    assert before == after
    assert "Traceback" not in terminal.shown
    for taken, given_back in (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h")):
        assert terminal.shown.rindex(given_back) > terminal.shown.rindex(taken)
    for mouse in (1000, 1003, 1006):
        assert terminal.shown.rindex(f"\x1b[?{mouse}l") > terminal.shown.rindex(f"\x1b[?{mouse}h")


def test_a_speaker_that_is_pulled_out_is_told(room: Room, tmp_path: Path) -> None:
    """A device that disappears in mid-call is named with a remedy, and the next one is taken."""
    room.add_sink("spk2")
    with room.pinned():
        environment = {"PULSE_PROP": os.environ["PULSE_PROP"]}
    with Terminal("talk", "--output", "spk", cwd=tmp_path, **environment) as terminal:
        terminal.wait_for("say something")
        room.make_default(sink="spk2")
        room.remove_sink("spk")
        terminal.wait_for("The speaker spk")
        terminal.wait_for("is lost")
        terminal.wait_for("The speaker is ")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_refused_key_gives_the_screen_back(room: Room, tmp_path: Path) -> None:
    """The reason stands on the terminal as it was, with exit code 1."""
    with Emulator() as service:
        variables = from_emulator(service, AZURE_OPENAI_API_KEY="s3cret-and-wrong")
        with Terminal("talk", cwd=tmp_path, **variables) as terminal:
            terminal.wait_for("azure-rt-audio talk: ")
            terminal.wait_for("401")
            assert terminal.wait() == 1

    assert "s3cret" not in terminal.shown
    assert terminal.shown.rindex("401") > terminal.shown.rindex("\x1b[?1049l")


def test_a_connection_lost_in_mid_call_is_told(room: Room, tmp_path: Path) -> None:
    """An end for good stays on the screen; the exit code is 1, and the reason is said once more."""
    faults = Faults(after("response.audio.delta", Close(4000), count=3))
    service = Emulator(faults=faults)
    with service, Terminal("talk", cwd=tmp_path, **from_emulator(service)) as terminal:
        terminal.wait_for("say something")
        room.say(SILENCE + read_question() + SILENCE)
        terminal.wait_for("the connection has ended")
        terminal.press("q")
        assert terminal.wait() == 1

    assert terminal.shown.rindex("azure-rt-audio talk: ") > terminal.shown.rindex("\x1b[?1049l")


def test_nothing_is_written_over_the_screen(room: Room, tmp_path: Path) -> None:
    """What C libraries and loggers write to standard error is not drawn between the lines of the screen."""
    (tmp_path / "sitecustomize.py").write_text(
        "import logging, os, sys, threading\n"
        "def spill(before=sys.__stderr__):\n"
        "    while sys.__stderr__ is before:  # there is no screen yet\n"
        "        threading.Event().wait(0.05)\n"
        "    os.write(2, b'ALSA lib says no')\n"
        "    logging.getLogger('azure_rt_audio').warning('a warning')\n"
        "    logging.getLogger('other').warning('of others')\n"
        "threading.Thread(target=spill, daemon=True).start()\n"
    )
    path = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[3])))
    with Terminal("talk", cwd=tmp_path, PYTHONPATH=path) as terminal:
        terminal.wait_for("say something")
        room.say(read_question() + SILENCE + SILENCE)
        terminal.wait_for("answered after")
        terminal.press("q")
        assert terminal.wait() == 0

    for words in ("ALSA lib", "a warning", "of others"):
        assert words not in terminal.shown
