"""How the connection is made and watched; checked when it is made, immutable, silent about secrets."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import field, frozen

from .._repr import also_half_made
from .._secret import Secret, made_without_traces
from .mapping import with_known_names
from .proxy_url import parse_proxy
from .validators import seconds

__all__ = ["TlsTrust", "WebSocketOptions"]

TlsTrust = ssl.SSLContext | Literal["truststore"] | None
"""A context, or ``"truststore"`` for the system's own check of certificates, or ``None`` for OpenSSL's."""


def _bytes(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be a whole number of bytes, not {type(value).__name__}")
    if value < 1024:
        raise ValueError(f"{attribute.name} must be at least 1024 bytes, not {value!r}")


def _lag(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f'lag must be "keep" or "drop_oldest", not {type(value).__name__}')
    if value not in ("keep", "drop_oldest"):
        raise ValueError(f'lag must be "keep" or "drop_oldest", not {value!r}')


_HANDSHAKE_HEADERS = ("host", "connection", "upgrade", "content-length", "transfer-encoding")


def _secrets(value: Mapping[str, str | Secret[str]]) -> dict[str, Secret[str]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"headers must be a mapping of names to values, not {type(value).__name__}")
    return {name: part if isinstance(part, Secret) else Secret(part) for name, part in value.items()}


def _secret(value: str | Secret[str] | None) -> Secret[str] | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _headers(instance: object, attribute: attrs.Attribute[Any], value: dict[Any, Secret[Any]]) -> None:
    """Refuse what could not stand in a header, without repeating it: the values may be secrets."""
    for name, secret in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError("headers has a name that no header can have: use letters, digits and hyphens")
        if name.lower() in _HANDSHAKE_HEADERS or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"headers[{name!r}] is a part of the handshake itself; leave it out")
        content = secret.reveal()
        if not isinstance(content, str) or not re.fullmatch(r"[\x20-\x7e]*", content):
            raise ValueError(
                f"headers[{name!r}] holds tabs, line breaks, characters outside ASCII, or is no text at all"
            )


def _trust(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or value == "truststore":
        return
    if not isinstance(value, ssl.SSLContext):
        raise TypeError(
            'ssl_context must be an ssl.SSLContext, "truststore" or None, '
            f"not {'another text' if isinstance(value, str) else type(value).__name__}"
        )
    if value.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("ssl_context is one for servers; make it with ssl.create_default_context()")


def _proxy_url(instance: object, attribute: attrs.Attribute[Any], secret: Secret[Any] | None) -> None:
    """Refuse what is not the URL of a proxy, without repeating it: it may hold a password."""
    if secret is None:
        return
    value = secret.reveal()
    if not isinstance(value, str):
        raise TypeError(f"http_proxy must be a URL as text, or None, not {type(value).__name__}")
    try:
        parse_proxy(value)
    except ValueError as exc:
        reason = str(exc)
    else:
        return
    raise ValueError(f"http_proxy {reason}")  # out here, so that it has no context


def _sockopt(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    remedy = (
        "sockopt must be triples (level, option, value), such as (socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)"
    )
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise TypeError(f"{remedy}, not {type(value).__name__}")
    for option in value:
        if not isinstance(option, Sequence) or isinstance(option, (str, bytes)) or len(option) != 3:
            raise ValueError(f"{remedy}, not {option!r}")
        level, number, setting = option
        if not (isinstance(level, int) and isinstance(number, int) and isinstance(setting, (int, bytes))):
            raise TypeError(f"{remedy}: level and option as int, value as int or bytes, not {option!r}")


@made_without_traces
@with_known_names
@frozen(kw_only=True)
class WebSocketOptions:
    """
    Time-outs, limits, TLS and proxy of the WebSocket. Each is checked when it is given; times are in seconds.

    Attributes:
        connect_timeout: Limit of the whole connect: name look-up, TCP, proxy, TLS and HTTP upgrade; also how
            long a method that is called early waits for the session. From 0.001; 10 by default.
        close_timeout: Default time-out of ``close()``: how long it waits for the service's close frame.
            With 0 the connection just ends. 5 by default.
        ping_interval: Seconds without incoming data before a ping is sent (keepalive). While the line takes
            what had to wait, that counts like incoming data. Pings also keep
            proxies from closing an idle connection, many of which do so after 60 s. ``None`` disables them.
            From 0.01; 20 by default.
        ping_timeout: Seconds without incoming data after a ping before the connection counts as lost; on
            Linux without pings, how long sent data may stay unacknowledged. From 0.01; 20 by default.
        send_timeout: How long a method waits for room while the send queue is full; then it
            raises :class:`TimeoutError`, and nothing was sent. With 0 it never waits. 10 by default.
        max_message_bytes: The largest event that is accepted, in bytes of JSON; a larger one ends the
            connection with code 1009. From 1024; 16 MiB by default: the service names no limit; its
            largest events are items with all of their audio, and this holds 4 minutes of it. What the
            service would send back in a larger one, such as an item with an image, is refused.
        max_send_backlog_bytes: Limit of the send queue, in bytes of JSON, before methods wait.
            From 1024; 32 MiB by default, two of the largest pieces of audio that the service takes
            (15 MiB in one ``append_audio``).
        lag: What becomes of live sound (``append_audio``, or a file sent in real time) that the line is too
            slow for. ``"keep"``, the default, sends all of it, however late. ``"drop_oldest"`` drops the
            half of what is unsent, once it has waited for ``lag_limit``; never a command, nor a file.
        lag_limit: Seconds that live sound may take to the far end before that is told (``send_lag``, and a
            warning in the log, once) and acted on. From 0.1; 2 by default.
        headers: Additional headers of the handshake, such as one for a gateway. Never shown: each value is
            kept as a :class:`~azure_rt_audio.Secret`. None by default.
        ssl_context: Trusted authorities and client certificate; see below. ``None``, the default, trusts
            what OpenSSL finds on the system, and what ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.
        http_proxy: ``"http://user:password@host:port"``, or ``socks5h://`` with the extra ``socks``
            (also ``socks5://``, ``socks4a://`` and ``socks4://``: without the letter at the end the name is
            looked up here and not at the proxy). Special characters in user and password are
            percent-encoded. Without a port it is 80, for SOCKS 1080. Never shown: kept as a
            :class:`~azure_rt_audio.Secret`. ``None``, the default, follows the variables ``HTTPS_PROXY``, or
            else ``ALL_PROXY``, and ``NO_PROXY``, which lists hosts, domains, networks (``10.0.0.0/8``) or
            ``*``, each with a port or without.
        sockopt: ``(level, option, value)`` triples of ints, the value may be bytes; set before the
            connection is made, on top of ``TCP_NODELAY`` and keep-alive. None by default.

    Raises:
        TypeError: If a value is of the wrong type; names the field.
        ValueError: If it cannot be right; names the field, and repeats no secret.

    A certificate authority of one's own, and a client certificate::

        context = ssl.create_default_context(cafile="company-ca.pem")
        context.load_cert_chain("client.pem", "client.key")
        WebSocketOptions(ssl_context=context)

    With the extra ``truststore``, ``WebSocketOptions(ssl_context="truststore")`` has the system
    itself check certificates, on macOS and Windows too, where a company's authority is not known to OpenSSL.
    A ``truststore.SSLContext`` of one's own is taken as well. Make a context once and share it: it takes
    a megabyte, and 20 ms to make.
    """

    connect_timeout: float = field(default=10.0, validator=seconds(0.001))
    close_timeout: float = field(default=5.0, validator=seconds(0.0))
    ping_interval: float | None = field(default=20.0, validator=seconds(0.01, or_none=True))
    ping_timeout: float = field(default=20.0, validator=seconds(0.01))
    send_timeout: float = field(default=10.0, validator=seconds(0.0))
    max_message_bytes: int = field(default=16 * 2**20, validator=_bytes)
    max_send_backlog_bytes: int = field(default=32 * 2**20, validator=_bytes)
    lag: Literal["keep", "drop_oldest"] = field(default="keep", validator=_lag)
    lag_limit: float = field(default=2.0, validator=seconds(0.1))
    headers: Mapping[str, Secret[str]] = field(
        factory=dict, repr=False, hash=False, converter=_secrets, validator=_headers
    )
    ssl_context: TlsTrust = field(default=None, validator=_trust)
    http_proxy: Secret[str] | None = field(default=None, repr=False, converter=_secret, validator=_proxy_url)
    sockopt: Sequence[tuple[int, int, int | bytes]] = field(default=(), hash=False, validator=_sockopt)


WebSocketOptions.__repr__ = also_half_made(WebSocketOptions.__repr__)  # type: ignore[method-assign]
