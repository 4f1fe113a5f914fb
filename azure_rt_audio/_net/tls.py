"""
TLS on a TCP connection: the context, and the handshake.

A plain :class:`ssl.SSLContext` does its handshake here without blocking. One with a
``wrap_socket`` of its own, such as truststore's, has the system check the certificate afterwards, which
may ask the network for as long as it likes: that goes to a helper thread, ``azure-rt-tls``.

Threads and locks: ``_shared_lock`` guards the contexts that connections share; a leaf. A forked child has a
lock and contexts of its own: the parent may be loading certificates at the fork.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._concurrency.deadline import Deadline
from .._extras import importing
from ..errors import MissingExtraError
from ..options.websocket import TlsTrust
from .connect_errors import unusable
from .fork_guard import kept_from_forks
from .helper_thread import run_in_thread
from .tls_stream import TlsStream
from .waiting import BoundedWait, DeadlinePassed

__all__ = ["choose_context", "import_truststore", "secure"]

S = TypeVar("S", ssl.SSLSocket, TlsStream)

_shared_lock = threading.Lock()  # guards _shared
_shared: dict[str, ssl.SSLContext] = {}


def _start_anew() -> None:
    global _shared_lock, _shared
    _shared_lock, _shared = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def choose_context(trust: TlsTrust) -> ssl.SSLContext:
    """
    Return the context to use; without one, one that all connections share.

    Raises:
        ConnectError: If there cannot be one.
    """
    if isinstance(trust, ssl.SSLContext):
        return trust
    kind, make = ("truststore", _truststore) if trust else ("default", ssl.create_default_context)
    with kept_from_forks(), _shared_lock:  # 18 ms and 0.9 MB each, so it is worth the wait for one
        if kind not in _shared:
            _shared[kind] = make()
        return _shared[kind]


def import_truststore() -> Any:
    """
    Return truststore.

    Raises:
        ConnectError: If it is not installed, or broken.
    """
    try:
        with importing("truststore", "truststore", 'ssl_context="truststore"'):
            return importlib.import_module("truststore")
    except MissingExtraError as exc:
        raise unusable(exc.message) from exc


def _truststore() -> ssl.SSLContext:
    context: ssl.SSLContext = import_truststore().SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def secure(
    sock: socket.socket, context: ssl.SSLContext, name: str, bounds: BoundedWait
) -> TlsStream | ssl.SSLSocket:
    """
    Do the TLS handshake; *sock* is the returned object's from here on, also if it fails. Blocks.

    Args:
        sock: Connected, and not blocking.
        context: Has the trusted authorities and our own certificate.
        name: What the certificate must name; also sent as SNI, unless it is an address.
        bounds: Of all waits.

    Raises:
        OSError: If it fails; an :class:`ssl.SSLCertVerificationError` if the certificate is the reason.
        DeadlinePassed, Cancelled: See :meth:`BoundedWait.wait`.
    """
    # By the module of the function, because truststore can put its own class in the place of ssl.SSLContext.
    if getattr(type(context).wrap_socket, "__module__", "") == "ssl":
        with kept_from_forks():
            stream = TlsStream(sock, context, name)
        return _shake_hands(stream, lambda events: bounds.wait(sock, events), is_gated=True)
    with sock.dup() as handle:  # sock itself gives its descriptor away

        def stop() -> None:
            with contextlib.suppress(OSError):  # the peer was first
                handle.shutdown(socket.SHUT_RDWR)

        return run_in_thread(
            lambda: _secure_aside(sock, context, name, bounds.deadline),
            bounds,
            "azure-rt-tls",
            stop=stop,
            discard=lambda tls: tls.close(),
        )


def _secure_aside(
    sock: socket.socket, context: ssl.SSLContext, name: str, deadline: Deadline
) -> TlsStream | ssl.SSLSocket:
    """Do the handshake of a context with code of its own, in such a way that the certificate is checked."""
    # Before 0.10.5 truststore checked at the end of a wrap_socket that had done the handshake, nowhere else.
    # Since then it also checks at the end of do_handshake; and it holds a lock of the context in both, so a
    # handshake must not block, lest one silent peer hold up the others. The real context is in its _ctx.
    if getattr(type(context).wrap_bio, "__module__", "").startswith("truststore."):
        # What it wraps in memory checks at the end of do_handshake, in every version.
        own = socket.socket(fileno=sock.detach())  # as wrap_socket does: whoever gives up closes sock
        try:
            stream = TlsStream(own, context, name)
        except BaseException:
            own.close()
            raise
        return _shake_hands(stream, lambda events: _await(own, events, deadline))
    real: Any = getattr(context, "_ctx", context)
    if real.sslsocket_class.do_handshake is not ssl.SSLSocket.do_handshake:
        tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        return _shake_hands(tls, lambda events: _await(tls, events, deadline))
    remaining = deadline.remaining()
    sock.settimeout(None if remaining is None else max(0.001, remaining))  # 0 would not block
    tls = context.wrap_socket(sock, server_hostname=name)
    if tls.version() is None:  # the peer had gone before, which wrap_socket takes for "not yet connected"
        tls.close()
        raise EOFError
    tls.setblocking(False)
    return tls


def _await(sock: socket.socket, events: int, deadline: Deadline) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, events)
        if not selector.select(deadline.remaining()):
            raise DeadlinePassed


def _shake_hands(tls: S, wait: Callable[[int], None], *, is_gated: bool = False) -> S:
    try:
        while True:
            try:
                with kept_from_forks() if is_gated else contextlib.nullcontext():
                    tls.do_handshake()
                return tls
            except ssl.SSLWantReadError:
                wait(selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                wait(selectors.EVENT_WRITE)
    except BaseException:
        tls.close()
        raise
