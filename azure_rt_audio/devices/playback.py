"""
The playback queue: what is played next, and how much was played. Pure: no device, no clock.

Audio arrives faster or slower than it is played. It is queued (unbounded; an answer arrives faster than
real time) until the device asks for the next block. An item is prebuffered against jitter, and again after
an underflow.

A device reports the time at which each block will be played. From that follows how much was played by now.

What is queued when a device of another rate takes over is converted as it is played: at once, that would hold
the speaker's lock, which the device waits for, for half a second per minute of sound.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from ..audio import Resampler
from .events import Played

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Playback"]

_FRAME: Final = 2
_MAX_KNOWN_ITEMS: Final = 256
_PIECE_MS: Final = 20
"""Of sound that is converted at a time for a device of another rate."""

_Sound = tuple[memoryview, int]
"""PCM16, and its rate."""


class _Item:
    """One item: received, queued, sent to the device, played."""

    def __init__(self, item_id: str, resampler: Resampler) -> None:
        self.item_id = item_id
        self.resampler = resampler
        self.converter: Resampler | None = None  # of queued sound that has another rate than the device
        self.queued: deque[_Sound] = deque()
        self.received = 0  # frames at the speaker's rate, as are the next two
        self.sent = 0.0
        self.played = 0.0
        self.in_device = 0  # chunks sent to the device and not yet played
        self.is_finished = False
        self.is_reported = False  # as played, or as cut

    def put(self, pcm: bytes) -> None:
        """Queue what came out of the resampler."""
        if pcm:
            self.queued.append((memoryview(pcm), self.resampler.to_hz))

    def convert_next(self, to_hz: int) -> None:
        """Convert the next piece, which has another rate; it may come out with a later one."""
        pcm, from_hz = self.queued.popleft()
        if self.converter is None:
            self.converter = Resampler(from_hz, to_hz)
        size = from_hz * _PIECE_MS // 1000 * _FRAME
        converted = self.converter.feed(bytes(pcm[:size]))
        if len(pcm) > size:
            self.queued.appendleft((pcm[size:], from_hz))
        elif not self.queued or self.queued[0][1] != from_hz:
            converted += self._end_conversion()
        self._put_first(converted, to_hz)

    def stop_converting(self) -> None:
        """Have all that was taken to be converted come out, since the rate changes again."""
        if self.converter is not None:
            to_hz = self.converter.to_hz
            before = []
            while self.queued and self.queued[0][1] == to_hz:
                before.append(self.queued.popleft())
            self._put_first(self._end_conversion(), to_hz)
            self.queued.extendleft(reversed(before))

    def _end_conversion(self) -> bytes:
        assert self.converter is not None
        tail = self.converter.finish()
        self.converter = None
        return tail

    def _put_first(self, pcm: bytes, rate_hz: int) -> None:
        if pcm:
            self.queued.appendleft((memoryview(pcm), rate_hz))


class _Chunk:
    """A part of an item in the device's buffer, and when it begins to be played."""

    __slots__ = ("begin", "frames", "item", "pcm")

    def __init__(self, item: _Item, pcm: memoryview, begin: float, frames: float) -> None:
        self.item = item
        self.pcm = pcm
        self.begin = begin
        self.frames = frames


