"""The newest sound of a stream, by the index of its bytes."""

from __future__ import annotations

import random

from azure_rt_audio._session.sound_ring import SoundRing


def test_what_was_appended_is_read_back() -> None:
    """Any part of it, in order, whatever the pieces."""
    chance = random.Random(7)
    ring, whole = SoundRing(), b""
    for _ in range(200):
        sound = chance.randbytes(chance.randrange(1, 50))
        ring.append(sound)
        whole += sound

    assert (ring.start, ring.end) == (0, len(whole))
    for _ in range(200):
        start, stop = sorted(chance.randrange(len(whole) + 1) for _ in range(2))
        assert b"".join(ring.read(start, stop)) == whole[start:stop]


def test_the_newest_is_kept() -> None:
    """As many bytes as were asked for, in whole chunks."""
    ring = SoundRing()
    for second in range(10):
        ring.append(bytes([second]) * 10)
        ring.limit(25)

    assert (ring.start, ring.end) == (70, 100)
    assert b"".join(ring.read(0, 100)) == b"\x07" * 10 + b"\x08" * 10 + b"\x09" * 10


def test_one_chunk_is_kept_whatever_its_size() -> None:
    """A limit below it drops all but the newest."""
    ring = SoundRing()
    ring.append(bytes(100))
    ring.limit(10)

    assert b"".join(ring.read(0, 100)) == bytes(100)


def test_what_is_done_with_is_forgotten() -> None:
    """Before an index within a chunk nothing is read any more."""
    ring = SoundRing()
    for value in range(3):
        ring.append(bytes([value]) * 10)
    ring.limit(25)
    ring.forget_before(15)

    assert ring.start == 15
    assert b"".join(ring.read(0, 30)) == b"\x01" * 5 + b"\x02" * 10
    ring.forget_before(1000)
    assert (ring.start, ring.read(0, 1000)) == (30, [])


def test_the_newest_is_taken_back() -> None:
    """Sound that was not sent after all; only if nothing came after it."""
    ring = SoundRing()
    first, second = b"first", b"second"
    ring.append(first)
    ring.append(second)
    ring.retract(first)
    assert ring.end == 11
    ring.retract(second)

    assert (ring.end, ring.read(0, 20)) == (5, [first])
