"""
What the URL of a proxy says, be it from an option or from the environment.

Pure. A proxy's URL may hold a password: nothing here repeats what it was given.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

__all__ = ["Proxy", "parse_proxy"]

_PORTS: Final = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
"""The kinds that are spoken, and their ports if the URL names none."""


@attrs.frozen
class Proxy:
    """
    A proxy; its text is ``host:port``.

    Attributes:
        kind: ``http`` (by CONNECT), ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``.
            The proxy resolves host names itself with ``http``, ``socks4a`` and ``socks5h``.
        host: Name or address.
        port: TCP port.
        auth: User and password, in plain text.
    """

    kind: str
    host: str
    port: int
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_proxy(url: str) -> Proxy:
    """
    Take the URL of a proxy apart.

    Raises:
        ValueError: If it cannot be right; says what is expected, and repeats nothing of it.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", url.lower())
    if scheme and scheme[1] == "https":
        raise ValueError(
            "must begin with http://, not https://: TLS to the proxy itself is not spoken, and what goes "
            "through it to the service is encrypted in any case"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None  # its message quotes what may be the password
    # A special character in the password makes the rest of it look like a path, or the host like a port.
    whole = re.fullmatch(r"[^\s\x00-\x1f\x7f/?#]+://[^\s\x00-\x1f\x7f/?#]+/?", url)
    if not (whole and scheme and scheme[1] in _PORTS and host and host.isprintable()) or port == 0:
        raise ValueError(
            "must look like http://user:password@host:port or socks5h://user:password@host:port; "
            "user and password may be left out, and special characters in them are percent-encoded"
        )
    kind = scheme[1]
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
        if kind.startswith("socks5") and not all(text.isascii() and 0 < len(text) < 256 for text in auth):
            raise ValueError(
                "must have a user and a password of 1 to 255 ASCII characters each, or neither: SOCKS5 has "
                "no way to send others"
            )
    return Proxy(kind, host, port or _PORTS[kind], auth)
