"""Connection attempts that must succeed or fail, and the next message of a transport."""

from __future__ import annotations

import contextlib
import selectors
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from fake_servers import CLIENT_TLS, HANG, HEADERS, KEY

from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._transport.websocket import CloseFrame, Target, Transport, Wire, open_transport
from azure_rt_audio.errors import ConnectError


@contextlib.contextmanager
def opened(url: str, headers: dict[str, str] = HEADERS, **wire: Any) -> Iterator[Transport]:
    """Yield a transport to *url*."""
    how = Wire(**{"ssl_context": CLIENT_TLS, **wire})
    transport = open_transport(Target(url, headers), how, Deadline(HANG))
    try:
        yield transport
    finally:
        transport.release()


def refusal(url: str, headers: dict[str, str] = HEADERS, seconds: float = HANG, **wire: Any) -> ConnectError:
    """Return the error of an attempt that must fail, after a look for the key in all of it."""
    how = Wire(**{"ssl_context": CLIENT_TLS, **wire})
    with pytest.raises(ConnectError) as caught:
        open_transport(Target(url, headers), how, Deadline(seconds))
    error = caught.value
    everything = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error)
    assert KEY not in everything
    assert "not-shown" not in everything
    return error


def receive(transport: Transport) -> bytes | CloseFrame:
    """Return the next message, waiting for it."""
    deadline = Deadline(HANG)
    with selectors.DefaultSelector() as selector:
        selector.register(transport, transport.interest)
        while True:
            message = transport.receive()
            if message is not None:
                return message if isinstance(message, CloseFrame) else bytes(message)
            assert not deadline.expired
            if not transport.has_more:
                selector.select(deadline.remaining())
            transport.fill()
