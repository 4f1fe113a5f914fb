"""
Where the sound of a recording lies in time: what was said, and what was heard.

Pure. Sound stays encoded until it is asked for, one second at a time.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from ..audio._audioop import audioop, swapped
from ..audio.g711 import DECODERS
from ..audio.pcm import SAMPLE_RATE_HZ, bytes_per_ms, decode_base64

__all__ = ["Chunk", "Clip", "InputPlacement", "OutputItem", "Track", "place_items", "size_of"]

_JITTER_SECONDS: Final = 0.2
"""Messages that come so much later than the sound before them ended go on with it."""

_LEAST_SECONDS: Final = 0.001

_UNDERFLOW_SECONDS: Final = 0.05
"""Shorter pauses within an answer come from the clocks, not from the speaker."""

_SILENCE: Final = {"pcm16": "A=", "g711_ulaw": "/8w=", "g711_alaw": "1dXVQ="}
"""The base64 of silence has no other characters."""

_FRAME_BYTES: Final = 2
_G711_RATE_HZ: Final = 8_000


def size_of(text: str) -> int:
    """Return how many bytes base64 *text* stands for."""
    return len(text) * 3 // 4 - text[-2:].count("=")


@frozen
class Chunk:
    """
    The sound of one message.

    Attributes:
        size: Bytes in *audio_format*.
        data: Base64; ``None`` if the recording has no sound.
    """

    size: int
    audio_format: str
    data: str | None

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.size / bytes_per_ms(self.audio_format) / 1000

    @property
    def is_silent(self) -> bool:
        """Whether it is known to be digital silence."""
        return self.data is not None and not self.data.strip(_SILENCE[self.audio_format])

    def pcm(self) -> bytes:
        """Return PCM16: int16, little-endian, mono, 24 000 Hz; empty if it is damaged or was not recorded."""
        if self.data is None:
            return b""
        try:
            sound = decode_base64(self.data)
        except ValueError:
            return b""
        if self.audio_format == "pcm16":
            return sound[: len(sound) // _FRAME_BYTES * _FRAME_BYTES]
        narrow = DECODERS[self.audio_format](sound)
        wide, _ = audioop.ratecv(swapped(narrow), _FRAME_BYTES, 1, _G711_RATE_HZ, SAMPLE_RATE_HZ, None)
        return bytes(swapped(wide))


@frozen
class Clip:
    """A part of a chunk, from *skip* seconds on, at *start* of the recording."""

    start: float
    chunk: Chunk
    skip: float
    seconds: float

    @property
    def end(self) -> float:
        """When it ends."""
        return self.start + self.seconds

    def pcm(self) -> bytes:
        """Return PCM16 of this part."""
        sound = self.chunk.pcm()
        first = round(self.skip * SAMPLE_RATE_HZ) * _FRAME_BYTES
        return sound[first : first + round(self.seconds * SAMPLE_RATE_HZ) * _FRAME_BYTES]


@define
class Track:
    """The sound of one side: clips in order of time, which do not overlap."""

    clips: list[Clip] = field(factory=list)

    @property
    def has_sound(self) -> bool:
        """Whether the sound was recorded."""
        return any(clip.chunk.data is not None for clip in self.clips)

    @property
    def end(self) -> float:
        """When the last clip ends; 0 if there is none."""
        return self.clips[-1].end if self.clips else 0.0

    def blocks(self, seconds: float, start: float = 0.0, block_seconds: float = 1.0) -> Iterator[bytes]:
        """
        Yield the track with its silence, from *start* on, until *seconds*.

        Yields:
            PCM16: int16, little-endian, mono, 24 000 Hz; *block_seconds*, the last one may be shorter.
        """
        frames = max(0, round((seconds - start) * SAMPLE_RATE_HZ))
        step = round(block_seconds * SAMPLE_RATE_HZ)
        waiting = iter(self.clips[bisect.bisect_right(self.clips, start, key=lambda clip: clip.end) :])
        at, pcm = frames, b""  # the sound that comes next, and its first frame
        clip = next(waiting, None)
        for first in range(0, frames, step):
            last = min(first + step, frames)
            block = bytearray(_FRAME_BYTES * (last - first))
            while True:
                if not pcm:
                    if clip is None or round((clip.start - start) * SAMPLE_RATE_HZ) >= last:
                        break
                    at, pcm = round((clip.start - start) * SAMPLE_RATE_HZ), clip.pcm()
                    clip = next(waiting, None)
                if at < first:  # it began before, or rounding made it overlap
                    pcm, at = pcm[_FRAME_BYTES * (first - at) :], first
                    continue
                if at >= last:
                    break
                part = pcm[: _FRAME_BYTES * (last - at)]
                offset = _FRAME_BYTES * (at - first)
                block[offset : offset + len(part)] = part
                pcm, at = pcm[len(part) :], at + len(part) // _FRAME_BYTES
            yield bytes(block)


class InputPlacement:
    """
    Places what was said: a message ends with the frame that was recorded when it was sent.

    Sound that is sent faster than it lasts, such as that of a file, is ahead of the clock. Silence is then
    left out until the clock has caught up.

    Args:
        replayed: Of connections that took the place of another one, the seconds of sound that each was sent
            at once when it did. That is what was said last; what the one before was sent of it is there
            already.
    """

    def __init__(self, replayed: Mapping[int, float] | None = None) -> None:
        self.track: Track = Track()
        self._replayed = dict(replayed or {})  # seconds that are still to come
        self._replay_at: dict[int, float] = {}  # when the next of it was said
        self._positions: dict[int, tuple[list[float], list[float]]] = {}  # of each connection
        self._sent: dict[int, float] = {}

    def add(self, at: float, connection: int, chunk: Chunk) -> float:
        """Add a message that was sent at *at*; return when its sound begins, 0 if before the file."""
        left = self._replayed.get(connection, 0.0)
        if left > _LEAST_SECONDS:
            start = self._add_replayed(at, connection, chunk, left)
        else:
            start = max(0.0, at - chunk.seconds)
            end = self.track.end
            if start - end < _JITTER_SECONDS and self.track.clips:
                start = end
            if end < at + _JITTER_SECONDS or not chunk.is_silent:
                self.track.clips.append(Clip(start, chunk, 0.0, chunk.seconds))
        sent = self._sent.get(connection, 0.0)
        positions, moments = self._positions.setdefault(connection, ([], []))
        positions.append(sent)
        moments.append(start)
        self._sent[connection] = sent + chunk.seconds
        return max(0.0, start)

    def _add_replayed(self, at: float, connection: int, chunk: Chunk, left: float) -> float:
        start = self._replay_at.get(connection, at - left)
        self._replay_at[connection] = start + chunk.seconds
        self._replayed[connection] = left - chunk.seconds
        skip = max(0.0, self.track.end - start)
        if chunk.seconds - skip > _LEAST_SECONDS:
            self.track.clips.append(Clip(start + skip, chunk, skip, chunk.seconds - skip))
        return start

    def moment(self, connection: int, audio_ms: object) -> float | None:
        """
        Return when a position in the service's input buffer was said, 0 if before the file.

        Args:
            audio_ms: Milliseconds since the connection's first sound, as in ``audio_start_ms``.
        """
        if not isinstance(audio_ms, int | float) or connection not in self._positions:
            return None
        positions, moments = self._positions[connection]
        seconds = max(0.0, audio_ms / 1000)
        if seconds > self._sent[connection] + 1:
            return None
        index = max(0, bisect.bisect_right(positions, seconds) - 1)
        moment = moments[index] + seconds - positions[index]
        if index + 1 < len(moments):
            moment = min(moment, moments[index + 1])
        return max(0.0, moment)


@define
class OutputItem:
    """
    The sound of one item of the model.

    Attributes:
        deltas: When each came, and its sound.
        accounts: How many seconds of it had been played, and when, in order.
        cut_at: Where playback was stopped, in seconds of its sound; ``None`` if it was not.
        start: When its first sound was heard; ``None`` if nothing was.
        end: When its last sound was heard.
    """

    item_id: str
    response_id: str
    deltas: list[tuple[float, Chunk]] = field(factory=list)
    accounts: list[tuple[float, float]] = field(factory=list)
    cut_at: float | None = None
    deleted_at: float | None = None
    start: float | None = None
    end: float | None = None

    @property
    def played_at(self) -> float | None:
        """When it began to be played, by the speaker's account, not sooner than it came; ``None`` without."""
        shifts = _shifts(self)
        return None if shifts is None else max(shifts[0][1], self.deltas[0][0])

    @property
    def received(self) -> float:
        """Seconds that were received."""
        return sum(chunk.seconds for _, chunk in self.deltas)

    @property
    def heard(self) -> float:
        """Seconds that were heard."""
        return self.received if self.cut_at is None else min(self.cut_at, self.received)


