"""Error texts and helps name pages of the documentation that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import azure_rt_audio
from azure_rt_audio import BrokenExtraError, MissingExtraError, __main__, _pages
from azure_rt_audio._net.connect_errors import failed, refused
from azure_rt_audio.audio import to_pcm16
from azure_rt_audio.protocol.event_filter import event_filter

PACKAGE = Path(azure_rt_audio.__file__).parent
ROOT = Path(__file__).parents[2]


def test_every_page_named_exists() -> None:
    """In any text of the package."""
    named = {
        page
        for path in PACKAGE.rglob("*.py")
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8"))
    }

    assert len(named) > 10
    assert {page for page in named if not (ROOT / page).is_file()} == set()


def test_every_command_names_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of its ``--help``, as the command line itself does."""
    for arguments in ([], *([command] for command in _pages.COMMANDS)):
        with pytest.raises(SystemExit):
            __main__.main([*arguments, "--help"])

        assert re.search(r"See docs/[\w/-]+\.md", capsys.readouterr().out), arguments


def test_errors_name_a_page() -> None:
    """At their end, for what a page explains."""
    url = "wss://here/openai/v1/realtime?model=m"
    with pytest.raises(TypeError) as not_audio:
        to_pcm16(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="did you mean") as unknown:
        event_filter("response.don")
    said = [
        (MissingExtraError("That", "qt"), _pages.EXTRAS),
        (BrokenExtraError("That", "qt", "qtpy", "no"), _pages.EXTRAS),
        (refused(url, 401, {}, b""), _pages.ENTRA_ID),
        (refused(url, 429, {}, b""), _pages.ERRORS),
        (refused(url, 407, {}, b"", proxy="there:80"), _pages.PROXIES),
        (failed(url, "TCP connect", ConnectionRefusedError()), _pages.ERRORS),
        (not_audio.value, _pages.ARRAYS),
        (unknown.value, _pages.EVENTS),
    ]

    assert [str(error)[-len(page) :] for error, page in said] == [page for _, page in said]
