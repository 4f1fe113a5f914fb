"""Streams brought from one format to another: whatever the chunks, the whole comes out."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.audio import (
    Converter,
    alaw_decode,
    alaw_encode,
    resample,
    to_pcm16,
    ulaw_decode,
    ulaw_encode,
)
from azure_rt_audio.errors import MissingExtraError


def noise(frames: int, channels: int, seed: int) -> bytes:
    """Return loud noise, channels interleaved."""
    samples = np.random.default_rng(seed).integers(-20_000, 20_000, frames * channels)
    return bytes(samples.astype("<i2").tobytes())


def chunks(whole: bytes, cuts: list[int]) -> list[bytes]:
    """Cut *whole* at the places given, as far as it has them."""
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    return [whole[start:end] for start, end in pairwise(edges)]


@given(
    rates=st.sampled_from([(48_000, 24_000), (44_100, 8_000), (8_000, 24_000), (24_000, 24_000)]),
    channels=st.integers(1, 3),
    formats=st.sampled_from([("pcm16", "pcm16"), ("pcm16", "g711_ulaw"), ("g711_alaw", "pcm16")]),
    seed=st.integers(0, 1000),
    frames=st.integers(0, 2000),
    cuts=st.lists(st.integers(0, 12_000), max_size=12),
)
def test_where_the_chunks_are_cut_does_not_matter(
    rates: tuple[int, int],
    channels: int,
    formats: tuple[str, str],
    seed: int,
    frames: int,
    cuts: list[int],
) -> None:
    """In mid-frame or between frames, the pieces put together are the whole's result, byte for byte."""
    whole = noise(frames, channels, seed)
    if formats[0] != "pcm16":
        whole = whole[: frames * channels]  # one byte per sample
    kind: dict[str, Any] = {
        "from_format": formats[0],
        "from_hz": rates[0],
        "channels": channels,
        "to_format": formats[1],
        "to_hz": rates[1],
    }
    at_once, piecewise = Converter(**kind), Converter(**kind)

    expected = at_once.feed(whole) + at_once.finish()
    pieces = [piecewise.feed(chunk) for chunk in chunks(whole, cuts)]

    assert b"".join((*pieces, piecewise.finish())) == expected


def test_each_step_is_the_one_that_stands_alone() -> None:
    """Mixed, resampled and encoded is what the functions for each step make of it."""
    stereo = noise(4800, 2, 1)
    converter = Converter(from_hz=48_000, channels=2, to_format="g711_ulaw")

    got = converter.feed(stereo) + converter.finish()

    mono = np.frombuffer(stereo, "<i2").astype(int).reshape(-1, 2).sum(axis=1) // 2
    assert got == ulaw_encode(resample(mono.astype("<i2").tobytes(), 48_000, 8_000))


@pytest.mark.parametrize(
    ("audio_format", "encode", "decode"),
    [("g711_ulaw", ulaw_encode, ulaw_decode), ("g711_alaw", alaw_encode, alaw_decode)],
    ids=["ulaw", "alaw"],
)
def test_an_answer_by_telephone_for_a_loudspeaker(audio_format: str, encode: Any, decode: Any) -> None:
    """G.711 is decoded and brought to the loudspeaker's rate; its own rate needs not be said."""
    codes = encode(noise(800, 1, 2))
    converter = Converter(from_format=audio_format, to_hz=44_100)

    got = converter.feed(codes) + converter.finish()

    assert got == resample(decode(codes), 8_000, 44_100)


def test_an_array_says_its_channels() -> None:
    """Arrays of either shape, and bytes, are the same stream."""
    stereo = np.frombuffer(noise(480, 2, 3), "<i2").reshape(-1, 2)
    converter = Converter(channels=2)

    expected = bytes(to_pcm16(stereo))

    assert converter.feed(stereo) == expected
    assert converter.feed(stereo.reshape(-1)) == expected
    assert converter.feed(stereo.tobytes()) == expected
    assert converter.feed((stereo / 32768).astype("f4")) == expected
    with pytest.raises(ValueError, match=r"the shape \(480, 1\), but channels is 2"):
        converter.feed(stereo[:, :1])


def test_a_finished_converter_begins_anew() -> None:
    """The second stream hears nothing of the first, nor of the frame that was cut at its end."""
    converter = Converter(from_hz=16_000, channels=2)
    converter.feed(noise(1600, 2, 4) + b"abc")
    converter.finish()

    got = converter.feed(noise(800, 2, 5)) + converter.finish()

    assert got == bytes(to_pcm16(noise(800, 2, 5), 16_000, 2))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"from_format": "mp3"}, "audio_format is 'mp3': pass one of 'pcm16'"),
        ({"to_format": "opus"}, "audio_format is 'opus'"),
        ({"channels": 0}, "channels is 0: pass 1 for mono"),
        ({"from_hz": 5}, "from_hz is 5: pass a rate"),
        ({"to_hz": 1_000_000}, "to_hz is 1000000: pass a rate"),
    ],
)
def test_what_does_not_exist_is_refused(arguments: dict[str, Any], says: str) -> None:
    """The error names the argument and what it may be."""
    with pytest.raises(ValueError, match=says):
        Converter(**arguments)


def test_telephone_audio_is_bytes() -> None:
    """An array is not G.711."""
    with pytest.raises(TypeError, match=r"G\.711 is bytes, one per sample, not ndarray"):
        Converter(from_format="g711_ulaw").feed(np.zeros(8, "i2"))


def test_only_another_rate_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formats and channels are dealt with by the standard library, with the same result."""
    stereo = noise(240, 2, 6)
    expected = Converter(channels=2, to_format="g711_alaw", to_hz=24_000).feed(stereo)
    for name in ("numpy", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)

    assert Converter(channels=2, to_format="g711_alaw", to_hz=24_000).feed(stereo) == expected
    with pytest.raises(MissingExtraError, match=r"from 24000 to 8000 Hz .*azure-rt-audio\[audio\]"):
        Converter(to_format="g711_alaw")
