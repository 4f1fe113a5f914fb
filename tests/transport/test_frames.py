"""Frames out of a buffer: whatever way they are cut, and whatever they claim."""

from __future__ import annotations

import pytest
from fake_servers import BINARY, CLOSE, PING, PONG, TEXT, frame
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio._transport.frames import FrameReader, ProtocolFault, TooBig, build_frame, parse_close
from azure_rt_audio._transport.receive_buffer import ReceiveBuffer

MIB = 2**20


def feed(buffer: ReceiveBuffer, data: bytes) -> None:
    """Write to the buffer as a socket does: as much at a time as there is room."""
    while data:
        buffer.make_room()
        room = buffer.room()
        taken = min(len(room), len(data))
        room[:taken] = data[:taken]
        buffer.grow(taken)
        data = data[taken:]


def drain(frames: FrameReader) -> list[tuple[int, bytes]]:
    """Take everything that is whole."""
    found: list[tuple[int, bytes]] = []
    while (item := frames.next()) is not None:
        found.append((item[0], bytes(item[1])))
    return found


messages = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300), st.lists(st.integers(0, 300))),
        st.tuples(st.sampled_from([PING, PONG, CLOSE]), st.binary(max_size=125), st.just([])),
    ),
    max_size=12,
)


@given(messages, st.lists(st.integers(1, 400), max_size=60), st.booleans())
def test_every_cut_gives_the_same_messages(
    wanted: list[tuple[int, bytes, list[int]]], cuts: list[int], interleave: bool
) -> None:
    """However stream and messages are cut, what comes out is whole and in order."""
    stream = bytearray()
    expected: list[tuple[int, bytes]] = []
    for opcode, payload, places in wanted:
        bounds = sorted({0, *(min(place, len(payload)) for place in places)})
        parts = [payload[a:b] for a, b in zip(bounds, [*bounds[1:], len(payload)], strict=True)]
        for index, part in enumerate(parts):
            stream += frame(0 if index else opcode, part, fin=index == len(parts) - 1)
            if interleave and index < len(parts) - 1:
                stream += frame(PING, b"p")
                expected.append((PING, b"p"))
        expected.append((opcode, payload))
    buffer = ReceiveBuffer()
    frames = FrameReader(buffer, MIB)

    found: list[tuple[int, bytes]] = []
    at = 0
    for size in [*cuts, len(stream)]:
        feed(buffer, bytes(stream[at : at + size]))
        found += drain(frames)
        at += size

    assert found == expected


@given(st.binary(max_size=600))
def test_junk_is_refused_or_waited_for(junk: bytes) -> None:
    """No bytes whatever raise anything but the two errors, and nothing is made up."""
    buffer = ReceiveBuffer()
    frames = FrameReader(buffer, 400)
    feed(buffer, junk)
    try:
        found = drain(frames)
    except (ProtocolFault, TooBig):
        return
    assert sum(len(payload) for _, payload in found) <= len(junk)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 3 * MIB])
def test_a_payload_lies_in_the_buffer(size: int) -> None:
    """An unfragmented message is handed out without a copy."""
    buffer = ReceiveBuffer()
    feed(buffer, frame(TEXT, b"x" * size))

    item = FrameReader(buffer, 4 * MIB).next()

    assert item is not None
    assert isinstance(item[1], memoryview)
    assert item[1].obj is buffer.data
    assert item[1] == b"x" * size


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 125, 126, 1001, 32_768, 32_769, 65_535, 65_536, 70_001])
def test_a_frame_is_masked(size: int) -> None:
    """Header, mask and payload are those of RFC 6455, whichever way is quicker for the size."""
    payload = bytes(number % 251 for number in range(size))
    extended = (b"", b"\xfe", b"\xff")[(size > 125) + (size > 65_535)]

    built = bytes(build_frame(TEXT, payload))

    head = bytes([0x80 | TEXT]) + (
        extended + size.to_bytes(2 if size < 65_536 else 8, "big") if extended else bytes([0x80 | size])
    )
    mask, masked = built[len(head) : len(head) + 4], built[len(head) + 4 :]
    assert built.startswith(head)
    assert bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked)) == payload


