"""
The head of an HTTP response, and bodies sent in chunks.

Pure: no socket, no clock, no thread.
"""

from __future__ import annotations

import re

__all__ = ["parse_head", "unchunk"]


def parse_head(raw: bytes) -> tuple[int, dict[str, str]]:
    """
    Split the head of an HTTP response into its status and its headers.

    Args:
        raw: From the status line up to, not including, the empty line.

    Returns:
        Status and headers; names in lower case, repeated ones joined by a comma.

    Raises:
        ValueError: If it is not the head of an HTTP response.
    """
    first, *lines = raw.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"HTTP/\d\.\d (\d{3})(?: .*)?", first)
    if match is None:
        raise ValueError("not an HTTP status line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("not an HTTP header line")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return int(match[1]), headers


def unchunk(raw: bytes) -> bytes:
    """Return what is readable of a body sent in chunks, which may be cut off anywhere."""
    whole = bytearray()
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            break
        if length <= 0:
            break
        whole += rest[:length]
        raw = rest[length + 2 :]
    return bytes(whole)
