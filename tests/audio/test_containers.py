"""The content of a sound file is refused where sound is taken; sound is not taken for a file."""

from __future__ import annotations

import io
import math
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pybase64
import pytest
import soundfile
from listeners import Connect, ready

from azure_rt_audio.audio import to_pcm16, write_wav

SOUND = (numpy.sin(numpy.arange(24_000) / 10) * 0.5).astype("f4")

BY_HAND = {
    "ID3": b"ID3\x04\0\0\0\0\x02\x01" + bytes(300),
    "MP4": b"\0\0\0\x20ftypM4A " + bytes(300),
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01" + bytes(300),
    "AMR": b"#!AMR\n" + bytes(300),
    "AAC": b"".join(b"\xff\xf1\x50\x80\x0a\x1f\xfc" + bytes([n]) * 73 for n in range(5)),
}
FILES = ["WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU", "W64", "CAF", *BY_HAND]
NAMES = {"WAVEX": "WAV", "RF64": "WAV", "OGG": "Ogg", "CAF": "Core Audio", "ID3": "MP3"}


def content(kind: str) -> bytes:
    """Return a file of a kind, in whole frames of PCM16."""
    made = BY_HAND.get(kind)
    if made is None:
        file = io.BytesIO()
        soundfile.write(file, SOUND, 24_000, format=kind)
        made = file.getvalue()
    return made + bytes(len(made) % 2)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_refused(kind: str, tmp_path: Path, connect: Connect) -> None:
    """By its kind and with what to call, in all forms of bytes."""
    file = content(kind)
    client = ready(connect)
    doors: list[Callable[[], Any]] = [
        lambda: to_pcm16(file),
        lambda: write_wav(tmp_path / "x.wav", memoryview(file)),
        lambda: client.ask(file),
        lambda: client.ask(file, sample_rate_hz=48_000),
        lambda: client.append_audio(bytearray(file)),
        lambda: client.append_audio(file, 16_000),
        lambda: client.append_audio(pybase64.b64encode(file).decode()),
        lambda: client.append_audio(pybase64.b64encode(file).decode(), 16_000),
    ]
    for door in doors:
        with pytest.raises(ValueError, match=f"a whole {NAMES.get(kind, kind)} file.*read_audio\\(path\\)"):
            door()


def test_sound_is_not_taken_for_a_file() -> None:
    """Neither what begins like a frame of MP3 or AAC, nor a tone that repeats such a header where it must."""
    chance = random.Random(1)
    for _ in range(300):
        second = chance.choice((0xFB, 0xF3, 0xE3, 0xF1, 0xF9, 0xFF))
        to_pcm16(bytes((0xFF, second)) + chance.randbytes(1998))
    for header in (b"\xff\xfb\x94\x00", b"\xff\xf1\x50\x80\x0c\x00"):  # of frames of 384 and 96 bytes
        to_pcm16((header + bytes(48 - len(header))) * 200)
    tone = struct.pack("<480h", *(round(32_000 * math.sin(n * math.pi / 12)) for n in range(480)))
    to_pcm16(tone)
    for start in (b"RIFF", b"ID3", b"OggS", b"fLaC", b"FORM", b"\0\0\0\x20", b"\xff\xfb\x90\x64"):
        to_pcm16(start + bytes(200 + len(start) % 2))


@pytest.mark.parametrize("prompt", ["", " \n", b"", numpy.zeros(0, "i2")], ids=repr)
def test_an_empty_question_is_refused(prompt: Any, connect: Connect) -> None:
    """As ``say("")`` is: the model would answer what nobody asked."""
    client = ready(connect)
    with pytest.raises(ValueError, match="prompt is empty"):
        client.ask(prompt)
