"""Which proxy to go through, by the environment."""

from __future__ import annotations

import ipaddress
import re

from ..options.proxy_url import Proxy, parse_proxy
from .connect_errors import unusable

__all__ = ["is_spared", "proxy_from_environment"]


def proxy_from_environment(host: str, port: int, *, secure: bool) -> Proxy | None:
    """
    Return the proxy that the environment names for *host*, if any.

    ``HTTPS_PROXY`` (for ``ws``: ``HTTP_PROXY``), or else ``ALL_PROXY``, unless ``NO_PROXY`` spares the
    host; in lower case they come first. Loopback is always spared: it never leaves the machine, and over
    plain ``ws`` a proxy would see the credential.

    Raises:
        ConnectError: If the variable cannot be right; does not repeat it.
    """
    # Here and not above: it takes 9 ms, which whoever does not connect need not spend.
    from urllib.request import getproxies_environment

    found = getproxies_environment()
    name = "https" if secure else "http"
    if name not in found:
        name = "all"
    value = found.get(name, "").strip()
    if not value or _is_loopback(host) or is_spared(host, port, found.get("no", "")):
        return None
    try:
        return parse_proxy(value if "://" in value else f"http://{value}")
    except ValueError as exc:
        problem = unusable(f"the variable {name.upper()}_PROXY {exc}")
    raise problem  # out here, so that it has no context, with frames that hold the password


def is_spared(host: str, port: int, no_proxy: str) -> bool:
    """
    Tell whether *no_proxy* lists the host, a domain above it or a network around it.

    Args:
        host: A name, or an address without brackets.
        port: Entries may be for one port only, as in ``host:port`` or ``[::1]:port``.
        no_proxy: Entries between commas or spaces; ``*`` is every host, and a domain may begin with
            a dot or with ``*.``
    """
    return any(_covers(entry, host.lower().rstrip("."), port) for entry in re.split(r"[,\s]+", no_proxy))


def _covers(entry: str, host: str, port: int) -> bool:
    with_port = re.fullmatch(r"(\[.+\]|[^:]+):(\d{1,5})", entry)
    if with_port:
        if int(with_port[2]) != port:
            return False
        entry = with_port[1]
    if entry == "*":
        return True
    name = entry.lower().removeprefix("*").strip(".")
    if name and (host == name or host.endswith("." + name)):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False  # one of them is a name


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
