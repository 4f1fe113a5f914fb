"""G.711 against the reference: ``audioop`` of the standard library, or its continuation."""

from __future__ import annotations

import array
import importlib
import io
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from azure_rt_audio.audio import g711, read_wav, to_pcm16

EVERY_SAMPLE = struct.pack("<65536h", *range(-32768, 32768))
EVERY_CODE = bytes(range(256))

ENCODERS = [
    pytest.param(g711.ulaw_encode, "lin2ulaw", id="ulaw"),
    pytest.param(g711.alaw_encode, "lin2alaw", id="alaw"),
]
DECODERS = [
    pytest.param(g711.ulaw_decode, "ulaw2lin", id="ulaw"),
    pytest.param(g711.alaw_decode, "alaw2lin", id="alaw"),
]
LAWS = [
    pytest.param(g711.ulaw_encode, g711.ulaw_decode, id="ulaw"),
    pytest.param(g711.alaw_encode, g711.alaw_decode, id="alaw"),
]

Codec = Callable[[Any], bytes]


@pytest.fixture(scope="module")
def audioop() -> Any:
    """Return the reference; Python 3.13 and later have it from the package audioop-lts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.11 and 3.12 announce its removal
        return importlib.import_module("audioop")


@pytest.mark.parametrize(("encode", "reference"), ENCODERS)
def test_every_sample_encodes_as_the_reference_does(audioop: Any, encode: Codec, reference: str) -> None:
    """All 65,536 samples give the reference's byte."""
    native = array.array("h", range(-32768, 32768)).tobytes()  # audioop reads the machine's own order

    assert encode(EVERY_SAMPLE) == getattr(audioop, reference)(native, 2)


@pytest.mark.parametrize(("decode", "reference"), DECODERS)
def test_every_code_decodes_as_the_reference_does(audioop: Any, decode: Codec, reference: str) -> None:
    """All 256 codes give the reference's sample."""
    expected = array.array("h", getattr(audioop, reference)(EVERY_CODE, 2))

    assert decode(EVERY_CODE) == struct.pack("<256h", *expected)


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_a_decoded_sample_encodes_to_itself_again(encode: Codec, decode: Codec) -> None:
    """A second trip through the codec loses nothing more than the first did."""
    once = decode(encode(EVERY_SAMPLE))

    assert decode(encode(once)) == once


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_sizes(encode: Codec, decode: Codec) -> None:
    """Two bytes of PCM16 are one byte of G.711, down to none and one frame."""
    assert [len(encode(bytes(2 * frames))) for frames in (0, 1, 2, 160)] == [0, 1, 2, 160]
    assert [len(decode(bytes(frames))) for frames in (0, 1, 2, 160)] == [0, 2, 4, 320]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_object_is_taken(kind: Callable[[bytes], Any]) -> None:
    """Bytes, bytearrays and views give the same result."""
    assert g711.ulaw_encode(kind(EVERY_SAMPLE)) == g711.ulaw_encode(EVERY_SAMPLE)
    assert g711.alaw_decode(kind(EVERY_CODE)) == g711.alaw_decode(EVERY_CODE)


def test_an_unaligned_view_is_taken() -> None:
    """PCM16 that starts at an odd address encodes like any other."""
    shifted = memoryview(b"\x00" + EVERY_SAMPLE)[1:]

    assert g711.ulaw_encode(shifted) == g711.ulaw_encode(EVERY_SAMPLE)


@pytest.mark.parametrize("encode", [g711.ulaw_encode, g711.alaw_encode])
def test_half_a_sample_is_refused(encode: Codec) -> None:
    """An odd number of bytes is an error that counts them."""
    with pytest.raises(ValueError, match=r"audio has 3 bytes.*next chunk"):
        encode(b"\x00\x00\x00")


def test_pcm16_is_not_taken_for_g711() -> None:
    """Nor the other way round: as far as it can be told by the bytes, speech and noise; never by a packet."""
    speech = read_wav(io.BytesIO((files("azure_rt_audio") / "data" / "question.wav").read_bytes()))
    noise = np.random.default_rng(1).normal(0, 0.1, 24_000).clip(-1, 1).astype("float32")
    tone = (0.3 * np.sin(2 * np.pi * 1990 * np.arange(24_000) / 8_000)).astype("float32")
    for sound in (speech, to_pcm16(noise)):
        assert g711.resembles_pcm16(sound)
        assert not g711.resembles_pcm16(sound[:1_000])
    for sound in (speech, to_pcm16(noise), to_pcm16(tone)):
        assert not g711.resembles_pcm16(g711.ulaw_encode(sound))
        assert not g711.resembles_pcm16(g711.alaw_encode(sound))
    assert not g711.resembles_pcm16(bytes(10_000))


def test_a_program_that_makes_warnings_errors_may_use_it() -> None:
    """The removal of audioop from the standard library is no concern of those who use this library."""
    program = (
        "import azure_rt_audio\n"
        "from azure_rt_audio.audio import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode\n"
        "assert ulaw_decode(ulaw_encode(bytes(4))) == bytes(4)\n"
        "assert alaw_decode(alaw_encode(bytes(4))) == bytes.fromhex('08000800')\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (0, "")