def place_items(items: Sequence[OutputItem]) -> Track:
    """
    Place what was heard, and note in each item when.

    Where the speaker gave account, sound lies where it was played. Elsewhere it is played when it comes, one
    item after the other.
    """
    track = Track()
    for item in sorted((item for item in items if item.deltas), key=lambda item: item.deltas[0][0]):
        for clip in _placed(item, track.end):
            if item.start is None:
                item.start = clip.start
            item.end = clip.end
            track.clips.append(clip)
    return track


def _placed(item: OutputItem, free_from: float) -> Iterator[Clip]:
    shifts = _shifts(item)
    position, end = 0.0, free_from
    for came_at, chunk in item.deltas:
        start = max(end, came_at if shifts is None else 0.0)
        if shifts is not None:
            wanted = position + shifts[max(0, bisect.bisect_right([at for at, _ in shifts], position) - 1)][1]
            start = wanted if wanted - end >= _UNDERFLOW_SECONDS or not position else end
            start = max(start, free_from)
        elif position and start - end < _UNDERFLOW_SECONDS:
            start = end
        limit = chunk.seconds
        if item.cut_at is not None:
            limit = min(limit, item.cut_at - position)
        if item.deleted_at is not None and start + limit > item.deleted_at:
            limit = item.deleted_at - start
            item.cut_at = position + max(0.0, limit)
        if limit <= 0:
            if not position:
                item.cut_at = 0.0
            return
        yield Clip(start, chunk, 0.0, limit)
        position += chunk.seconds
        end = start + limit


def _shifts(item: OutputItem) -> list[tuple[float, float]] | None:
    """From which position on, position plus what is the time of the recording; ``None`` without account."""
    accounts = [(at, played) for at, played in item.accounts if played > 0]
    if not accounts:
        return None
    shifts = [(0.0, accounts[0][0] - accounts[0][1])]
    for (_, before), (at, played) in itertools.pairwise(accounts):
        if at - played - shifts[-1][1] > _UNDERFLOW_SECONDS:  # an underflow in between
            shifts.append((before, at - played))
    return shifts
