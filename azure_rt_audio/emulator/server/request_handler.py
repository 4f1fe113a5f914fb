"""
Answers the HTTP requests of clients: handshakes, and the REST call for an ephemeral key.

Threads: each request is answered on its connection's thread. Nothing is shared between them but the table of
accepted handshakes, in which a thread touches its own entry only, and the client secrets.
"""

from __future__ import annotations

import socket
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

import orjson

from . import faults as fault
from .clock import Clock
from .handshake import Accepted, Authenticator, Refused, SecretRequest, redacted_target
from .request_log import Attempt
from .rest import answer_on_wire, head_of, mint, read_request, write_answer

if TYPE_CHECKING:
    from websockets.datastructures import Headers
    from websockets.http11 import Request, Response
    from websockets.server import ServerProtocol
    from websockets.sync.server import ServerConnection

__all__ = ["RequestHandler", "lower_names", "redacted"]

_SECRET_HEADERS: Final = frozenset({"api-key", "authorization", "sec-websocket-protocol", "cookie"})
_BAD_REQUEST: Final = {"error": {"code": "400", "message": "Bad request"}}
_NO_HANDSHAKE: Final = {"error": {"code": "400", "message": "The request is no opening handshake."}}
_END: Final = b""  # as a protocol says that nothing follows


class RequestHandler:
    """
    Checks handshakes and answers REST calls.

    Args:
        region: Sent in the ``x-ms-region`` header.
        stopped: Ends the delay of a handshake.
        note: Called with each request and its status.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        faults: fault.Faults,
        region: str,
        clock: Clock,
        stopped: threading.Event,
        note: Callable[[Attempt], None],
    ) -> None:
        self._authenticator = authenticator
        self._faults = faults
        self._region = region
        self._clock = clock
        self._stopped = stopped
        self._note = note
        # Weak, since a client that leaves in mid-handshake is never served, and nobody tells.
        self._accepted: weakref.WeakKeyDictionary[ServerConnection, Accepted] = weakref.WeakKeyDictionary()

    def take(self, client: ServerConnection) -> Accepted:
        """Return what was accepted of a client, once."""
        return self._accepted.pop(client)

    def serve_rest(self, client: socket.socket) -> None:
        """Answer a request that is no handshake."""
        asked = read_request(client)
        if asked is None:
            self._record("", [], 400, "")
            write_answer(client, Refused(400, _BAD_REQUEST), {})
            return
        now = self._clock.time()
        answer = self._authenticator.check_rest(asked.method, asked.target, asked.headers, now)
        if isinstance(answer, SecretRequest):
            answer = mint(self._authenticator, answer, asked.body, now)
        self._record(asked.target, asked.headers, answer.status, asked.method)
        write_answer(client, answer, self._service_headers(dict(asked.headers)))

    def answer_unread(self, protocol: ServerProtocol) -> None:
        """
        Have a GET answered that ``websockets`` does not read: it would close the connection without a word.

        To be called before anything is received. Such are requests with a body; versions before 17 take a
        ``Content-Length: 0`` for one.
        """
        take = protocol.receive_data
        came = bytearray()

        def receive_data(data: bytes | bytearray) -> None:
            take(data)
            came.extend(data)
            if protocol.handshake_exc is None and not protocol.events:
                return  # the request goes on
            protocol.receive_data = take  # type: ignore[method-assign]
            if protocol.handshake_exc is not None and protocol.writes == [_END] and came.startswith(b"GET "):
                protocol.writes.insert(0, self._answer_get(bytes(came)))

        protocol.receive_data = receive_data  # type: ignore[method-assign]

    def _answer_get(self, data: bytes) -> bytes:
        asked = head_of(data.partition(b"\r\n\r\n")[0])
        if asked is None:
            self._record("", [], 400)
            return answer_on_wire(Refused(400, _BAD_REQUEST), {})
        checked = self._authenticator.check(asked.target, asked.headers, self._clock.time())
        answer = checked if isinstance(checked, Refused) else Refused(400, _NO_HANDSHAKE)
        self._record(asked.target, asked.headers, answer.status)
        return answer_on_wire(answer, self._service_headers(dict(asked.headers)))

    def check_handshake(self, client: ServerConnection, request: Request) -> Response | None:
        """Return a refusal, or ``None``: the handshake goes on."""
        headers = lower_names(request.headers)
        refusal: Refused | None = None
        for action in self._faults.due("handshake"):
            if isinstance(action, fault.Delay):
                self._sit_out(action.seconds)
            elif isinstance(action, fault.Drop):
                self._record(request.path, headers, 0)
                client.socket.shutdown(socket.SHUT_RDWR)
                return client.respond(503, "")
            elif isinstance(action, (fault.Refuse, fault.Redirect)):
                refusal = action.as_refused()
        outcome = (
            refusal
            if refusal is not None
            else self._authenticator.check(request.path, headers, self._clock.time())
        )
        if isinstance(outcome, Refused):
            self._record(request.path, headers, outcome.status)
            return self._answer(client, outcome, dict(headers))
        self._accepted[client] = outcome
        return None

    def _sit_out(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            if self._stopped.wait(self._clock.limit(left)):
                return

    def _record(
        self, target: str, headers: Iterable[tuple[str, str]], status: int, method: str = "GET"
    ) -> None:
        self._note(Attempt(redacted_target(target), status, redacted(headers), method))

    def _answer(self, client: ServerConnection, refused: Refused, headers: Mapping[str, str]) -> Response:
        text = orjson.dumps(refused.body).decode() if refused.body else ""
        response = client.respond(refused.status, text)
        del response.headers["Content-Type"]
        if text:
            response.headers["Content-Type"] = "application/json"
        _set_headers(response, {**self._service_headers(headers), **refused.headers})
        return response

    def add_headers(self, client: ServerConnection, request: Request, response: Response) -> Response | None:
        """Add the service's headers to the answer of an accepted handshake."""
        if client not in self._accepted:  # a refusal, recorded and complete
            return None
        if response.status_code != 101:
            del self._accepted[client]
        # What was accepted may still be no handshake, such as a GET without an upgrade.
        headers = lower_names(request.headers)
        self._record(request.path, headers, response.status_code)
        _set_headers(response, self._service_headers(dict(headers)))
        return None

    def _service_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        named = {
            "Date": formatdate(self._clock.time(), usegmt=True),
            "apim-request-id": str(uuid.uuid4()),
            "x-ms-region": self._region,
        }
        asked = headers.get("x-ms-client-request-id")
        return {**named, "x-ms-client-request-id": asked} if asked and asked.isascii() else named


def _set_headers(response: Response, headers: Mapping[str, str]) -> None:
    """Set headers in place of those that are there: a plain assignment would add another."""
    for name, value in headers.items():
        if name in response.headers:
            del response.headers[name]
        response.headers[name] = value


def lower_names(headers: Headers) -> list[tuple[str, str]]:
    """Return headers with their names in lower case."""
    return [(name.lower(), value) for name, value in headers.raw_items()]


def redacted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers without credentials."""
    return {name: "***" if name in _SECRET_HEADERS else value for name, value in headers}
