"""Parses endpoints in all their spellings and makes the URL of a session."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

from attrs import evolve, frozen

from .dialects import Dialect

__all__ = ["Endpoint", "parse_endpoint"]

_SCHEMES: Final = {"wss": "wss", "https": "wss", "ws": "ws", "http": "ws"}
_KNOWN_TAIL: Final = re.compile(r"(/openai(/v1|/deployments/[^/]+)?)?(/realtime)?/*$", re.IGNORECASE)
_SECRET_PARAMETERS: Final = frozenset(
    {"access_token", "api-key", "api_key", "authorization", "code", "key", "sig", "subscription-key", "token"}
)
_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_EXAMPLE: Final = 'such as "my-resource.openai.azure.com"'


@frozen
class Endpoint:
    """
    A host of the service.

    Attributes:
        scheme: ``"wss"`` or ``"ws"``.
        host: Name or address; an IPv6 address without brackets.
        port: ``None`` for the scheme's own.
        prefix: Path of a gateway before ``/openai``, such as ``"/my-api"``; usually ``""``.
        deployment: What the URL says of it, if anything.
        api_version: The same.
    """

    scheme: str
    host: str
    port: int | None = None
    prefix: str = ""
    deployment: str | None = None
    api_version: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def url(self, dialect: Dialect, deployment: str) -> str:
        """Return the URL of a session; it holds no credential."""
        return f"{self.scheme}://{self.authority}{self.prefix}{dialect.path(deployment)}"


def parse_endpoint(text: str) -> Endpoint:
    """
    Parse an endpoint in any spelling.

    ``res.openai.azure.com``, ``https://res.openai.azure.com/``, the same with ``/openai``,
    ``/openai/v1`` or ``/openai/v1/realtime`` behind it, ``wss://…``, ``localhost:8080``, ``[::1]:8080``
    and a gateway's ``https://host/prefix/openai`` are all fine. Without a scheme it is TLS, but
    for a port on this machine. A query may name deployment (or model) and ``api-version``.

    Raises:
        ValueError: If it is not an endpoint; names the remedy.
    """
    bare = text.strip() if isinstance(text, str) else ""
    if not bare:
        raise ValueError(f"host_name is empty; give the endpoint, {_EXAMPLE}")
    if re.search(r"[\x00-\x20\x7f\\]", bare):  # none of these may enter a request's head
        raise ValueError(
            f"host_name has blanks, backslashes or control characters; give a URL or a host, {_EXAMPLE}"
        )
    if _is_ipv6(bare):
        bare = f"[{bare}]"
    has_scheme = "://" in bare
    try:
        parts = urlsplit(bare if has_scheme else f"//{bare}")
        port = parts.port
        host = _ascii(parts.hostname or "")
    except ValueError:  # its message may quote the text after the colon, which may be a key
        raise ValueError(f"host_name is not an endpoint; expected host or host:port, {_EXAMPLE}") from None
    if has_scheme and parts.scheme.lower() not in _SCHEMES:
        raise ValueError(f"host_name begins with {parts.scheme}://; use https:// or wss://, or leave it away")
    if parts.username or parts.password or _SECRET_PARAMETERS & {n.lower() for n in parse_qs(parts.query)}:
        raise ValueError("host_name holds a credential; take it out and pass it as api_key= or credential=")
    if not (_is_ipv6(host) or _HOST.fullmatch(host)) or port == 0:
        raise ValueError(f"host_name has no valid host and port; give the endpoint, {_EXAMPLE}")
    deployment, api_version = _from_query(parts.query)
    endpoint = Endpoint("wss", host, port, _KNOWN_TAIL.sub("", parts.path), deployment, api_version)
    if has_scheme:
        scheme = _SCHEMES[parts.scheme.lower()]
    else:
        scheme = "ws" if endpoint.is_loopback and port not in (None, 443) else "wss"
    if "." not in host and ":" not in host and port is None and not endpoint.is_loopback:
        # A text too long for a resource's name may be a key, which errors do not repeat.
        meant = f'did you mean "{host}.openai.azure.com"?' if len(host) < 32 else "is it a key?"
        raise ValueError(f"host_name is not a host name; {meant}")
    return evolve(endpoint, scheme=scheme)


def _from_query(query: str) -> tuple[str | None, str | None]:
    """Return the deployment and the version that a URL names."""
    deployment: str | None = None
    api_version: str | None = None
    for name, values in parse_qs(query).items():
        if name not in ("deployment", "model", "api-version"):
            raise ValueError(
                f"host_name has the parameter {name!r:.40}, which would not be sent; leave it out"
            )
        if len({*values, *((deployment,) if deployment and name != "api-version" else ())}) > 1:
            raise ValueError(f"host_name names more than one {name}; leave one of them out")
        if name == "api-version":
            api_version = values[0]
        else:
            deployment = values[0]
    return deployment, api_version


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
