"""
Maps handshake refusals and failures to connect to :class:`ConnectError`.

Pure: no socket, no clock, no thread. Nothing here ever puts a header we sent, a query
string (apart from the model or deployment) or a dependency's own message into an error,
because any of these may hold a credential.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from .. import _retry_after
from .._pages import CERTIFICATES, ENTRA_ID, ERRORS, PROXIES
from .._secret import without
from ..errors import (
    AUTHENTICATION_ERROR,
    CONNECTION_ERROR,
    INVALID_REQUEST_ERROR,
    PROXY_AUTHENTICATION_REQUIRED,
    ConnectError,
    classify,
)
from .http_head import unchunk

__all__ = [
    "MAX_BODY",
    "failed",
    "out_of_descriptors",
    "place",
    "refused",
    "refused_by_socks",
    "unusable",
]

MAX_BODY: Final = 8 * 1024
"""Characters of a refusal's body that are kept."""

_REQUEST_ID_HEADERS: Final = ("apim-request-id", "x-request-id", "x-ms-request-id", "x-ms-client-request-id")


def place(url: str) -> str:
    """Return ``host:port`` of a ``ws`` or ``wss`` URL, the most an error says about where."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refused(
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Iterable[str] = (),
    proxy: str | None = None,
) -> ConnectError:
    """
    Say what it means that the handshake was answered with *status*.

    Args:
        url: What was asked for; only its host and its model or deployment are shown.
        status: HTTP status of the answer, anything but 101.
        headers: Headers of the answer, names in lower case.
        body: Start of the body, as received.
        secrets: Credentials that the answer might echo; they are blanked out.
        proxy: ``host:port`` of the proxy, when it was the proxy that answered.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = unchunk(body)
    text = without(body.decode("utf-8", "replace"), secrets)[:MAX_BODY]
    code, said = _parse_body(text)
    hint = _proxy_hint(status, headers) if proxy else _hint(url, status, headers, code, said)
    page = PROXIES if proxy else ENTRA_ID if status in (401, 403) else ERRORS
    hint = f"{hint} {page}".lstrip()
    title = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown status"
    where = place(url)
    subject = f"The proxy {proxy} refused the way to {where}" if proxy else f"{where} refused the connection"
    quote = f": {said.rstrip('.')}" if said else ""
    retry_after = _retry_after.from_headers(headers)
    if retry_after is None and status >= 400 and not proxy:
        retry_after = _retry_after.from_fields({"message": said})
    kind = CONNECTION_ERROR if proxy or status < 400 else classify(code=code, status=status)
    if proxy and status == 407:
        kind, code = AUTHENTICATION_ERROR, PROXY_AUTHENTICATION_REQUIRED
    return ConnectError(
        " ".join(filter(None, (f"{subject} with HTTP {status} ({title}){quote}.", hint))),
        type=kind,
        code=code,
        status=status,
        retry_after=retry_after,
        body=text,
        request_id=next(
            (without(headers[name], secrets) for name in _REQUEST_ID_HEADERS if headers.get(name)), None
        ),
        hint=hint,
    )


def refused_by_socks(url: str, proxy: str, words: str | None, *, is_about_auth: bool) -> ConnectError:
    """
    Say what it means that a SOCKS proxy did not open a way.

    Args:
        url: What was asked for.
        proxy: ``host:port`` of the proxy.
        words: What its answer means; ``None`` if it means nothing.
        is_about_auth: Whether it wants to know who we are, or does not believe it.
    """
    where = place(url)
    facts: dict[str, str] = {}
    if is_about_auth:
        fact, hint = f"The proxy {proxy} refused the way to {where} to this user", _AUTH_HINT
        facts = {"type": AUTHENTICATION_ERROR, "code": PROXY_AUTHENTICATION_REQUIRED}
    elif words:
        fact, hint = f"The proxy {proxy} refused the way to {where}: {words}", _WAY_HINT
    else:
        fact = f"The proxy {proxy} did not answer as a SOCKS proxy does"
        hint = "Check the proxy's address and kind: http, socks5h, socks5, socks4a or socks4."
    hint = f"{hint} {PROXIES}"
    return ConnectError(f"{fact}. {hint}", hint=hint, **facts)


