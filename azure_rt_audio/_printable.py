r"""
Text that others wrote, made fit to be printed.

What comes from the service, a proxy, a recording or a file's name may hold escape sequences that a terminal
obeys, marks that turn the order of letters, and line breaks that begin a line of a log. It is kept as
received; where it leaves for a person to read, it goes through here. The exits are: the ``str`` of errors
(``errors.py``) and of events that are lines to show (``protocol/events/local.py``), the log (``_log.py``),
standard output and error of commands (``_cli/streams.py``), the screen of ``talk`` (``_cli/talk/view.py``),
HTML (``_html.py``), pages and subtitles of recordings (``recording/``).

Shown as escapes (``\x1b``, ``\u202e``) are the controls of C0 and C1, lone surrogates, and the embeddings,
overrides and isolates of bidirectional text. Marks of direction, which right-to-left text needs and which
turn nothing, are left out. Every kind of line break becomes a line feed; that, the tab and all else stay.
Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["encodable", "one_line", "printable", "printable_json", "printable_tree"]

_BREAKS: Final = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_MARKS: Final = re.compile("[\u061c\u200e\u200f]")
_TURNING: Final = "\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb"
_HOSTILE: Final = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNING}]")
_NOT_IN_JSON: Final = re.compile(f"[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029{_TURNING}]")
_SPACE: Final = re.compile(r"[ \t]*\n[ \t\n]*|\t")


def encodable(text: str) -> str:
    """Return text that UTF-8 can express: halves of characters, as in names of files, are replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def printable(text: str) -> str:
    """Return text of any number of lines, fit to be printed."""
    if text.isprintable():  # nearly always, and a hundred times faster
        return text
    return _HOSTILE.sub(_escaped, _MARKS.sub("", _BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """Return text fit to be printed within a line: its line breaks become spaces."""
    if text.isprintable():
        return text
    return _SPACE.sub(" ", printable(text).strip("\n"))


def printable_json(document: str) -> str:
    """Return a JSON document with the same values, fit to be printed."""
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def printable_tree(value: Any) -> Any:
    """Return a copy of what JSON can hold with all texts fit to be printed."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_tree(key): printable_tree(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [printable_tree(part) for part in value]
    return value


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
