"""Recordings that are made line by line, without a service: short ones by hand, and an hour's talk."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from azure_rt_audio.audio import ulaw_encode
from azure_rt_audio.recording import Recording

STARTED = 1_795_769_114.25


class Made:
    """The lines of a recording; each method appends one, at *t* seconds."""

    def __init__(self, *, sound: str = "wire", audio_format: str = "pcm16", **header: Any) -> None:
        session = {
            "voice": "alloy",
            "input_audio_format": audio_format,
            "output_audio_format": audio_format,
        }
        fields = {
            "format": "azure-rt-audio recording",
            "version": 1,
            "library": "0.1.0",
            "started": STARTED,
            "t": 0.0,
            "part": 1,
            "sound": sound,
            "redact": None,
            "configuration": {"deployment": "gpt-realtime", "dialect": "ga", "session": session},
        }
        self.lines: list[bytes] = [orjson.dumps({**fields, **header})]

    def add(self, t: float, kind: str, **fields: Any) -> Made:
        """Any entry."""
        self.lines.append(orjson.dumps({"t": round(t, 6), "at": STARTED + t, "kind": kind, **fields}))
        return self

    def sent(self, t: float, event_type: str, *, connection: int = 1, **event: Any) -> Made:
        """A command."""
        return self.add(t, "sent", connection=connection, event={"type": event_type, **event})

    def received(self, t: float, event_type: str, *, connection: int = 1, **event: Any) -> Made:
        """An event of the service."""
        return self.add(t, "received", connection=connection, event={"type": event_type, **event})

    def said(self, t: float, sound: bytes, *, connection: int = 1) -> Made:
        """Sound of the user, sent when it had been said."""
        text = base64.b64encode(sound).decode()
        return self.sent(t, "input_audio_buffer.append", connection=connection, audio=text)

    def delta(self, t: float, sound: bytes, item: str = "item_a", response: str = "resp_1") -> Made:
        """Sound of an answer."""
        text = base64.b64encode(sound).decode()
        name = "response.output_audio.delta"
        return self.received(t, name, item_id=item, response_id=response, delta=text)

    def words(self, t: float, text: str, item: str = "item_a", response: str = "resp_1") -> Made:
        """Words of an answer that is spoken."""
        name = "response.output_audio_transcript.delta"
        return self.received(t, name, item_id=item, response_id=response, delta=text)

    @property
    def recording(self) -> Recording:
        """What is read of it."""
        return Recording.read(line + b"\n" for line in self.lines)

    def save(self, path: Path) -> Path:
        """Write the file."""
        path.write_bytes(b"".join(line + b"\n" for line in self.lines))
        return path


def tone(seconds: float, hz: float = 440.0, rate_hz: int = 24_000) -> bytes:
    """Return a sine. PCM16: int16, little-endian, mono."""
    period = round(rate_hz / hz)
    wave = [round(9_000 * math.sin(2 * math.pi * frame / period)) for frame in range(period)]
    frames = round(seconds * rate_hz)
    one = b"".join(sample.to_bytes(2, "little", signed=True) for sample in wave)
    return (one * (frames // period + 1))[: 2 * frames]


def long_talk(seconds: float = 3_600.0) -> Made:
    """
    Return a talk in which a turn of each side takes twelve seconds; every fifth answer is interrupted.

    In µ-law, with a message each 200 ms from the microphone and words one by one: an hour has 37 000 lines.
    """
    made = Made(audio_format="g711_ulaw")
    made.add(0.0, "opened", connection=1)
    sounds = (b"\xff" * 1_600, ulaw_encode(tone(0.2, 300, 8_000)))
    silence, voice = (base64.b64encode(sound).decode() for sound in sounds)
    for number, start in enumerate(_steps(seconds, 12.0)):
        question, answer, response = f"item_q{number}", f"item_a{number}", f"resp_{number}"
        cut = 3.0 if number % 5 == 4 else None
        for tick in range(60):
            sound = voice if 3 <= tick < 15 else silence
            made.sent(start + 0.2 * (tick + 1), "input_audio_buffer.append", audio=sound)
        made.received(start + 0.7, "input_audio_buffer.speech_started", item_id=question)
        made.received(start + 3.6, "input_audio_buffer.speech_stopped", item_id=question)
        made.received(start + 3.6, "input_audio_buffer.committed", item_id=question)
        made.received(start + 3.61, "response.created", response={"id": response, "conversation_id": "c"})
        made.received(
            start + 3.8,
            "conversation.item.input_audio_transcription.completed",
            item_id=question,
            transcript=f"This is the question with the number {number}?",
        )
        words = f"Here is the answer to question {number}, in <b>some</b> words that take a while to say."
        for place, word in enumerate(words.split(" ")):
            made.words(start + 4.2 + 0.05 * place, f"{word} ", answer, response)
        for tick in range(30):
            at, name = start + 4.2 + 0.04 * tick, "response.output_audio.delta"
            made.received(at, name, item_id=answer, response_id=response, delta=voice)
        for tick in range(1, int((cut or 6.0) * 2)):
            made.add(start + 4.4 + 0.5 * tick, "heard", item=answer, ms=500.0 * tick, end=None)
        end = "interrupted" if cut else "played"
        made.add(start + 4.4 + (cut or 6.0), "heard", item=answer, ms=1000 * (cut or 6.0), end=end)
        made.received(start + 5.6, "response.done", response={"id": response, "status": "completed"})
    made.add(seconds, "closed", connection=1, code=1000, is_clean=True)
    return made.add(seconds, "end", next=None)


def _steps(seconds: float, step: float) -> Iterator[float]:
    return (step * number for number in range(int(seconds // step)))