def failed(url: str, phase: str, exc: BaseException | None, *, proxy: str | None = None) -> ConnectError:
    """
    Say why no answer to the handshake came at all.

    Args:
        url: What was asked for.
        phase: What was going on: a noun, such as ``"TLS handshake"``.
        exc: What ended it; ``None`` when it was our own time limit. It becomes the cause.
        proxy: ``host:port`` of the proxy on the way, if there is one.
    """
    if isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE):
        error = out_of_descriptors(exc)
        error.__cause__ = exc.with_traceback(None)
        return error
    where = place(url)
    target = f"the proxy {proxy}" if proxy else where
    hint = ""
    if exc is None:
        by = f" at the proxy {proxy}" if proxy else ""
        fact = f"{where} did not complete the handshake in time: the {phase} was still going on{by}"
        hint = "Check the network, the host name and any proxy or firewall, or raise connect_timeout."
    elif isinstance(exc, socket.gaierror):
        fact = f"The host name of {target} could not be resolved"
        hint = "Check the name of the resource, the DNS and, with a private endpoint, its DNS zone."
    elif isinstance(exc, ssl.SSLCertVerificationError):
        # Made by OpenSSL it has the reason apart; made by truststore not always.
        reason = str(getattr(exc, "verify_message", None) or exc.args[-1])
        fact = f"The TLS certificate of {where} was not accepted: {reason.rstrip('.')}"
        hint = (
            'If a company proxy opens TLS, trust what the system trusts (ssl_context="truststore") or '
            "pass its certificate authority: ssl_context=ssl.create_default_context(cafile=...)."
        )
    elif isinstance(exc, ssl.SSLError):
        fact = f"TLS with {where} failed: {getattr(exc, 'reason', None) or type(exc).__name__}"
        hint = "Check that the port speaks TLS (wss://) and that nothing on the way interferes with it."
    elif isinstance(exc, ConnectionRefusedError):
        fact = f"Nothing listens at {target}"
        hint = "Check host and port, and whether the proxy is running." if proxy else "Check host and port."
    elif isinstance(exc, EOFError):
        fact = f"{target} hung up in the {phase}"
        hint = "Check that the URL names a WebSocket endpoint and the right scheme (wss:// or ws://)."
    elif isinstance(exc, OSError):
        fact = f"{target} could not be reached: {exc.strerror or type(exc).__name__} (in the {phase})"
    elif isinstance(exc, ValueError):
        fact = f"{target} did not answer as the WebSocket protocol asks: {exc}"
        hint = "Check that the URL names a WebSocket endpoint; a proxy on the way may also strip the upgrade."
    else:
        way = f" through the proxy {proxy}" if proxy else ""
        fact = f"The attempt to connect to {where}{way} failed in the {phase}: {type(exc).__name__}"
    if fact.startswith("the "):
        fact = "T" + fact[1:]
    page = CERTIFICATES if isinstance(exc, ssl.SSLError) else PROXIES if proxy else ERRORS
    hint = f"{hint} {page}".lstrip()
    error = ConnectError(f"{fact}. {hint}", hint=hint)
    # Without its traceback: the frames below hold the request's headers as local variables.
    error.__cause__ = exc.with_traceback(None) if exc is not None else None
    return error


def out_of_descriptors(exc: OSError) -> ConnectError:
    """Say that the system gave none of the descriptors that a connection needs before it is dialled."""
    if exc.errno == errno.EMFILE:
        fact = "This process is out of file descriptors"
    elif exc.errno == errno.ENFILE:
        fact = "The system is out of file descriptors"
    else:
        fact = f"The system gave no descriptors for the connection: {exc.strerror or type(exc).__name__}"
    hint = "Close files, sockets and clients that are not needed, or raise the limit (ulimit -n)."
    return ConnectError(f"{fact}. {hint}", hint=hint)


