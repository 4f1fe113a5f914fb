"""Reading recordings: whatever is readable, and what is not with its line."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from azure_rt_audio import RecordingError
from azure_rt_audio._recorder.recorder import Recorder
from azure_rt_audio.recording import (
    ConnectionEnded,
    End,
    Heard,
    Received,
    Recording,
    Sent,
    UnknownEntry,
)

HEADER = {"format": "azure-rt-audio recording", "version": 1, "library": "9.9", "started": 100.0}
EVENT = {"t": 1.5, "at": 101.5, "kind": "received", "connection": 1, "event": {"type": "session.created"}}


def lines(*entries: object) -> list[bytes]:
    return [orjson.dumps(entry) + b"\n" for entry in entries]


def test_entries_are_in_the_order_of_time() -> None:
    """Lines are sorted by their time; those of the same time stay in order."""
    late, early = {**EVENT, "t": 2.0}, {"t": 0.5, "at": 100.5, "kind": "heard", "item": "i", "ms": 20}
    note = {"t": 2.0, "at": 0, "kind": "sent", "event": {"type": "response.create"}}

    recording = Recording.read(lines(HEADER, late, note, early))

    assert [type(entry) for entry in recording.entries] == [Heard, Received, Sent]
    assert [entry.line for entry in recording.entries] == [4, 2, 3]
    assert recording.problems == ()
    assert recording.seconds == 2.0
    assert not recording.is_complete


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\x00\xff\n", "it is no JSON"),
        (b"[1, 2]\n", "it is no JSON object"),
        (b'{"t": 1}\n', "it has no kind"),
        (b'{"kind": "sent", "event": {}}\n', "it has no t, the time"),
        (b'{"kind": "sent", "t": "x", "event": {}}\n', "t must be a number, not str"),
        (b'{"kind": "sent", "t": true, "event": {}}\n', "t must be a number, not bool"),
        (b'{"kind": "sent", "t": 1}\n', "it has no event"),
        (b'{"kind": "sent", "t": 1, "event": 3}\n', "event must be an object, not int"),
        (b'{"kind": "received", "t": 1, "raw": "%"}\n', "raw is no base64"),
        (b'{"kind": "heard", "t": 1, "end": "later"}\n', "end must be one of played, interrupted"),
        (b'{"kind": "closed", "t": 1, "is_clean": 1}\n', "is_clean must be true or false, not int"),
    ],
)
def test_a_line_that_is_none(line: bytes, message: str) -> None:
    """It is told with its number, and the lines around it are read."""
    recording = Recording.read([*lines(HEADER, EVENT), line, b"\n", *lines(EVENT)])

    assert len(recording.entries) == 2
    assert [(problem.line, problem.message.partition(":")[0]) for problem in recording.problems] == [
        (3, message.partition(":")[0])
    ] or message in str(recording.problems[0])
    assert recording.problems[0].line == 3


def test_a_line_that_is_cut() -> None:
    """The program was killed while it wrote: the rest is read."""
    recording = Recording.read([*lines(HEADER, EVENT), b'{"t":1.7,"at":2,"kind":"recei'])

    assert len(recording.entries) == 1
    assert str(recording.problems[0]) == "line 3: it is cut: the program was stopped while it was written"


def test_another_version() -> None:
    """It is refused, and the library that wrote it is named."""
    with pytest.raises(RecordingError, match=r"line 1: .* version 2 .*use the library .*azure-rt-audio 9\.9"):
        Recording.read(lines({**HEADER, "version": 2}, EVENT))


def test_a_kind_that_is_newer() -> None:
    """It is kept as it is, and is no problem; neither are newer fields."""
    recording = Recording.read(lines(HEADER, {"t": 1, "at": 1, "kind": "mood", "x": 3}, {**EVENT, "new": 1}))

    assert isinstance(recording.entries[0], UnknownEntry)
    assert recording.entries[0].fields["x"] == 3
    assert recording.problems == ()


def test_a_file_without_a_header() -> None:
    """What follows is read all the same."""
    recording = Recording.read([b"garbage\n", *lines(EVENT)])

    assert recording.header.started == 100.0
    assert [problem.line for problem in recording.problems] == [1, 1]


@pytest.mark.parametrize("content", [b"", b"hello\n", b"RIFF\x00\x00\n\n"])
def test_no_recording(tmp_path: Path, content: bytes) -> None:
    """The file is named."""
    path = tmp_path / "a.rta"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=r"a\.rta: this is no recording"):
        Recording.load(path)


def test_ends() -> None:
    """A connection that never was has no code; a message that is no JSON has its bytes."""
    recording = Recording.read(
        lines(
            HEADER,
            {"t": 1, "at": 1, "kind": "received", "raw": "AP8="},
            {"t": 1, "at": 1, "kind": "closed", "connection": 1, "error": "ConnectError"},
            {"t": 2, "at": 2, "kind": "end", "next": "b.rta"},
        )
    )
    raw, closed, end = recording.entries

    assert isinstance(raw, Received)
    assert (raw.raw, raw.type, raw.event) == (b"\x00\xff", "", {})
    assert isinstance(closed, ConnectionEnded)
    assert closed.code is None
    assert isinstance(end, End)
    assert end.next == "b.rta"
    assert recording.is_complete
    assert recording.without(End, ConnectionEnded).entries == (raw,)


def test_the_class_is_public() -> None:
    """The recorder of the package is the one of its room."""
    import azure_rt_audio

    assert azure_rt_audio.Recorder is Recorder
