"""
Requests that are no WebSocket handshakes: those for client secrets, and refusals of all others.

``websockets`` ends a connection that does not begin with ``GET``, or whose request has a body: without an
answer. The former are read here, the latter answered.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import orjson

from ..dialects.rules import RefusalError
from ..model.session import Session
from .handshake import Authenticator, Refused, Secret, SecretRequest

__all__ = ["RestRequest", "answer_on_wire", "head_of", "is_rest", "mint", "read_request", "write_answer"]

_MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_BODY_BYTES: Final = 1024 * 1024
_LINGER_SECONDS: Final = 5.0


@dataclass(frozen=True)
class RestRequest:
    """A request that was read whole."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def is_rest(client: socket.socket) -> bool:
    """Whether a request begins that is no GET; blocks until its first byte. Nothing is taken."""
    first = client.recv(1, socket.MSG_PEEK)
    return first.isupper() and first != b"G"


def read_request(client: socket.socket) -> RestRequest | None:
    """Read a request; ``None`` if it is none. Blocks, with the socket's time-out."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(4096)
        data += piece
        if not piece or len(data) > _MOST_HEAD_BYTES:
            return None
    head, _, body = data.partition(b"\r\n\r\n")
    asked = head_of(head)
    length = dict(asked.headers).get("content-length", "0") if asked is not None else ""
    is_number = length.isdecimal() and len(length) < 20  # Python refuses to read much longer ones
    if asked is None or not is_number or int(length) > _MOST_BODY_BYTES:
        return None
    while len(body) < int(length) and (piece := client.recv(65536)):
        body += piece
    return replace(asked, body=body)


def head_of(head: bytes) -> RestRequest | None:
    """Read the head of a request, which has no body yet; ``None`` if it is none."""
    line, *rest = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in rest)
    ]
    return RestRequest(words[0], words[1], headers, b"") if len(words) == 3 else None


def write_answer(client: socket.socket, answer: Refused, headers: Mapping[str, str]) -> None:
    """Write an answer, say that nothing follows, and wait until the client has gone, with a bound."""
    client.sendall(answer_on_wire(answer, headers))
    client.shutdown(socket.SHUT_WR)
    # Closed with something unread, the connection would be reset, and the answer might be lost.
    end = time.monotonic() + _LINGER_SECONDS
    with contextlib.suppress(OSError):
        while client.recv(65536) and time.monotonic() < end:
            pass


def answer_on_wire(answer: Refused, headers: Mapping[str, str]) -> bytes:
    """Return an answer as it is written, with which the connection ends."""
    text = orjson.dumps(answer.body)
    fields = {
        **headers,
        **answer.headers,
        "Content-Type": "application/json",
        "Content-Length": str(len(text)),
        "Connection": "close",
    }
    status = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    lines = [status, *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


def mint(authenticator: Authenticator, request: SecretRequest, body: bytes, now: float) -> Refused:
    """
    Make a client secret of the body of a request; *now* in Unix seconds.

    Its session is the one that a client has that connects with it. Secrets that have expired are forgotten.
    """
    dialect = request.dialect
    try:
        wish = dialect.secret_wish(request.path, orjson.loads(body or b"{}"))
    except ValueError:
        return _bad_request(RefusalError("invalid_json", "The body is no JSON."))
    except RefusalError as refusal:
        return _bad_request(refusal)
    deployment = wish.session.get("model") or authenticator.deployments.first
    if not authenticator.deployments.converses(deployment):
        return Refused(404, authenticator.NO_DEPLOYMENT)
    changes = dialect.session_changes(wish.session)
    session = Session(
        kind=wish.kind,
        id=f"sess_{secrets.token_hex(8)}",
        model=dialect.model_of(deployment),
        expires_at=0,
        modalities=dialect.modalities(wish.kind),
        turn_detection=dialect.vad_defaults(),
    )
    expires = int(now) + wish.seconds
    value = f"ek_{secrets.token_hex(16)}"
    for old, held in list(authenticator.secrets.items()):  # a copy, since other threads mint as well
        if held.expires_at <= now:
            authenticator.secrets.pop(old, None)
    authenticator.secrets[value] = Secret(expires, wish.kind, deployment, changes)
    wire = dialect.session_on_wire(replace(session, **changes))
    return Refused(200, dialect.secret_on_wire(value, expires, wire))


def _bad_request(refusal: RefusalError) -> Refused:
    error = {"type": refusal.type, "code": refusal.code, "message": refusal.message, "param": refusal.param}
    return Refused(400, {"error": error})
