"""Connection attempts that must succeed or fail, and the next message of a transport."""

from __future__ import annotations

import contextlib
import selectors
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from fake_servers import HANG, HEADERS, KEY, options_of

from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._transport import Target
from azure_rt_audio._transport.handshake import open_transport
from azure_rt_audio._transport.websocket import CloseFrame, Transport
from azure_rt_audio.errors import ConnectError


def attempt(url: str, headers: dict[str, str], seconds: float, options: dict[str, Any]) -> Transport:
    """Try to connect."""
    impl = options.get("websocket_impl")
    return open_transport(Target(url, headers), options_of(options), Deadline(seconds), websocket_impl=impl)


@contextlib.contextmanager
def opened(url: str, headers: dict[str, str] = HEADERS, **options: Any) -> Iterator[Transport]:
    """Yield a transport to *url*."""
    transport = attempt(url, headers, HANG, options)
    try:
        yield transport
    finally:
        transport.release()


def refusal(
    url: str, headers: dict[str, str] = HEADERS, seconds: float = HANG, **options: Any
) -> ConnectError:
    """Return the error of an attempt that must fail, after a look for the key in all of it."""
    with pytest.raises(ConnectError) as caught:
        attempt(url, headers, seconds, options)
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
