"""
From a URL to an open WebSocket: the connection is dialled, and upgraded by websocket-client.

websocket-client sees a :class:`BufferedSocket` in place of its socket. So it never waits by itself, never
sees a header that holds a credential, and follows no redirect.

Threads: the dial thread only.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import websocket

from .._concurrency.deadline import Deadline
from .._net.connect_errors import failed, place, refused, unusable
from .._net.dial import Target, dial
from .._net.waiting import BoundedWait, Cancelled, DeadlinePassed, Waker
from .._secret import Secret, credentials_of
from .._version import __version__
from ..errors import ConnectError
from ..options import WebSocketOptions
from .buffered_socket import BadUpgrade, BufferedSocket, NotUpgraded
from .dialling import WebSocketImpl
from .websocket import Transport

__all__ = ["open_transport"]

_USER_AGENT: Final = f"azure-rt-audio/{__version__}"


def open_transport(
    target: Target,
    options: WebSocketOptions,
    deadline: Deadline,
    waker: Waker | None = None,
    websocket_impl: WebSocketImpl | None = None,
) -> Transport:
    """
    Connect and finish the opening handshake. Blocks, at most until *deadline*.

    Args:
        target: Where to, with the credential.
        options: How.
        deadline: Of the whole handshake.
        waker: Its ``interrupt`` ends the attempt.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.

    Raises:
        ConnectError: If there is no connection, whatever the reason.
    """
    own = Waker() if waker is None else None
    bounds = BoundedWait(deadline, waker or cast(Waker, own))
    sock: BufferedSocket | None = None
    ws: Any = None
    is_open = False
    problem: ConnectError
    phase = "HTTP upgrade"
    try:
        _check(target)
        ws = (websocket_impl or websocket.WebSocket)(
            # UTF-8 is left to the JSON decoder: the check of websocket-client takes a millisecond per 10 KB.
            skip_utf8_validation=True,
            enable_multithread=False,
            sockopt=list(options.sockopt),
        )
        lines = _header_lines(target.headers)
        # A class that connects by a way of its own must be given the headers, and its trace may print them.
        connects_itself = type(ws).connect is not websocket.WebSocket.connect
        hidden = "" if connects_itself else "".join(f"{line}\r\n" for line in lines)
        sock = BufferedSocket(dial(target.url, options, bounds), bounds, hidden.encode())
        ws.connect(
            target.url,
            header=lines if connects_itself else [],
            socket=sock,
            suppress_origin=True,
            redirect_limit=0,  # a redirect would carry the credential to another host
        )
        if _status(ws) == 101:
            if ws.sock is not sock:  # a class of the user's own that makes its own socket
                sock.release()
                sock = BufferedSocket(ws.sock, bounds)
            sock.settle()
            transport = Transport(
                ws, sock, place(target.url), options.max_message_bytes, _date(ws), Secret(_hidden(target))
            )
            is_open = True
            return transport
        if ws.sock is not sock:
            ws.shutdown()
        problem = refused(
            target.url, _status(ws), ws.handshake_response.headers, b"", secrets=_hidden(target)
        )
    except NotUpgraded as exc:
        assert sock is not None
        body = sock.read_body(exc.headers)
        problem = refused(target.url, exc.status, exc.headers, body, secrets=_hidden(target))
    except websocket.WebSocketBadStatusException as exc:  # from a class that reads its own socket
        head, body = exc.resp_headers or {}, exc.resp_body or b""
        problem = refused(target.url, exc.status_code, head, body, secrets=_hidden(target))
    except DeadlinePassed:
        problem = failed(target.url, phase, None)
    except Cancelled:
        problem = ConnectError(f"The attempt to connect to {place(target.url)} was given up by this side.")
    except ConnectError as exc:
        problem = exc
    except websocket.WebSocketConnectionClosedException:
        problem = failed(target.url, phase, EOFError())
    except BadUpgrade as exc:
        problem = failed(target.url, phase, ValueError(str(exc)))
    except websocket.WebSocketException:
        if _status(ws) == 101:
            problem = failed(target.url, phase, ValueError("its answer to the upgrade is not a valid one"))
        else:  # a redirect, which some versions let pass and others refuse
            problem = refused(
                target.url, _status(ws), ws.handshake_response.headers, b"", secrets=_hidden(target)
            )
    except Exception as exc:  # noqa: BLE001 - websocket_impl is the user's code
        problem = failed(target.url, phase, exc)
    finally:
        if own is not None:
            own.close()
        if sock is not None and not is_open:
            sock.release()
    # Raised out here, without a context: the frames that failed hold the request's headers.
    raise problem


def _status(ws: Any) -> int:
    """Return the status that websocket-client took for a success, which includes redirects."""
    response = getattr(ws, "handshake_response", None)
    return 101 if response is None else int(response.status)


def _date(ws: Any) -> float | None:
    """Return the time of the peer's clock at the handshake, as Unix time; ``None`` if it does not tell."""
    response = getattr(ws, "handshake_response", None)
    headers = getattr(response, "headers", None)
    text = headers.get("date") if isinstance(headers, Mapping) else None
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _check(target: Target) -> None:
    if not target.url.startswith(("ws://", "wss://")) or place(target.url).startswith(":"):
        raise unusable("the URL does not begin with ws:// or wss:// and a host")
    for name, value in target.headers.items():
        if not (name + value).isprintable():
            raise unusable(f"the header {name!r} holds a line break or another control character")


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if "user-agent" not in {name.lower() for name in headers}:
        lines.append(f"User-Agent: {_USER_AGENT}")
    return lines


def _hidden(target: Target) -> list[str]:
    """Return what the peer must not have repeated in an error."""
    found = {*credentials_of(target.headers), *target.hidden.reveal()}
    return sorted(found, key=len, reverse=True)  # a whole before its parts
