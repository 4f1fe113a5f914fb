"""
WebSocket frames, taken out of the buffer in one pass, and made with one (RFC 6455, section 5).

Not left to websocket-client because of its cost there: to receive, a list, four reads and an object for each
frame; to send, twice the time, and five times for a megabyte. A received payload is a view of the buffer.

Pure: no socket, no clock, no thread.
"""

from __future__ import annotations

import os
import struct
from typing import Final

import attrs

from .receive_buffer import ReceiveBuffer

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "CloseFrame",
    "FrameReader",
    "Payload",
    "ProtocolFault",
    "TooBig",
    "build_frame",
    "parse_close",
]

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

Payload = bytes | bytearray | memoryview

_CONTINUATION: Final = 0x0
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MAX_CONTROL: Final = 125
_CLOSE_CODES: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
"""Those below 3000 that may stand in a close frame (RFC 6455, section 7.4, and IANA's registry)."""


_SHORT: Final = 32 * 1024
"""Bytes of payload up to which masking as one number is quicker than by tables."""

_IDENTITY: Final = int.from_bytes(bytes(range(256)), "big")
_ONES: Final = int.from_bytes(b"\1" * 256, "big")
_XOR: Final = tuple((_IDENTITY ^ _ONES * key).to_bytes(256, "big") for key in range(256))
"""For each byte of a mask, what it makes of each byte of a payload."""


@attrs.frozen
class CloseFrame:
    """The peer's close frame; code 1005 if it named none."""

    code: int
    reason: str


class TooBig(Exception):  # noqa: N818 - an outcome, never shown
    """A message is, or claims to be, over the limit."""


class ProtocolFault(Exception):  # noqa: N818 - an outcome, never shown
    """The peer broke the protocol: in words, and the close code that says so."""

    def __init__(self, what: str, code: int = 1002) -> None:
        super().__init__(what)
        self.what = what
        self.code = code


def build_frame(opcode: int, payload: bytes) -> bytearray:
    """Return a whole, masked frame, as a client has to send it."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", _FIN | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", _FIN | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, 0x80 | 127, size)
    mask = os.urandom(4)
    if size <= _SHORT:
        masks = (size + 3) // 4
        masked = int.from_bytes(payload, "little") ^ int.from_bytes(mask * masks, "little")
        return bytearray().join((head, mask, masked.to_bytes(4 * masks, "little")[:size]))
    at = len(head) + 4
    frame = bytearray(at + size)
    frame[:at] = head + mask
    for place in range(4):  # a byte of the mask at a time: the interpreter has nothing that does it faster
        frame[at + place :: 4] = payload[place::4].translate(_XOR[mask[place]])
    return frame


class FrameReader:
    """
    Takes messages and control frames out of a buffer.

    Args:
        buffer: Where what arrives is written to.
        limit: Bytes that a message may have, its fragments together.

    **Threads.** One thread only.
    """

    def __init__(self, buffer: ReceiveBuffer, limit: int) -> None:
        self._buffer = buffer
        self._limit = limit
        self._opcode = 0  # of the message whose fragments are being collected, or 0
        self._parts = bytearray()

    def next(self) -> tuple[int, Payload] | None:
        """
        Return opcode and payload of the next whole message or control frame; ``None`` if there is none yet.

        The payload is to be used before more is read into the buffer, unless it is copied.

        Raises:
            ProtocolFault: If the peer broke the protocol.
            TooBig: As soon as a header claims more than the limit; nothing is stored for it.
        """
        buffer = self._buffer
        while True:
            begin, end, data = buffer.begin, buffer.end, buffer.data
            if end - begin < 2:
                return None
            first, size = data[begin], data[begin + 1]
            at = begin + 2
            if size > 125:
                if size == 126:
                    at = begin + 4
                elif size == 127:
                    at = begin + 10
                else:
                    raise ProtocolFault("a masked frame")
                if at > end:
                    return None
                size = int.from_bytes(buffer.view[begin + 2 : at], "big")
            is_single = (first == 0x81 or first == 0x82) and not self._opcode
            if not is_single:
                self._check(first, size)
            if size + len(self._parts) > self._limit and first & 0x0F < CLOSE:
                raise TooBig
            stop = at + size
            if stop > end:
                return None
            buffer.begin = stop
            payload = buffer.view[at:stop]
            if is_single or first & 0x0F >= CLOSE:
                return first & 0x0F, payload
            if first & 0x0F:
                self._opcode = first & 0x0F
            self._parts += payload
            if first & _FIN:
                opcode, whole = self._opcode, self._parts
                self._opcode, self._parts = 0, bytearray()
                return opcode, whole

    def _check(self, first: int, size: int) -> None:
        """Judge a frame that is not simply a whole message."""
        opcode = first & 0x0F
        if first & _RESERVED:
            raise ProtocolFault("a reserved bit")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise ProtocolFault(f"the unknown opcode {opcode}")
            if not first & _FIN or size > _MAX_CONTROL:
                raise ProtocolFault("a control frame in parts or over 125 bytes")
        elif opcode > BINARY:
            raise ProtocolFault(f"the unknown opcode {opcode}")
        elif opcode == _CONTINUATION and not self._opcode:
            raise ProtocolFault("a continuation of nothing")
        elif opcode != _CONTINUATION and self._opcode:
            raise ProtocolFault("a new message inside another one")


def parse_close(payload: bytes) -> tuple[int, str]:
    """
    Return code and reason of a close frame; code 1005 if it names none.

    Raises:
        ProtocolFault: If the code may not be sent, or the reason is not UTF-8.
    """
    if not payload:
        return 1005, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CLOSE_CODES or 3000 <= code < 5000):
        raise ProtocolFault("a close frame with a code that may not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolFault("a close reason that is not UTF-8", 1007) from None
