"""The ring between PortAudio's thread and a reader's."""

from __future__ import annotations

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.devices.ring import Ring


@given(st.integers(1, 40), st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60))
def test_a_ring_is_a_queue_of_bytes_with_a_limit(capacity: int, steps: list[tuple[bool, int]]) -> None:
    """What is written comes out as it went in, in whatever pieces; what does not fit is refused whole."""
    ring, model, number = Ring(capacity), bytearray(), 0
    everything = bytearray()
    for is_write, size in steps:
        if is_write:
            piece = bytes((number + n) % 251 for n in range(size))
            number += size
            fits = len(model) + size <= capacity
            assert ring.write(piece) is fits
            if fits:
                model += piece
                everything += piece
        else:
            expected = bytes(model[:size]) if size <= len(model) else b""
            assert ring.read(size) == expected
            del model[: len(expected)]
        assert len(ring) == len(model)
        assert ring.latest(capacity) == bytes(everything[-capacity:])
    assert ring.written - ring.consumed == len(ring)


def test_two_threads_need_no_lock() -> None:
    """What one thread writes another one reads, in its order and whole."""
    ring = Ring(1000)
    total = 200_000
    got = bytearray()
    source = bytes(n % 251 for n in range(total))

    def write() -> None:
        at = 0
        while at < total:
            size = min(7 + at % 300, total - at)
            if ring.write(source[at : at + size]):
                at += size

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        writer = threading.Thread(target=write)
        writer.start()
        while len(got) < total:
            got += ring.read(min(len(ring), 333))
        writer.join()
    finally:
        sys.setswitchinterval(before)
    assert bytes(got) == source
