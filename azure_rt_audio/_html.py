"""
HTML representations of objects in notebooks.

Plain HTML with inline styles: text and lines use the page's colour, so that it fits light and dark themes.
Where styles are removed, as on GitHub, headings and tables remain. All text is escaped here.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from typing import Final

from ._printable import printable
from .audio.g711 import alaw_decode, ulaw_decode
from .audio.wav import write_wav

__all__ = ["badge", "card", "facts", "player", "speech", "text_of"]

LINE: Final = "1px solid color-mix(in srgb, currentColor 22%, transparent)"
_QUIET: Final = "opacity:.62"

_COLOURS: Final = {
    "completed": "#1a7f4b",
    "in_progress": "#2563c9",
    "pending": "#6b7280",
    "cancelled": "#a15c07",
    "incomplete": "#a15c07",
    "failed": "#c0362c",
    "refused": "#c0362c",
}
"""Background colours of a response's status, for white text."""

_TINTS: Final = {"user": "#2563c9", "assistant": "#1a7f4b", "system": "#6b7280"}
"""Colours of the roles."""

_MOST_AUDIO_BYTES: Final = 16 * 2**20
"""Five and a half minutes of PCM16; stored in the notebook's file as base64."""


def text_of(text: object) -> str:
    """Return escaped text with line breaks."""
    return _escaped(text).replace("\n", "<br>")


def _escaped(text: object) -> str:
    return html.escape(printable(str(text)))


def badge(label: str, colour: str | None = None) -> str:
    """Return a label on a coloured background."""
    background = colour or _COLOURS.get(label, "#6b7280")
    return (
        f'<span style="background:{background};color:#fff;border-radius:9px;padding:1px 8px;'
        f'font-size:85%;white-space:nowrap">{_escaped(label.replace("_", " "))}</span>'
    )


def card(title: str, parts: Iterable[str], *, status: str | None = None) -> str:
    """Return a box with a heading around *parts* of HTML; empty ones are omitted."""
    state = f" {badge(status)}" if status else ""
    body = "".join(f'<div style="margin-top:7px">{part}</div>' for part in parts if part)
    return (
        f'<div style="border:{LINE};border-radius:8px;padding:9px 13px 11px;margin:2px 0;max-width:46em;'
        f'font-family:system-ui,sans-serif;font-size:13px;line-height:1.45"><strong>{_escaped(title)}'
        f"</strong>{state}{body}</div>"
    )


def facts(rows: Mapping[str, object]) -> str:
    """Return a table of names and values; ``None`` and empty values are omitted."""
    cells = "".join(
        f'<tr style="background:none"><td style="text-align:left;vertical-align:top;padding:1px 14px 1px 0;'
        f'{_QUIET};white-space:nowrap">{_escaped(name.replace("_", " "))}</td>'
        f'<td style="text-align:left;padding:1px 0">{text_of(value)}</td></tr>'
        for name, value in rows.items()
        if value not in (None, "")
    )
    return f'<table style="border:none;border-collapse:collapse;margin:0">{cells}</table>' if cells else ""


def speech(lines: Iterable[tuple[str | None, str]]) -> str:
    """Return a transcript of pairs of role and text; the role ``None`` is shown as a tool."""
    return "".join(
        f'<div style="border-left:3px solid {_TINTS.get(role or "", "#8b5cf6")};padding:1px 0 1px 9px;'
        f'margin:4px 0"><span style="{_QUIET};font-size:85%">{_escaped(role or "tool")}</span><br>'
        f"{text_of(words)}</div>"
        for role, words in lines
        if words
    )


def player(sound: bytes, audio_format: str | None = None) -> str:
    """
    Return an audio player; empty if there is no audio.

    Args:
        sound: Audio in *audio_format*.
        audio_format: That of the response; ``None`` is ``"pcm16"``.
    """
    rate_hz = 24_000
    if audio_format in ("g711_ulaw", "g711_alaw"):
        sound = (ulaw_decode if audio_format == "g711_ulaw" else alaw_decode)(sound)
        rate_hz = 8_000
    sound = sound[: len(sound) // 2 * 2]  # what was cut short may end in half a frame
    if not sound:
        return ""
    seconds = len(sound) / 2 / rate_hz
    if len(sound) > _MOST_AUDIO_BYTES:
        return f'<span style="{_QUIET}">{seconds / 60:.1f} minutes of audio, too long for a player</span>'
    file = io.BytesIO()
    write_wav(file, sound, rate_hz)
    data = base64.b64encode(file.getbuffer()).decode()
    return (
        '<audio controls preload="metadata" style="height:34px;width:min(100%,26em);vertical-align:middle" '
        f'src="data:audio/wav;base64,{data}"></audio>'
        f' <span style="{_QUIET};font-size:85%">{seconds:.1f} s</span>'
    )