@pytest.mark.parametrize("claim", [1025, 65_536, 2**40, 2**63 - 1, 2**64 - 1])
def test_a_claim_over_the_limit_takes_no_memory(claim: int) -> None:
    """The header alone is enough to refuse, and the buffer stays as small as it was."""
    buffer = ReceiveBuffer()
    before = len(buffer.data)
    feed(buffer, frame(TEXT, b"", claim=claim))
    with pytest.raises(TooBig):
        FrameReader(buffer, 1024).next()

    assert len(buffer.data) == before


def test_empty_fragments_take_no_memory() -> None:
    """A peer that sends nothing in a hundred thousand pieces makes us store nothing."""
    buffer = ReceiveBuffer()
    frames = FrameReader(buffer, 1024)
    feed(buffer, frame(TEXT, b"", fin=False))
    assert frames.next() is None
    for _ in range(100):
        feed(buffer, frame(0, b"", fin=False) * 1000)
        assert frames.next() is None
    feed(buffer, frame(0, b"end"))

    assert drain(frames) == [(TEXT, b"end")]
    assert len(buffer.data) <= 64 * 1024


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (frame(TEXT, b"x", mask=True), "masked"),
        (frame(0x40 | TEXT, b"x"), "reserved bit"),
        (frame(0x20 | BINARY, b"x"), "reserved bit"),
        (frame(0x10 | PING, b"x"), "reserved bit"),
        (frame(3, b"x"), "unknown opcode 3"),
        (frame(7, b"x", fin=False), "unknown opcode 7"),
        (frame(11, b"x"), "unknown opcode 11"),
        (frame(15, b"x"), "unknown opcode 15"),
        (frame(0, b"x"), "continuation of nothing"),
        (frame(TEXT, b"x", fin=False) + frame(BINARY, b"x"), "a new message inside another one"),
        (frame(PING, b"x", fin=False), "in parts"),
        (frame(CLOSE, b"x" * 126), "over 125 bytes"),
    ],
)
def test_a_fault_has_a_name(data: bytes, what: str) -> None:
    """Each breach of the protocol is told apart."""
    buffer = ReceiveBuffer()
    feed(buffer, data)
    with pytest.raises(ProtocolFault, match=what):
        drain(FrameReader(buffer, MIB))


def test_a_fault_is_found_before_its_payload_arrives() -> None:
    """The header is enough: a peer at fault is not waited for."""
    buffer = ReceiveBuffer()
    feed(buffer, frame(3, b"", claim=1000))
    with pytest.raises(ProtocolFault):
        FrameReader(buffer, MIB).next()


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    """A close frame brings its code and its reason."""
    assert parse_close(code.to_bytes(2, "big") + "grüß".encode()) == (code, "grüß")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_codes_that_may_not(code: int) -> None:
    """What must not stand in a close frame is a fault."""
    with pytest.raises(ProtocolFault) as caught:
        parse_close(code.to_bytes(2, "big"))

    assert caught.value.code == 1002


def test_a_close_frame_of_no_and_of_one_byte() -> None:
    """None is fine and means 1005; one is half a code."""
    assert parse_close(b"") == (1005, "")
    with pytest.raises(ProtocolFault):
        parse_close(b"\x03")


def test_the_buffer_gives_back_what_a_large_message_took() -> None:
    """Once it has passed and small ones follow, memory is small again; between large ones it is kept."""
    buffer = ReceiveBuffer()
    frames = FrameReader(buffer, 16 * MIB)
    feed(buffer, frame(TEXT, b"x" * (5 * MIB)))
    assert len(drain(frames)) == 1
    grown = len(buffer.data)
    feed(buffer, frame(TEXT, b"x" * (5 * MIB)))
    assert len(drain(frames)) == 1
    assert len(buffer.data) == grown >= 5 * MIB

    for _ in range(100):
        feed(buffer, frame(TEXT, b"small"))
        assert drain(frames) == [(TEXT, b"small")]

    assert len(buffer.data) == len(ReceiveBuffer().data)
