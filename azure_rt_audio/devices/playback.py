"""
What is to be played, when, and what of it has been heard: the arithmetic of a speaker, without one.

Sound comes in faster or slower than it is played. It waits here (without limit; an answer comes faster
than real time) until the device asks for the next block. An item begins when a little of it is there,
so that a slow moment of the network is not heard, and after running dry it waits for a little again.

A device says with each block when it will be heard. From that follows what has been heard by now.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from ..audio import Resampler, resample
from .events import Played

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Playback"]

_FRAME: Final = 2
_REMEMBERED: Final = 256


class _Item:
    """One item: what of it came, waits, was given to the device and was heard."""

    def __init__(self, item_id: str, resampler: Resampler) -> None:
        self.item_id = item_id
        self.resampler = resampler
        self.waiting: deque[memoryview] = deque()  # at the device's rate
        self.waiting_bytes = 0
        self.received = 0  # frames at the speaker's rate, as are the next two
        self.given = 0.0
        self.heard = 0.0
        self.under_way = 0  # pieces given to the device and not heard to their end
        self.is_finished = False
        self.is_told = False  # that it was played, or cut

    def put(self, pcm: bytes) -> None:
        if pcm:
            self.waiting.append(memoryview(pcm))
            self.waiting_bytes += len(pcm)


class _Piece:
    """A part of an item that the device has, and from when it is heard."""

    __slots__ = ("begin", "frames", "item", "pcm")

    def __init__(self, item: _Item, pcm: memoryview, begin: float, frames: float) -> None:
        self.item = item
        self.pcm = pcm
        self.begin = begin
        self.frames = frames


class Playback:
    """
    The queue of one speaker.

    Times are seconds of one monotonic clock; frames are at *sample_rate_hz* where nothing else is said.

    Args:
        sample_rate_hz: Of what comes in.
        prebuffer_ms: How much of an item is there before it begins. It begins with less when it is
            finished, or when waiting has taken that long.

    Attributes:
        underflows: How often an item ran dry before it was finished.

    **Threads**: not shared; the speaker holds its lock.
    """

    def __init__(self, sample_rate_hz: int, prebuffer_ms: int) -> None:
        self._rate = sample_rate_hz
        self._device_rate = sample_rate_hz
        self._prebuffer = prebuffer_ms / 1000
        self._queue: deque[_Item] = deque()
        self._under_way: deque[_Piece] = deque()
        self._known: OrderedDict[str, _Item] = OrderedDict()
        self._untold: list[_Item] = []  # not yet reported as played or cut
        self._is_running = False
        self._filling_since: float | None = None
        self.underflows: int = 0

    def add(self, item_id: str, pcm: Buffer) -> None:
        """Add more of an item; whole frames of PCM16."""
        item = self._known.get(item_id)
        if item is None or item.is_finished or item.is_told:
            item = self._known[item_id] = _Item(item_id, Resampler(self._rate, self._device_rate))
            self._known.move_to_end(item_id)
            self._untold.append(item)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        if item not in self._queue:
            self._queue.append(item)
        if item.resampler.to_hz != self._device_rate:
            item.resampler = Resampler(self._rate, self._device_rate)
        octets = bytes(pcm)
        item.received += len(octets) // _FRAME
        item.put(item.resampler.feed(octets))

    def finish(self, item_id: str) -> None:
        """Note that no more of the item comes."""
        item = self._known.get(item_id)
        if item is not None and not item.is_finished:
            item.put(item.resampler.finish())
            item.is_finished = True

    def pull(self, out: memoryview, heard_at: float, now: float) -> None:
        """
        Fill the device's next block, with silence where there is nothing to play.

        Args:
            out: PCM16 at the device's rate.
            heard_at: When the first frame of the block is heard.
        """
        filled = 0
        while filled < len(out):
            item = self._next()
            if item is None or not item.waiting:
                if item is not None and self._is_running:
                    self.underflows += 1
                self._is_running = False
                break
            if not self._is_running and not self._may_begin(item, now):
                break
            self._is_running = True
            self._filling_since = None
            chunk = item.waiting[0]
            part = chunk[: len(out) - filled]
            if len(part) == len(chunk):
                item.waiting.popleft()
            else:
                item.waiting[0] = chunk[len(part) :]
            item.waiting_bytes -= len(part)
            out[filled : filled + len(part)] = part
            self._give(item, part, heard_at + filled / _FRAME / self._device_rate)
            filled += len(part)
        out[filled:] = bytes(len(out) - filled)

    def settle(self, now: float) -> list[Played]:
        """Forget what was heard by *now*, and return the items that were played to their end by it."""
        self._forget_heard(now)
        self._next()
        ended = [item for item in self._untold if item.is_finished and not (item.waiting or item.under_way)]
        for item in ended:
            item.is_told = True
            self._untold.remove(item)
        return [self._played(item, item.heard) for item in ended]

    def cut(self) -> tuple[Played, ...]:
        """
        Drop what the device does not have yet.

        Returns:
            The items that were not played to their end, in their order, with what will have been heard
            of them once the device has played what it has.
        """
        items = list(OrderedDict.fromkeys([*(piece.item for piece in self._under_way), *self._queue]))
        result = []
        for item in items:
            if not item.is_told:
                result.append(self._played(item, item.given))
                self._untold.remove(item)
            item.waiting.clear()
            item.waiting_bytes = 0
            item.is_told = True
        self._queue.clear()
        self._is_running = False
        self._filling_since = None
        return tuple(result)

    def lose(self, now: float) -> None:
        """The device is gone: what it had and nobody heard by *now* is to be played by the next one."""
        self._forget_heard(now)
        while self._under_way:
            piece = self._under_way.pop()
            item = piece.item
            skip = max(0, min(len(piece.pcm), round((now - piece.begin) * self._device_rate) * _FRAME))
            share = skip / len(piece.pcm)
            item.heard += piece.frames * share
            item.given -= piece.frames * (1 - share)
            item.under_way -= 1
            if not item.is_told and skip < len(piece.pcm):
                item.waiting.appendleft(piece.pcm[skip:])
                item.waiting_bytes += len(piece.pcm) - skip
                if item not in self._queue:
                    self._queue.appendleft(item)
        self._is_running = False

    def change_device_rate(self, device_rate_hz: int) -> None:
        """Play to a device with this rate from now on; the last one's is lost, see :meth:`lose`."""
        if device_rate_hz == self._device_rate:
            return
        for item in self._queue:
            rest = b"".join([*item.waiting, b"" if item.is_finished else item.resampler.finish()])
            item.waiting.clear()
            item.waiting_bytes = 0
            item.put(resample(rest, self._device_rate, device_rate_hz))
            item.resampler = Resampler(self._rate, device_rate_hz)
        self._device_rate = device_rate_hz

    def heard_frames(self, item_id: str, now: float) -> int:
        """Return how much of an item was heard by *now*; 0 if it is not known."""
        item = self._known.get(item_id)
        if item is None:
            return 0
        heard = item.heard
        for piece in self._under_way:
            if piece.item is item:
                heard += max(0.0, min(piece.frames, (now - piece.begin) * self._rate))
        return min(item.received, round(heard))

    def received_frames(self, item_id: str) -> int:
        """Return how much of an item came; 0 if it is not known."""
        item = self._known.get(item_id)
        return 0 if item is None else item.received

    def is_quiet(self, now: float) -> bool:
        """Whether everything that came was heard, or cut."""
        if any(item.waiting for item in self._queue):
            return False
        return not self._under_way or self._end_of(self._under_way[-1]) <= now

    def _forget_heard(self, now: float) -> None:
        while self._under_way and self._end_of(self._under_way[0]) <= now:
            piece = self._under_way.popleft()
            piece.item.heard += piece.frames
            piece.item.under_way -= 1

    def _next(self) -> _Item | None:
        """Return the item to play, past those that have nothing left to play."""
        while self._queue:
            item = self._queue[0]
            # One that another follows is over, finished or not.
            if item.waiting or not (item.is_finished or len(self._queue) > 1):
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
            or item.waiting_bytes >= self._prebuffer * self._device_rate * _FRAME
            or now - self._filling_since >= self._prebuffer
        )

    def _give(self, item: _Item, part: memoryview, begin: float) -> None:
        frames = len(part) / _FRAME * self._rate / self._device_rate
        self._under_way.append(_Piece(item, part, begin, frames))
        item.under_way += 1
        item.given += frames

    def _end_of(self, piece: _Piece) -> float:
        return piece.begin + piece.frames / self._rate

    def _played(self, item: _Item, frames: float) -> Played:
        whole = min(item.received, round(frames))
        return Played(
            item.item_id, whole, whole * 1000 // self._rate, item.is_finished and not item.waiting_bytes
        )