class Playback:
    """
    The queue of one speaker.

    Times are seconds of one monotonic clock; frames are at *sample_rate_hz* unless stated otherwise.

    Args:
        sample_rate_hz: Rate of the audio added.
        prebuffer_ms: Audio of an item that is queued before it begins. A shorter item begins when it is
            finished, or after that time.

    Attributes:
        underflows: How often the audio of an unfinished item was late.

    **Threads**: not shared; guarded by the speaker's lock.
    """

    def __init__(self, sample_rate_hz: int, prebuffer_ms: int) -> None:
        self._rate = sample_rate_hz
        self._device_rate = sample_rate_hz
        self._prebuffer = prebuffer_ms / 1000
        self._queue: deque[_Item] = deque()
        self._in_device: deque[_Chunk] = deque()
        self._known: OrderedDict[str, _Item] = OrderedDict()
        self._unreported: list[_Item] = []  # neither as played nor as cut
        self._is_running = False
        self._filling_since: float | None = None
        self.underflows: int = 0

    def add(self, item_id: str, pcm: Buffer) -> None:
        """Append to an item; whole frames of PCM16."""
        item = self._known.get(item_id)
        if item is None or item.is_finished or item.is_reported:
            item = self._known[item_id] = _Item(item_id, Resampler(self._rate, self._device_rate))
            self._known.move_to_end(item_id)
            self._unreported.append(item)
            if len(self._known) > _MAX_KNOWN_ITEMS:
                self._known.popitem(last=False)
        if item not in self._queue:
            self._queue.append(item)
        if item.resampler.to_hz != self._device_rate:
            item.put(item.resampler.finish())
            item.resampler = Resampler(self._rate, self._device_rate)
        octets = bytes(pcm)
        item.received += len(octets) // _FRAME
        item.put(item.resampler.feed(octets))

    def finish(self, item_id: str) -> None:
        """Mark an item as complete."""
        item = self._known.get(item_id)
        if item is not None and not item.is_finished:
            if item in self._queue:  # else another one has followed it
                item.put(item.resampler.finish())
            item.is_finished = True

    def pull(self, out: memoryview, plays_at: float, now: float) -> None:
        """
        Fill the device's next block, padded with silence.

        Args:
            out: PCM16 at the device's rate.
            plays_at: Time at which its first frame is played.
        """
        filled = 0
        while filled < len(out):
            item = self._next()
            if item is None or not item.queued:
                if item is not None and self._is_running:
                    self.underflows += 1
                self._is_running = False
                break
            if not self._is_running and not self._may_begin(item, now):
                break
            self._is_running = True
            self._filling_since = None
            pcm, rate = item.queued[0]
            if rate != self._device_rate:
                item.convert_next(self._device_rate)
                continue
            part = pcm[: len(out) - filled]
            if len(part) == len(pcm):
                item.queued.popleft()
            else:
                item.queued[0] = (pcm[len(part) :], rate)
            out[filled : filled + len(part)] = part
            self._send(item, part, plays_at + filled / _FRAME / self._device_rate)
            filled += len(part)
        out[filled:] = bytes(len(out) - filled)

    def take_ended(self, now: float) -> list[Played]:
        """Return the items that were played to their end by *now*, each once."""
        self._advance(now)
        self._next()
        ended = [
            item for item in self._unreported if item.is_finished and not (item.queued or item.in_device)
        ]
        for item in ended:
            item.is_reported = True
            self._unreported.remove(item)
        return [self._played(item, item.played) for item in ended]

    def cut(self) -> tuple[Played, ...]:
        """
        Drop what was not sent to the device yet.

        Returns:
            The items that were not played to their end, in order, with the part that is played once the
            device's buffer is empty.
        """
        items = list(OrderedDict.fromkeys([*(chunk.item for chunk in self._in_device), *self._queue]))
        result = []
        for item in items:
            if not item.is_reported:
                result.append(self._played(item, item.sent))
                self._unreported.remove(item)
            item.queued.clear()
            item.converter = None
            item.is_reported = True
        self._queue.clear()
        self._is_running = False
        self._filling_since = None
        return tuple(result)

    def lose(self, now: float) -> None:
        """Queue again what was in the buffer of a lost device and not played by *now*."""
        self._advance(now)
        while self._in_device:
            chunk = self._in_device.pop()
            item = chunk.item
            skip = max(0, min(len(chunk.pcm), round((now - chunk.begin) * self._device_rate) * _FRAME))
            share = skip / len(chunk.pcm)
            item.played += chunk.frames * share
            item.sent -= chunk.frames * (1 - share)
            item.in_device -= 1
            if not item.is_reported and skip < len(chunk.pcm):
                item.queued.appendleft((chunk.pcm[skip:], self._device_rate))
                if item not in self._queue:
                    self._queue.appendleft(item)
        self._is_running = False

    def change_device_rate(self, device_rate_hz: int) -> None:
        """
        Play on a device of another rate; call :meth:`lose` first. The queue is converted by :meth:`pull`.

        Raises:
            MissingExtraError: Something is queued, and the ``audio`` extra is not installed.
        """
        if device_rate_hz == self._device_rate:
            return
        if self._queue:
            Resampler(self._rate, device_rate_hz)  # what it raises is for the caller, not for the device
        for item in self._queue:
            item.stop_converting()
        self._device_rate = device_rate_hz

    def played_frames(self, item_id: str, now: float) -> int:
        """Return the frames of an item played by *now*; 0 for an unknown item."""
        item = self._known.get(item_id)
        if item is None:
            return 0
        played = item.played
        for chunk in self._in_device:
            if chunk.item is item:
                played += max(0.0, min(chunk.frames, (now - chunk.begin) * self._rate))
        return min(item.received, round(played))

    def received_frames(self, item_id: str) -> int:
        """Return the frames of an item received; 0 for an unknown item."""
        item = self._known.get(item_id)
        return 0 if item is None else item.received

    def is_quiet(self, now: float) -> bool:
        """Whether everything received was played or cut."""
        if any(item.queued for item in self._queue):
            return False
        return not self._in_device or self._end_of(self._in_device[-1]) <= now

    def _advance(self, now: float) -> None:
        while self._in_device and self._end_of(self._in_device[0]) <= now:
            chunk = self._in_device.popleft()
            chunk.item.played += chunk.frames
            chunk.item.in_device -= 1

    def _next(self) -> _Item | None:
        """Return the item to play; removes those that are played."""
        while self._queue:
            item = self._queue[0]
            # An item with a successor is complete, finished or not.
            if item.queued or not (item.is_finished or len(self._queue) > 1):
                return item
            self._queue.popleft()
            self._is_running = False
        return None

    def _may_begin(self, item: _Item, now: float) -> bool:
        if self._filling_since is None:
            self._filling_since = now
        return (
            item.is_finished
            or len(self._queue) > 1
            or self._has_prebuffered(item)
            or now - self._filling_since >= self._prebuffer
        )

    def _has_prebuffered(self, item: _Item) -> bool:
        missing = self._prebuffer * self._device_rate * _FRAME
        for pcm, rate in item.queued:
            missing -= len(pcm) * self._device_rate / rate
            if missing <= 0:
                return True
        return False

    def _send(self, item: _Item, part: memoryview, begin: float) -> None:
        frames = len(part) / _FRAME * self._rate / self._device_rate
        self._in_device.append(_Chunk(item, part, begin, frames))
        item.in_device += 1
        item.sent += frames

    def _end_of(self, chunk: _Chunk) -> float:
        return chunk.begin + chunk.frames / self._rate

    def _played(self, item: _Item, frames: float) -> Played:
        whole = min(item.received, round(frames))
        return Played(item.item_id, whole, whole * 1000 // self._rate, item.is_finished and not item.queued)
