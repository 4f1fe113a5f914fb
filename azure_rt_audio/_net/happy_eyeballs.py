"""
From a host name to a TCP connection: the name's addresses, and a race between them.

A host may have several addresses, some of them dead: IPv6 that leads nowhere is the usual case. So
they are tried as RFC 8305 ("happy eyeballs") has it: the families take turns, each attempt has a
head start of a quarter of a second over the next, the first to connect wins, and the others
are closed.

Threads: the dial thread, with a selector; the look-up has a helper thread.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain, zip_longest
from typing import Any, Final

from .connect_errors import unusable
from .fork_guard import kept_from_forks
from .helper_thread import run_in_thread
from .waiting import BoundedWait, Cancelled, DeadlinePassed

__all__ = ["Address", "by_turns", "connect", "resolve"]

Address = tuple[Any, ...]
"""What :func:`socket.getaddrinfo` returns a list of."""

_HEAD_START: Final = 0.25
"""Seconds between two attempts, the "Connection Attempt Delay" of RFC 8305, section 5."""

_MAX_ATTEMPTS: Final = 8
"""Addresses that are tried; two would do for most hosts."""

_NOT_HERE: Final = frozenset(
    {errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
)
"""Errors that say that this machine lacks an address family, and nothing about the host."""


def resolve(host: str, port: int, bounds: BoundedWait) -> list[Address]:
    """
    Return the addresses of *host*. Blocks; the look-up itself may be abandoned.

    Raises:
        ConnectError: If it cannot be the name of a host.
        OSError: If it has no address.
        DeadlinePassed, Cancelled: See :meth:`BoundedWait.wait`.
    """
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name, then
    except UnicodeError:
        raise unusable("the host name is not a valid one") from None
    return run_in_thread(lambda: _look_up(host, port), bounds, "azure-rt-resolver")


def _look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    with kept_from_forks():
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


def connect(
    addresses: Iterable[Address], prepare: Callable[[socket.socket], None], bounds: BoundedWait
) -> socket.socket:
    """
    Return a socket, not blocking, connected to whichever of *addresses* answers first. Blocks.

    Args:
        addresses: The more preferable ones first.
        prepare: Sets the options of each socket, before it connects.
        bounds: Of all waits.

    Raises:
        OSError: If none of them can be reached: the most telling reason.
        DeadlinePassed, Cancelled: See :meth:`BoundedWait.wait`.
    """
    race = _Race(prepare)
    try:
        return race.run(deque(by_turns(addresses)[:_MAX_ATTEMPTS]), bounds)
    finally:
        race.close()


def by_turns(addresses: Iterable[Address]) -> list[Address]:
    """Let the families take turns, in the order in which they first appear; each address once."""
    families: dict[Any, dict[Any, Address]] = {}
    for address in addresses:
        families.setdefault(address[0], {}).setdefault(address[4], address)
    rounds = zip_longest(*(found.values() for found in families.values()))
    return [address for address in chain.from_iterable(rounds) if address is not None]


class _Race:
    """The attempts that are under way; the winner is taken out, the rest is closed by :meth:`close`."""

    def __init__(self, prepare: Callable[[socket.socket], None]) -> None:
        self._prepare = prepare
        self._selector = selectors.DefaultSelector()
        self._running: set[socket.socket] = set()
        self._failures: list[Exception] = []

    def run(self, waiting: deque[Address], bounds: BoundedWait) -> socket.socket:
        waker, deadline = bounds.waker, bounds.deadline
        self._selector.register(waker, selectors.EVENT_READ)
        next_start = 0.0
        while waiting or self._running:
            if waker.interrupted:
                raise Cancelled
            if deadline.expired:
                self._failures.append(DeadlinePassed())
                break
            now = time.monotonic()
            if waiting and (now >= next_start or not self._running):
                before = len(self._running)
                winner = self._start(waiting.popleft())
                if winner is not None:
                    return winner
                next_start = now + _HEAD_START if len(self._running) > before else 0.0
                continue
            waits = [deadline.remaining(), next_start - now if waiting else None]
            seconds = min((wait for wait in waits if wait is not None), default=None)
            for key, _ in self._selector.select(seconds):
                if key.fileobj is waker:
                    waker.drain()
                    continue
                assert isinstance(key.fileobj, socket.socket)
                if self._has_connected(key.fileobj):
                    return key.fileobj
                next_start = 0.0  # one has failed, so the next needs no head start
        raise max(self._failures, key=_weight, default=OSError("no address"))

    def close(self) -> None:
        """Give the descriptors back, but not the winner's."""
        self._selector.close()
        for sock in self._running:
            sock.close()

    def _start(self, address: Address) -> socket.socket | None:
        """Begin an attempt; return the socket if it is connected at once, as it may be on loopback."""
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as exc:
            self._failures.append(exc)  # this address family does not exist here
            return None
        self._running.add(sock)
        sock.setblocking(False)
        self._prepare(sock)
        try:
            sock.connect(where)
        except BlockingIOError:
            self._selector.register(sock, selectors.EVENT_WRITE)
            return None
        except OSError as exc:
            self._forget(sock, exc)
            return None
        self._running.remove(sock)
        return sock

    def _has_connected(self, sock: socket.socket) -> bool:
        self._selector.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            # OSError picks the subclass by the number, such as ConnectionRefusedError.
            self._forget(sock, OSError(code, os.strerror(code)))
            return False
        self._running.remove(sock)
        return True

    def _forget(self, sock: socket.socket, failure: OSError) -> None:
        self._failures.append(failure)
        self._running.remove(sock)
        sock.close()


def _weight(failure: Exception) -> int:
    """Rank reasons: a refusal says more than silence, and that more than a family this machine lacks."""
    if isinstance(failure, ConnectionRefusedError):
        return 3
    if isinstance(failure, DeadlinePassed):
        return 2
    return 0 if isinstance(failure, OSError) and failure.errno in _NOT_HERE else 1
