"""Resampling: what must vanish vanishes, what must stay stays, and chunks do not matter."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.audio import Resampler, resample

RATES = [(48_000, 24_000), (44_100, 24_000), (16_000, 24_000), (8_000, 24_000), (24_000, 8_000)]


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> bytes:
    """Return a sine at half of full scale."""
    phase = 2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz
    return bytes(np.rint(16384 * np.sin(phase)).astype("<i2").tobytes())


def level_db(pcm: bytes) -> float:
    """Return the RMS of the middle half, in dB of full scale, away from the ends' ringing."""
    samples = np.frombuffer(pcm, "<i2") / 32768
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(10 * np.log10(np.mean(middle**2) + 1e-20))


@pytest.mark.parametrize(
    ("frequency_hz", "from_hz", "to_hz"),
    [(20_000, 48_000, 24_000), (13_500, 48_000, 24_000), (14_000, 44_100, 24_000), (5_000, 24_000, 8_000)],
)
def test_what_the_new_rate_cannot_hold_vanishes(frequency_hz: int, from_hz: int, to_hz: int) -> None:
    """A tone above the new Nyquist frequency leaves an alias below -80 dB."""
    assert level_db(resample(tone(frequency_hz, from_hz), from_hz, to_hz)) < -80


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_what_the_new_rate_can_hold_stays(from_hz: int, to_hz: int, share: float) -> None:
    """A tone up to 0.9 of the lower Nyquist frequency keeps its shape, its level and its time."""
    frequency_hz = share * min(from_hz, to_hz) / 2
    expected = np.frombuffer(tone(frequency_hz, to_hz), "<i2").astype(int)

    actual = np.frombuffer(resample(tone(frequency_hz, from_hz), from_hz, to_hz), "<i2").astype(int)

    middle = slice(to_hz // 4, -to_hz // 4)
    assert len(actual) == len(expected)
    assert abs(actual - expected)[middle].max() <= 33  # 1/1000 of full scale


def spectrum_moved(samples: np.ndarray[Any, np.dtype[np.float64]], from_hz: int, to_hz: int) -> Any:
    """Return a second of periodic sound at another rate, exactly: the same spectrum, cut or with zeros."""
    spectrum = np.fft.rfft(samples)
    return np.fft.irfft(spectrum[: to_hz // 2 + 1], to_hz) * to_hz / from_hz


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("reference", ["soxr", "fourier"])
def test_references_agree(from_hz: int, to_hz: int, reference: str) -> None:
    """Noise that both rates can hold is what soxr's best filter, and Fourier, make of it: to -70 dB."""
    amplitudes = np.zeros(from_hz // 2 + 1, complex)
    highest = int(0.9 * min(from_hz, to_hz) / 2)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, highest)
    amplitudes[1 : highest + 1] = np.exp(1j * phases)
    noise = np.fft.irfft(amplitudes, from_hz)
    noise = np.rint(noise / np.abs(noise).max() * 16384)

    got = np.frombuffer(resample(noise.astype("<i2").tobytes(), from_hz, to_hz), "<i2")

    if reference == "soxr":
        expected = soxr.resample(noise, from_hz, to_hz, quality="VHQ")
    else:
        expected = spectrum_moved(noise, from_hz, to_hz)
    middle = slice(to_hz // 4, -to_hz // 4)
    error = np.sqrt(np.mean((got - expected)[middle] ** 2) / np.mean(expected[middle] ** 2))
    assert 20 * np.log10(error) < -70


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_silence_stays_silent(from_hz: int, to_hz: int) -> None:
    """No dither is added: zeros give zeros, as many as last equally long."""
    assert resample(bytes(2 * from_hz), from_hz, to_hz) == bytes(2 * to_hz)


def test_a_loud_square_wave_does_not_wrap_around() -> None:
    """Overshoot is clipped; a sample that wrapped would change sign."""
    square = np.tile(np.repeat(np.array([32767, -32768], "<i2"), 100), 40)

    result = np.frombuffer(resample(square.tobytes(), 24_000, 48_000), "<i2").reshape(-1, 200)

    assert (result[::2, 20:-20] > 20_000).all()
    assert (result[1::2, 20:-20] < -20_000).all()


@given(
    rates=st.sampled_from([*RATES, (24_000, 24_000)]),
    seed=st.integers(0, 1000),
    frames=st.integers(0, 3000),
    cuts=st.lists(st.integers(0, 6000), max_size=12),
)
def test_where_the_chunks_are_cut_does_not_matter(
    rates: tuple[int, int], seed: int, frames: int, cuts: list[int]
) -> None:
    """Chunks, cut in mid-frame or not, give the whole recording's result, byte for byte."""
    pcm = np.random.default_rng(seed).integers(-32768, 32768, frames).astype("<i2").tobytes()
    whole = resample(pcm, *rates)
    resampler = Resampler(*rates)

    edges = sorted({0, len(pcm), *(cut for cut in cuts if cut < len(pcm))})
    pieces = [resampler.feed(pcm[start:end]) for start, end in pairwise(edges)]
    pieces.append(resampler.finish())

    assert all(len(piece) % 2 == 0 for piece in pieces)
    assert b"".join(pieces) == whole


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("frames", [0, 1, 2, 99, 4410, 44_101])
def test_the_length_is_right(from_hz: int, to_hz: int, frames: int) -> None:
    """The result is the exact length rounded to a whole frame."""
    got = len(resample(bytes(2 * frames), from_hz, to_hz)) / 2

    assert abs(got - frames * to_hz / from_hz) <= 0.5


def test_a_finished_resampler_begins_anew() -> None:
    """The second stream hears nothing of the first, nor of its last odd byte."""
    resampler = Resampler(16_000, 24_000)
    resampler.feed(tone(440, 16_000, 0.1) + b"\x7f")
    resampler.finish()

    second = resampler.feed(tone(1000, 16_000, 0.1)) + resampler.finish()

    assert second == resample(tone(1000, 16_000, 0.1), 16_000, 24_000)


def test_output_does_not_wait_for_the_end() -> None:
    """After 200 ms of input most of it has come out."""
    resampler = Resampler(16_000, 24_000)

    early = sum(len(resampler.feed(bytes(640))) for _ in range(10))

    assert early > 0.5 * 2 * 4800


@pytest.mark.parametrize("rate_hz", [0, -8000, 999, 768_001])
def test_an_impossible_rate_is_refused(rate_hz: int) -> None:
    """The error names the argument, the rate and the range."""
    with pytest.raises(ValueError, match=rf"from_hz is {rate_hz}: pass a rate from 1000 to 768000 Hz"):
        Resampler(rate_hz, 24_000)
    with pytest.raises(ValueError, match=rf"to_hz is {rate_hz}"):
        resample(b"", 24_000, rate_hz)


def test_a_recording_cut_in_mid_frame_is_refused() -> None:
    """An odd number of bytes cannot be a whole recording."""
    with pytest.raises(ValueError, match=r"pcm has 3 bytes"):
        resample(b"123", 24_000, 24_000)


@pytest.mark.parametrize("missing", ["numpy", "soxr"])
def test_the_missing_extra_is_named(missing: str) -> None:
    """Without numpy or soxr the error says what to install; equal rates need neither."""
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"  # the import system then raises ImportError
        "from azure_rt_audio.audio import resample\n"
        "from azure_rt_audio.errors import MissingExtraError\n"
        "assert resample(b'12', 24000, 24000) == b'12'\n"
        "try:\n"
        "    resample(b'12', 16000, 24000)\n"
        "except MissingExtraError as error:\n"
        "    print(error.extra, '|', error)\n"
    )

    done: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert done.stderr == ""
    assert done.stdout.startswith("audio | Resampling from 16000 to 24000 Hz needs the")
    assert 'pip install "azure-rt-audio[audio]"' in done.stdout
