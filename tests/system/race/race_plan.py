"""
What both ends of a race agree on: how each connection ends, and frames of which none can be lost unseen.

Everything is drawn from the number of the run and that of the connection, so the two ends need not talk about
it, and a run can be repeated as far as threads can.
"""

from __future__ import annotations

import random
import zlib
from typing import Final

import attrs

WRITERS: Final = 4
SERVICE: Final = WRITERS
"""The sender number of the service; those of the client's writers are lower."""

REASON: Final = "race over"
"""Of the service's close frame."""

CLOSED, ABORTED = 4000, 4001
"""The codes with which the client leaves."""

DEAF: Final = 25
"""Frames of the largest size that a deaf service writes before it reads anything."""

LARGEST: Final = 40_000
"""Bytes of text in a frame at most."""

_WORDS: Final = random.Random(0).randbytes(LARGEST).hex().encode()


@attrs.frozen
class Plan:
    """
    One connection of a race.

    Attributes:
        end: Who ends it in the midst of traffic: ``client`` or ``service`` says goodbye, the client
            ``aborts``; ``nobody`` does before all has been sent both ways.
        closer: Who calls ``close`` for the client: the thread that ``waits``, a ``callback``, or that
            thread and all ``writers`` at once.
        frames: How many the service sends before the end comes.
        deaf: Whether the service reads nothing before it has written more than any buffers hold.
        silent: Whether the service says nothing in between until it is asked for a sign of life.
        backlog: The client's ``max_send_backlog_bytes``.
        send_buffer: The client's ``SO_SNDBUF``; ``None`` leaves it alone.
        own_class: Whether websocket-client's frame code takes part, for a class of the user's own.
    """

    run: int
    number: int
    end: str
    closer: str
    frames: int
    deaf: bool
    silent: bool
    backlog: int
    send_buffer: int | None
    own_class: bool

    @classmethod
    def draw(cls, run: int, number: int) -> Plan:
        """Return the plan of a connection."""
        dice = random.Random(f"{run} {number}")
        deaf = number % 20 == 3
        return cls(
            run=run,
            number=number,
            end=dice.choices(["client", "service", "aborts", "nobody"], [4, 3, 1, 2])[0],
            closer=dice.choice(["waits", "callback", "writers"]),
            frames=dice.randint(DEAF if deaf else 5, 35),
            silent=number % 3 == 1 and not deaf,
            deaf=deaf,
            backlog=dice.choice([1024, 20_000, 100_000]),
            send_buffer=20_000 if deaf else dice.choice([None, None, 4096, 20_000]),
            own_class=dice.random() < 0.15,
        )

    def dice(self, who: str) -> random.Random:
        """Return the dice of one of those who take part."""
        return random.Random(f"{self.run} {self.number} {who}")

    @property
    def frames_per_writer(self) -> int | None:
        """How many frames a writer sends; ``None`` if it goes on until the end comes."""
        return max(1, self.frames // WRITERS) if self.end == "nobody" else None


def make_frame(sender: int, number: int, dice: random.Random, size: int | None = None) -> bytes:
    """Return a frame with its sender, its number, a checksum, and 1 to 40 000 bytes, or *size*, of text."""
    if size is None:
        size = int(LARGEST ** dice.random())
    begin = dice.randrange(LARGEST)
    body = b"%d %d %s" % (sender, number, _WORDS[begin : begin + size])
    return b"%08x " % zlib.crc32(body) + body


class Ledger:
    """What was received: whole, in order, and nothing left out."""

    def __init__(self) -> None:
        self.counts = [0] * (WRITERS + 1)
        """Frames received in order, by sender."""
        self.bytes = 0
        self.lost: list[str] = []
        self.corrupted: list[str] = []

    @property
    def total(self) -> int:
        """Frames received in order."""
        return sum(self.counts)

    def enter(self, frame: bytes) -> None:
        """Enter a frame."""
        self.bytes += len(frame)
        checksum, _, body = frame.partition(b" ")
        if b"%08x" % zlib.crc32(body) != checksum:
            self.corrupted.append(f"{len(frame)} bytes: {frame[:60]!r}")
            return
        sender, number = map(int, body.split(b" ", 2)[:2])
        if number != self.counts[sender]:
            self.lost.append(f"sender {sender}: {number} came in the place of {self.counts[sender]}")
        self.counts[sender] = number + 1
