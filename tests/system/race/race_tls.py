"""
The service's side of TLS 1.3, in whose records a test may put what it likes.

OpenSSL does the handshake and writes down its secrets; from then on :class:`Records` seals and opens the
records. Python's ``ssl`` can neither send a key update nor choose when a session ticket goes out, and here
both may stand between any two records, also in the midst of a frame. What is received is counted, so that
an answer to a key update is seen and not assumed.
"""

from __future__ import annotations

import hmac
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

FULL: Final = 16 * 1024
"""Bytes that a record carries at most."""

_RANDOM: Final = slice(11, 43)
"""Where the client's random number is: after type, version and length of the record and of the message."""

_ALERT, _HANDSHAKE, _DATA = 21, 22, 23
_NEW_SESSION_TICKET, _KEY_UPDATE = 4, 24


class Broken(Exception):  # noqa: N818 - what the client did
    """The client sent what TLS does not allow, or an alert."""


class _Suite(NamedTuple):
    aead: type[AESGCM | ChaCha20Poly1305]
    key_size: int
    digest: str


_SUITES: Final = {
    "TLS_AES_128_GCM_SHA256": _Suite(AESGCM, 16, "sha256"),
    "TLS_AES_256_GCM_SHA384": _Suite(AESGCM, 32, "sha384"),
    "TLS_CHACHA20_POLY1305_SHA256": _Suite(ChaCha20Poly1305, 32, "sha256"),
}


class KeyLog:
    """The secrets of the handshakes that *context* makes, which it writes into the file *path*."""

    def __init__(self, context: ssl.SSLContext, path: Path) -> None:
        context.keylog_filename = str(path)
        self._path = path
        self._seen = 0  # bytes of the file
        self._secrets: dict[tuple[str, str], bytes] = {}

    def secret(self, label: str, client_random: bytes) -> bytes:
        """Return a traffic secret of the handshake with that random number of the client's."""
        with self._path.open() as file:
            file.seek(self._seen)
            lines = file.readlines()
            self._seen = file.tell()
        for words in map(str.split, lines):
            if len(words) == 3:  # not a comment
                self._secrets[words[0], words[1]] = bytes.fromhex(words[2])
        return self._secrets.pop((label, client_random.hex()))


class Handshake:
    """
    The handshake of one connection, done by OpenSSL in memory.

    Attributes:
        records: How to go on, once it is done.
        rest: What the client sent beyond it.
    """

    def __init__(self, context: ssl.SSLContext, keys: KeyLog) -> None:
        self._keys = keys
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._hello = b""
        self.records: Records | None = None
        self.rest = b""

    def take(self, raw: bytes) -> bytes:
        """Take what the client sent and return the answer."""
        if not raw:
            raise Broken("no whole handshake")
        self._incoming.write(raw)
        if len(self._hello) < _RANDOM.stop:
            self._hello += raw
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        cipher = self._tls.cipher()
        assert cipher is not None
        self.records = Records(cipher[0], self._keys, self._hello[_RANDOM])
        self.rest = self._incoming.read()
        return self._outgoing.read()


class _Direction:
    """The keys of one direction, RFC 8446, sections 5.3, 7.2 and 7.3."""

    def __init__(self, suite: _Suite, secret: bytes) -> None:
        self._suite = suite
        self._secret = secret
        self._use()

    def _use(self) -> None:
        self.aead = self._suite.aead(self._expand(b"key", self._suite.key_size))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")
        self._number = 0

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        # No size here exceeds that of the digest, so the first block is all.
        return hmac.digest(self._secret, info + b"\1", self._suite.digest)[:size]

    def nonce(self) -> bytes:
        """Return the next record's."""
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return nonce

    def update(self) -> None:
        """Go on with the next generation of keys."""
        self._secret = self._expand(b"traffic upd", len(self._secret))
        self._use()


class Records:
    """
    The record layer of one connection after its handshake.

    **Threads.** One thread only.
    """

    def __init__(self, suite: str, keys: KeyLog, client_random: bytes) -> None:
        self._inwards = _Direction(_SUITES[suite], keys.secret("CLIENT_TRAFFIC_SECRET_0", client_random))
        self._outwards = _Direction(_SUITES[suite], keys.secret("SERVER_TRAFFIC_SECRET_0", client_random))
        self._raw = bytearray()
        self.updates_received = 0
        self.at_end = False
        """Whether the client has said that nothing more will come."""

    def open(self, raw: bytes) -> bytes:
        """Return what the records carry that *raw* completes."""
        self._raw += raw
        carried = bytearray()
        while len(self._raw) >= 5:
            end = 5 + int.from_bytes(self._raw[3:5], "big")
            if len(self._raw) < end:
                break
            record = bytes(self._raw[:end])
            del self._raw[:end]
            try:
                inner = self._inwards.aead.decrypt(self._inwards.nonce(), record[5:], record[:5])
            except InvalidTag:
                raise Broken("a record that cannot be opened") from None
            inner = inner.rstrip(b"\0")  # padding
            if not inner:
                raise Broken("a record without a type")
            self._take(inner[-1], inner[:-1], carried)
        return bytes(carried)

    def _take(self, kind: int, content: bytes, carried: bytearray) -> None:
        if kind == _DATA:
            carried += content
        elif kind == _HANDSHAKE and content == bytes([_KEY_UPDATE, 0, 0, 1, 0]):
            self._inwards.update()
            self.updates_received += 1
        elif kind == _ALERT and content[1:] == b"\0":
            self.at_end = True
        else:
            raise Broken(f"a record of type {kind}: {content[:20].hex()}")

    # What is sealed must be sent in the order of these calls.

    def data(self, data: bytes) -> bytes:
        """Return a record of up to ``FULL`` bytes of data; it may be empty."""
        return self._seal(_DATA, data)

    def key_update(self, *, requested: bool) -> bytes:
        """Return a key update; *requested* asks the client for one of its own."""
        record = self._seal(_HANDSHAKE, bytes([_KEY_UPDATE, 0, 0, 1, requested]))
        self._outwards.update()
        return record

    def ticket(self, ticket: bytes) -> bytes:
        """Return a session ticket."""
        lifetime, age_add, nonce, extensions = (3600).to_bytes(4, "big"), ticket[:4], ticket[:8], b"\0\0"
        body = lifetime + age_add + bytes([len(nonce)]) + nonce + len(ticket).to_bytes(2, "big") + ticket
        body += extensions
        return self._seal(_HANDSHAKE, bytes([_NEW_SESSION_TICKET]) + len(body).to_bytes(3, "big") + body)

    def end(self) -> bytes:
        """Return the alert that nothing more will come."""
        return self._seal(_ALERT, b"\1\0")

    def _seal(self, kind: int, content: bytes) -> bytes:
        inner = content + bytes([kind])
        head = b"\x17\3\3" + (len(inner) + 16).to_bytes(2, "big")
        return head + self._outwards.aead.encrypt(self._outwards.nonce(), inner, head)