def unusable(what: str) -> ConnectError:
    """Say that the options themselves are wrong: nothing was tried, and trying again will not help."""
    message = f"The connection's options cannot be used: {what}."
    return ConnectError(message, type=INVALID_REQUEST_ERROR, hint=what)


def _parse_body(text: str) -> tuple[str | None, str]:
    """Return the code and the message of a refusal's body, whichever of its shapes it has."""
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):  # it is not JSON, or nested without end
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    inner = body.get("error")
    facts = inner if isinstance(inner, dict) else body
    code = facts.get("code") or facts.get("statusCode")
    message = facts.get("message") or (inner if isinstance(inner, str) else "")
    is_code = isinstance(code, str | int) and bool(code)
    return (str(code) if is_code else None), (message if isinstance(message, str) else "")


def _host_of(location: str) -> str | None:
    try:
        return urlsplit(location).hostname
    except ValueError:
        return None


def _hint(url: str, status: int, headers: Mapping[str, str], code: str | None, said: str) -> str:
    """Name the likely cause of a refusal and its remedy."""
    parts = urlsplit(url)
    query = {key.lower(): value for key, value in parse_qsl(parts.query)}
    name = query.get("model") or query.get("deployment")
    named = f'"{name}"' if name else "the deployment"
    is_v1 = "/v1/" in parts.path
    preview = "api-version" in query
    retired = (
        "This looks like a preview URL; the preview API ended on 2026-04-30: use api_version='v1'."
        if not is_v1
        else "The v1 API takes no api-version: use api_version='v1'."
    )
    if 300 <= status < 400:
        target = _host_of(headers.get("location", ""))
        return (
            f"It redirects to {target or 'another address'}; redirects are not followed, so that the "
            "credential stays with the first host. If the target is right, configure it as the host."
        )
    if status == 400:
        if not name and "intent" not in query:
            return "The URL names no deployment: set deployment (or model)."
        return f"Check that {named} is a realtime deployment and that the URL's parameters fit together."
    if status == 401:
        if "ephemeral" in said.lower():
            return "This operation takes a client secret (ek_...) instead of a standing key."
        return " ".join(
            filter(
                None,
                (
                    "Check that the key belongs to this resource and is current, or that the token is "
                    "for the right audience and has not run out.",
                    retired if preview else "",
                ),
            )
        )
    if status == 403:
        if (code or "").lower() == "authenticationtypedisabled":
            return "Keys are switched off for this resource: use credential= (Microsoft Entra ID)."
        return (
            "The credential is known but not allowed: the resource's firewall or private endpoint, keys "
            "that are switched off (use credential=), or the missing role Cognitive Services OpenAI User."
        )
    if status == 404:
        advice = f"Check that {named} exists in this resource (a new one takes minutes) and the path."
        return f"{advice} {retired}" if preview else advice
    if status == 408:
        return "Try again."
    if status == 429:
        return "The quota is used up for now: wait as long as retry_after says, or ask for more quota."
    if status == 431:
        return "The request has too many or too large headers: send fewer of your own."
    if status >= 500:
        return "The service has a problem of its own: try again a little later, and quote the request id."
    if status < 300:
        return "A web server answered, but not a WebSocket endpoint: check the path and any proxy on the way."
    return ""


_AUTH_HINT: Final = (
    "The proxy wants a user and a password, or others than these: "
    'http_proxy="<kind>://user:password@host:port", or the same in the variable HTTPS_PROXY.'
)
_WAY_HINT: Final = (
    "Check that the proxy may reach this host and port. To go without it, leave http_proxy out, or list "
    "the host in the variable NO_PROXY."
)


def _proxy_hint(status: int, headers: Mapping[str, str]) -> str:
    if status != 407:
        return _WAY_HINT
    schemes = re.findall(r"(?:^|, *)([A-Za-z-]+)(?= |,|$)", headers.get("proxy-authenticate", ""))
    if schemes and "basic" not in (scheme.lower() for scheme in schemes):
        return (
            f"The proxy wants {' or '.join(schemes)}, and only Basic is spoken: put a local proxy in between "
            "that signs in for you, such as px or cntlm, and name it in http_proxy."
        )
    return _AUTH_HINT
