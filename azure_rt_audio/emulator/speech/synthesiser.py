"""
A synthesiser: a program installed on the machine.

Searched in this order: flite, which PocketSphinx recognises best; ``say`` on macOS; the speech of Windows;
espeak-ng or espeak, which people understand and PocketSphinx does not. Each program turns a text file into
an audio file, at a speed; the pitch of the service's voices is set here.

Needs the ``speech`` extra, for the programs' sample rates are their own.

Threads: a sentence is made by a short-lived thread ``azure-rt-emulator-synthesiser``, one ahead of the
sentence that is being sent.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...audio import read_wav, resample
from ...audio.resample import import_now
from ...errors import MissingExtraError
from ..model.background import in_background
from ..model.pcm import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from ..model.session import Session

__all__ = ["Synthesiser"]

_LONGEST_SECONDS: Final = 30.0
_REMEDY: Final = "install flite (apt install flite, or your system's way)"
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;:\u2026])\s+|\n+")
_CLAUSE_END: Final = re.compile(r"(?<=,)\s+")
_LONGEST_PIECE: Final = 80  # characters after which a sentence is cut at its next comma


@dataclass(frozen=True)
class _Timbre:
    """How one of the service's voices sounds: a woman's voice or a man's, and its pitch as a factor."""

    flite: str
    pitch: float
    is_female: bool


# Pitches at which PocketSphinx understands flite's voices well; higher and lower ones it does not.
_TIMBRES: Final = {
    "alloy": _Timbre("slt", 0.94, True),
    "ash": _Timbre("rms", 1.0, False),
    "ballad": _Timbre("awb", 1.0, False),
    "cedar": _Timbre("rms", 0.97, False),
    "coral": _Timbre("slt", 0.97, True),
    "echo": _Timbre("rms", 1.06, False),
    "marin": _Timbre("slt", 0.91, True),
    "sage": _Timbre("slt", 0.88, True),
    "shimmer": _Timbre("slt", 1.0, True),
    "verse": _Timbre("rms", 1.12, False),
}
# Command line for (text file, sound file, timbre, speed).
_Command = Callable[[Path, Path, _Timbre, float], list[str]]


class Synthesiser:
    """
    A synthesiser for an emulator.

    ::

        Emulator(synthesiser=Synthesiser())

    Each of the service's voices has a sound of its own, always the same; other names get one of these.

    Args:
        engine: ``"flite"``, ``"say"``, ``"sapi"``, ``"espeak-ng"`` or ``"espeak"``; ``None`` takes the
            first of them that is there.

    Raises:
        MissingExtraError: The ``speech`` extra is not installed.
        RuntimeError: There is no synthesiser on this machine; says what to install.

    **Threads**: may be shared by any number.
    """

    def __init__(self, engine: str | None = None) -> None:
        if not all(map(importlib.util.find_spec, ("soxr", "numpy"))):
            raise MissingExtraError("Speaking words", "speech")
        import_now()
        if engine is not None and engine not in _ENGINES:
            raise ValueError(f"engine is {engine!r}: use one of {', '.join(_ENGINES)}")
        wanted = [engine] if engine is not None else list(_ENGINES)
        found = next((name for name in wanted if _is_there(name)), None)
        if found is None:
            raise RuntimeError(f"there is no speech synthesiser ({', '.join(wanted)}) here: {_REMEDY}")
        self.engine: Final = found
        self._command: _Command = _ENGINES[found]

    def __call__(self, text: str, session: Session) -> Iterator[Future[bytes]]:
        """Speak *text* as *session* asks, sentence by sentence; see :mod:`~..model.replies`."""
        name = session.voice if isinstance(session.voice, str) else str(session.voice.get("id", ""))
        ahead: Future[bytes] | None = None
        try:
            for piece in pieces_of(text):
                following = in_background(
                    "azure-rt-emulator-synthesiser",
                    partial(self.speak, piece, voice=name, speed=session.speed),
                )
                ready, ahead = ahead, following
                if ready is not None:
                    yield ready
            if ahead is not None:
                yield ahead
        finally:
            if ahead is not None:
                ahead.cancel()

    def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> bytes:
        """
        Speak *text* in one piece. Blocks for some hundredths of the time it takes to listen.

        Args:
            voice: One of the service's names, or any other.
            speed: 0.25 to 1.5.

        Returns:
            PCM16: int16, little-endian, mono, 24 000 Hz.

        Raises:
            RuntimeError: The program failed, or took more than half a minute.
        """
        timbre = _timbre_of(voice)
        words = _in_ascii(text) if self.engine == "flite" else text
        if not any(map(str.isalnum, words)):
            return b""
        with tempfile.TemporaryDirectory(prefix="azure-rt-voice-") as folder:
            written, spoken = Path(folder, "text.txt"), Path(folder, "speech.wav")
            written.write_text(words + "\n", encoding="utf-8")
            # What is raised in pitch below becomes shorter by that; so it is spoken slower.
            command = self._command(written, spoken, timbre, speed / timbre.pitch)
            try:
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=_LONGEST_SECONDS,
                    check=True,
                )
                pcm = read_wav(spoken)
            except subprocess.CalledProcessError as exc:
                said = exc.stderr.decode(errors="replace").strip().splitlines()
                raise RuntimeError(f"{self.engine} failed: {said[-1] if said else exc}") from exc
            except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
                raise RuntimeError(f"{self.engine} failed: {exc}") from exc
        return resample(pcm, round(SAMPLE_RATE_HZ * timbre.pitch), SAMPLE_RATE_HZ)


