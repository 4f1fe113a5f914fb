"""The detector that knows speech from noise, on real recordings."""

from __future__ import annotations

import random
import subprocess
import sys
from array import array

import pytest
from speech import needs_speech, read_question

from azure_rt_audio.emulator import EnergyDetector, SileroDetector
from azure_rt_audio.emulator.model.pcm import samples, to_bytes
from azure_rt_audio.emulator.speech.vad import InputBuffer, SpeechStarted, SpeechStopped

pytestmark = needs_speech

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


def hiss(ms: int, peak: int) -> bytes:
    """White noise."""
    source = random.Random(4)
    return to_bytes(array("h", [source.randint(-peak, peak) for _ in range(24 * ms)]))


def mixed(one: bytes, other: bytes) -> bytes:
    """Two sounds at once; the first decides how long."""
    pairs = zip(samples(one), samples(other), strict=False)
    return to_bytes(array("h", [max(-32768, min(32767, a + b)) for a, b in pairs]))


@pytest.mark.parametrize("chunk_bytes", [480, 4_800, 9_602, 1_000_000])
def test_the_offsets_are_those_of_the_speech(chunk_bytes: int) -> None:
    """It begins at the speech less the padding, and ends with the silence, however the sound is cut."""
    pcm = bytes(48 * 1_000) + read_question() + bytes(48 * 1_000)
    buffer = InputBuffer(SileroDetector())
    found = [
        event
        for start in range(0, len(pcm), chunk_bytes)
        for event in buffer.append(pcm[start : start + chunk_bytes], VAD)
    ]

    # Silence to 1.3 s, speech to 3.4 s.
    started, stopped = found
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert started.audio_start_ms == pytest.approx(1_300 - 300, abs=64)
    assert stopped.audio_end_ms == pytest.approx(3_390 + 500, abs=96)
    assert len(stopped.pcm) == (stopped.audio_end_ms - started.audio_start_ms) * 48


def test_noise_is_no_speech() -> None:
    """Loud hiss is speech for energy, not for the network; speech in it is found."""
    noise = hiss(5_000, 3_000)
    question = mixed(bytes(48 * 1_000) + read_question() + bytes(48 * 900), noise)

    assert InputBuffer(EnergyDetector()).append(noise, VAD) != []
    assert InputBuffer(SileroDetector()).append(noise, VAD) == []
    started, stopped = InputBuffer(SileroDetector()).append(question, VAD)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert 900 <= started.audio_start_ms <= 1_500
    assert 3_300 <= stopped.audio_end_ms <= 4_200


def test_the_settings_are_obeyed() -> None:
    """Padding and silence are the session's, and a threshold that nothing reaches hears nothing."""
    pcm = bytes(48 * 1_000) + read_question() + bytes(48 * 2_000)
    short = InputBuffer(SileroDetector()).append(pcm, {**VAD, "prefix_padding_ms": 0})
    patient = InputBuffer(SileroDetector()).append(pcm, {**VAD, "silence_duration_ms": 1_000})
    usual = InputBuffer(SileroDetector()).append(pcm, VAD)
    eager = InputBuffer(SileroDetector()).append(pcm, {"type": "semantic_vad", "eagerness": "high"})

    assert short[0].audio_start_ms - usual[0].audio_start_ms == 300
    assert patient[1].audio_end_ms - usual[1].audio_end_ms == pytest.approx(500, abs=32)
    assert len(eager) >= 2
    assert InputBuffer(SileroDetector()).append(pcm, {**VAD, "threshold": 1.0}) == []


def test_a_cleared_buffer_hears_afresh() -> None:
    """After a clear the offsets go on from there, and nothing said before counts."""
    question = read_question()
    buffer = InputBuffer(SileroDetector())
    buffer.append(question[: 48 * 1_500], VAD)
    assert buffer.is_in_speech
    buffer.clear()
    started, stopped = buffer.append(question + bytes(48 * 1_000), VAD)

    assert started.audio_start_ms == pytest.approx(1_500, abs=64)
    assert stopped.audio_end_ms == pytest.approx(1_500 + 2_390 + 500, abs=96)


def test_silence_is_not_hoarded() -> None:
    """While nobody speaks only the padding is kept, and what the network has not seen yet."""
    buffer = InputBuffer(SileroDetector())
    for _ in range(100):
        buffer.append(bytes(48 * 100), VAD)

    assert buffer.duration_ms < 600


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux does")
def test_one_thread_is_enough() -> None:
    """The network starts no threads that wait for each other, and leaves the environment as it was."""
    program = (
        "import os\n"
        "from azure_rt_audio.emulator import SileroDetector\n"
        "def threads(): return len(os.listdir('/proc/self/task'))\n"
        "import numpy, soxr\n"
        "before = threads()\n"
        "SileroDetector().scores(bytes(480_000))\n"
        "print(threads() - before, 'OMP_THREAD_LIMIT' in os.environ)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0", "False"]
