"""The head of an HTTP response, and its body in chunks."""

from __future__ import annotations

import pytest

from azure_rt_audio._net.http_head import parse_head, unchunk


def test_a_head_is_split() -> None:
    """Names are lower-cased and repeated headers joined."""
    raw = b"HTTP/1.1 401 Un authorized\r\nApim-Request-Id: a\r\nX-A: 1\r\nx-a:2"

    assert parse_head(raw) == (401, {"apim-request-id": "a", "x-a": "1, 2"})


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH", b"HTTP/1.1 2000 x", b"HTTP/1.1 200 OK\r\nno colon"])
def test_what_is_not_http_is_refused(raw: bytes) -> None:
    """Another protocol's greeting is not taken for a response."""
    with pytest.raises(ValueError, match="not an HTTP"):
        parse_head(raw)


def test_chunks_are_joined_even_when_cut_off() -> None:
    """What is readable of a chunked body is kept."""
    assert unchunk(b"6;x=1\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n") == b"hello world"
    assert unchunk(b"6\r\nhello \r\n5\r\nwo") == b"hello wo"
    assert unchunk(b"no chunk") == b""