def pieces_of(text: str) -> list[str]:
    """Cut *text* into the pieces to synthesise: sentences, and long ones at commas."""
    pieces: list[str] = []
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(text))):
        piece = ""
        for clause in _CLAUSE_END.split(sentence):
            piece = f"{piece} {clause}".strip()
            if len(piece) >= _LONGEST_PIECE:
                pieces.append(piece)
                piece = ""
        if piece:
            pieces.append(piece)
    return [piece for piece in pieces if any(map(str.isalnum, piece))]


def _timbre_of(name: str) -> _Timbre:
    known = _TIMBRES.get(name.lower())
    return (
        known if known is not None else sorted(_TIMBRES.items())[zlib.crc32(name.encode()) % len(_TIMBRES)][1]
    )


def _in_ascii(text: str) -> str:
    """What flite can read: letters without their accents, quotation marks and dashes of typewriters."""
    plain = text.translate({0x2018: "'", 0x2019: "'", 0x2013: ", ", 0x2014: ", "})
    return unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()


# Programs --------------------------------------------------------------------------------------


def _flite(written: Path, spoken: Path, timbre: _Timbre, speed: float) -> list[str]:
    stretch = f"duration_stretch={1 / speed:.4f}"
    return ["flite", "-voice", timbre.flite, "--setf", stretch, "-f", str(written), "-o", str(spoken)]


def _say(written: Path, spoken: Path, timbre: _Timbre, speed: float) -> list[str]:
    rate = str(round(175 * speed))
    return ["say", "-r", rate, "-f", str(written), "-o", str(spoken), "--data-format=LEI16@22050"]


def _espeak(program: str) -> _Command:
    def command(written: Path, spoken: Path, timbre: _Timbre, speed: float) -> list[str]:
        voice = "en-us+f3" if timbre.is_female else "en-us"
        rate = str(round(160 * speed))
        return [program, "-b", "1", "-v", voice, "-s", rate, "-f", str(written), "-w", str(spoken)]

    return command


_POWERSHELL: Final = (
    "param($text, $sound, $rate, $gender); Add-Type -AssemblyName System.Speech; "
    "$s = New-Object System.Speech.Synthesis.SpeechSynthesizer; $s.Rate = [int]$rate; "
    "$s.SelectVoiceByHints($gender); $s.SetOutputToWaveFile($sound); "
    "$s.Speak([IO.File]::ReadAllText($text, [Text.Encoding]::UTF8)); $s.Dispose()"
)


def _sapi(written: Path, spoken: Path, timbre: _Timbre, speed: float) -> list[str]:
    # From -10 to 10, where 10 is three times as fast.
    rate = max(-10, min(10, round((speed - 1) * (10 if speed < 1 else 5))))
    gender = "Female" if timbre.is_female else "Male"
    paths = " ".join("'" + str(path).replace("'", "''") + "'" for path in (written, spoken))
    script = f"& {{{_POWERSHELL}}} {paths} {rate} {gender}"
    return ["powershell", "-NoProfile", "-NonInteractive", "-Command", script]


_ENGINES: Final[dict[str, _Command]] = {
    "flite": _flite,
    "say": _say,
    "sapi": _sapi,
    "espeak-ng": _espeak("espeak-ng"),
    "espeak": _espeak("espeak"),
}


def _is_there(engine: str) -> bool:
    if engine == "say":
        return sys.platform == "darwin" and shutil.which("say") is not None
    if engine == "sapi":
        return sys.platform == "win32" and shutil.which("powershell") is not None
    return shutil.which(engine) is not None
