"""Recording a client: what is in the file, and what never is."""

from __future__ import annotations

import base64
import gc
import logging
import threading
import weakref
from pathlib import Path
from typing import Any

import orjson
import pytest
from fake_devices import StageMicrophone, StageSpeaker
from listeners import HANG, MARKER, Connect, Probe, message, ready

from azure_rt_audio import AzureRealTimeAudio, InlineDispatcher, Recorder
from azure_rt_audio._recorder.redaction import Redaction
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.recording import (
    ConnectionEnded,
    End,
    Heard,
    LevelsMeasured,
    ListenerFailed,
    Note,
    Opened,
    Received,
    Recording,
    Sent,
)

KEY = "sk-a-key-that-is-secret"


def of(recording: Recording, *kinds: type) -> list[Any]:
    return [entry for entry in recording.entries if isinstance(entry, kinds)]


def test_a_conversation(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """Both directions, the connection, and the end are recorded; a command comes before its answer."""
    client = ready(connect, record=tmp_path / "a.rta")
    client.ask("Hello!", timeout=HANG)
    client.close()

    recording = Recording.load(tmp_path / "a.rta")
    assert client.recorder is not None
    assert (client.recorder.error, client.recorder.is_open) == (None, False)
    assert recording.problems == ()
    assert recording.is_complete
    assert [entry.event for entry in of(recording, Received)] == emulator.sent()
    assert [entry.event for entry in of(recording, Sent)] == emulator.received()
    kinds = [type(entry) for entry in recording.entries]
    assert kinds[0] is Opened
    assert kinds[-2:] == [ConnectionEnded, End]
    (closed,) = of(recording, ConnectionEnded)
    assert (closed.code, closed.is_clean, closed.is_asked_for) == (1000, True, True)
    types = [entry.type for entry in of(recording, Sent, Received)]
    assert types[:3] == ["session.created", "session.update", "session.updated"]
    assert recording.header.configuration["session"]["voice"] == "alloy"
    assert all(abs(entry.at - recording.header.started - entry.t) < 5 for entry in recording.entries)


@pytest.fixture
def dialect() -> str:
    """What is recorded is the same in both."""
    return "ga"


@pytest.fixture
def emulator() -> Any:
    """An emulator that keeps the sound, which is compared."""
    with Emulator(pace=0, keep_audio=True, api_key=KEY) as service:
        yield service


def test_a_recorder_at_any_time(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """It begins with the connection that is open, and ends with its statement."""
    client = ready(connect)
    with Recorder(client, tmp_path / "a.rta") as recorder:
        recorder.note("the answer was odd")
        client.clear_audio_buffer().result(HANG)
    client.ask("Hello!", timeout=HANG)

    recording = Recording.load(recorder.path)
    assert [type(entry) for entry in recording.entries] == [Opened, Note, Sent, Received, End]
    assert of(recording, Opened)[0].is_late
    assert recorder.close()


def test_a_failing_listener(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """Its name, the exception, and where it was raised are recorded."""
    client, told = ready(connect, record=tmp_path / "a.rta"), Probe()

    def fails(event: Any) -> None:
        raise LookupError("nothing here: menu\udce9.txt")  # as a file name that is no text

    client.on("test.marker", fails)
    client.on("test.marker", told)
    emulator.say(MARKER)
    told.next()
    client.close()

    (failed,) = of(Recording.load(tmp_path / "a.rta"), ListenerFailed)
    assert failed.listener.endswith("fails")
    assert (failed.event, failed.error, failed.message) == (
        "test.marker",
        "LookupError",
        "nothing here: menu?.txt",
    )
    assert failed.where[-1].startswith("test_recorder.py:")
    assert failed.where[-1].endswith(" in fails")


def test_the_client_is_closed_by_a_listener(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """The file still has the end of the connection."""
    client = ready(connect, record=tmp_path / "a.rta", dispatcher=InlineDispatcher())
    client.on("test.marker", lambda _: client.close())
    emulator.say(MARKER)
    assert client.recorder is not None
    assert client.recorder._writer.join(HANG)

    assert [type(entry) for entry in Recording.load(tmp_path / "a.rta").entries][-2:] == [
        ConnectionEnded,
        End,
    ]


def test_a_client_that_is_dropped(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """The recorder does not keep it alive, and its file is written to the end."""
    client = AzureRealTimeAudio(emulator.options(), record=tmp_path / "a.rta")
    client.wait_until_ready(HANG)
    assert client.recorder is not None
    writer, alive = client.recorder._writer, weakref.ref(client)
    del client
    gc.collect()

    assert alive() is None
    assert writer.join(HANG)
    assert Recording.load(tmp_path / "a.rta").is_complete


def test_what_is_heard(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """The speaker's account and the levels of a spoken conversation; the recording ends with it."""
    client = ready(connect)
    microphone, speaker = StageMicrophone(), StageSpeaker()
    voice = client.talk(microphone, speaker, echo="headphones", record=tmp_path / "a.rta")
    with voice:
        item = "item_1"
        voice._downlink._account.receive(item, 500.0)
        voice._downlink._account.update(10.0, lambda _: 120.0)
        voice._downlink._account.update(10.1, lambda _: 220.0)
        voice._downlink._account.update(10.3, lambda _: 320.0)
        client._engine.taps.levels(-20.04, -100)
        client._engine.taps.levels(-30, -100)
        voice._downlink._account.interrupt({item: 400.0})
    client.ask("Hello!", timeout=HANG)

    recording = Recording.load(tmp_path / "a.rta")
    assert [(heard.ms, heard.end) for heard in of(recording, Heard)] == [
        (120.0, None),
        (320.0, None),
        (400.0, "interrupted"),
    ]
    assert of(recording, LevelsMeasured)
    assert recording.is_complete
    assert client.is_initialized


# ------------------------------------------------------------ what is left out


def test_no_secret(tmp_path: Path) -> None:
    """Neither key, token nor header value, wherever it stands, be it escaped."""
    secrets = {"x-gateway": 'pass"word/1234', "x-short": "1"}
    with (
        Emulator(pace=0, api_key=KEY) as emulator,
        AzureRealTimeAudio(
            emulator.options(session_config={"instructions": f"Your key is {KEY}."}),
            {"headers": secrets},
            record=tmp_path / "a.rta",
        ) as client,
    ):
        told = Probe()
        client.on("test.marker", told)
        client.send(
            {
                "type": "session.update",
                "session": {
                    "type": "realtime",
                    "tools": [{"type": "mcp", "server_label": "x", "authorization": "token-of-mcp"}],
                },
            }
        )
        emulator.say({"type": "test.one", "text": f"{KEY} and {secrets['x-gateway']}"})
        emulator.send_raw(
            '{"type":"test.two","Headers":{"a":"sesame"},'
            '"b":"pass\\"word\\/1234 sk\\u002da-key-that-is-secret"}'
        )
        emulator.send_raw(f"no JSON, but {KEY}")
        emulator.say(MARKER)
        told.next()
        assert client.recorder is not None
        client.recorder.note(f"{KEY}")

    content = (tmp_path / "a.rta").read_text()
    recording = Recording.load(tmp_path / "a.rta")
    assert recording.problems == ()
    for secret in (KEY, "token-of-mcp", "sesame", "word/1234", 'pass\\"word'):
        assert secret not in content
    raw = next(entry.raw for entry in of(recording, Received) if entry.raw is not None)
    assert raw == b"no JSON, but [secret]"
    assert recording.header.configuration["header_names"] == ["x-gateway", "x-short"]
    assert recording.header.configuration["session"]["instructions"] == "Your key is [secret]."


def test_no_token(tmp_path: Path) -> None:
    """A token is not known before it is asked for."""
    token = "eyJ0.a-token.sig"
    with Emulator(pace=0, tokens=[token]) as emulator:
        options = {**emulator.options(), "api_key": None, "credential": lambda: token}
        with AzureRealTimeAudio(options, record=tmp_path / "a.rta") as client:
            told = Probe()
            client.on("test.marker", told)
            emulator.say({**MARKER, "echo": f"Bearer {token}"})
            told.next()

    assert token not in (tmp_path / "a.rta").read_text()


def test_no_sound(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """Its size is in its place, in both directions."""
    client = ready(connect, record={"path": tmp_path / "a.rta", "sound": "none"})
    client.append_audio(bytes(9600))
    client.append_audio(bytes(20))
    client.ask("Hello!", timeout=HANG)
    client.close()

    recording = Recording.load(tmp_path / "a.rta")
    appends = [entry for entry in of(recording, Sent) if entry.type == "input_audio_buffer.append"]
    assert [(entry.event["audio"], entry.sound_bytes) for entry in appends] == [("", 9600), ("", 20)]
    deltas = [entry for entry in of(recording, Received) if entry.type == "response.output_audio.delta"]
    sizes = [len(base64.b64decode(e["delta"])) for e in emulator.sent("response.output_audio.delta")]
    assert [entry.sound_bytes for entry in deltas] == sizes
    assert {entry.event["delta"] for entry in deltas} == {""}
    assert recording.header.sound == "none"


def test_no_texts(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """Neither what is said, instructions, nor what is told of tools: only names and types of these stay."""
    kind = {"type": "string", "description": "Name of the elephant"}
    parameters = {"type": "object", "properties": {"description": kind}, "required": ["description"]}
    tool = {"type": "function", "name": "feed", "description": "Feeds an elephant", "parameters": parameters}
    client, told = (
        ready(
            connect,
            record={"path": tmp_path / "a.rta", "redact": "texts"},
            session_config={"instructions": "Speak of elephants.", "tools": [tool]},
        ),
        Probe(),
    )
    client.on("test.marker", told)
    client.ask("Elephants?", timeout=HANG)
    emulator.say(
        {
            **MARKER,
            "item": {"type": "function_call", "arguments": '{"animal": "elephant"}'},
            "parts": [{"transcript": "elephant", "logprobs": [{"token": "elephant"}]}],
        }
    )
    told.next()
    emulator.send_raw("elephant")
    client.create_conversation_item(message("ELEPHANT")).result(HANG)
    client.close()

    recording = Recording.load(tmp_path / "a.rta")
    assert "elephant" not in (tmp_path / "a.rta").read_text().lower()
    marker = next(entry for entry in of(recording, Received) if entry.type == "test.marker")
    assert marker.event["item"]["arguments"] == "{}"
    assert marker.event["parts"] == [{"transcript": "[redacted]", "logprobs": None}]
    assert recording.header.redact == "texts"
    sessions = [
        entry.event["session"]
        for entry in recording.entries
        if isinstance(entry, Sent | Received) and entry.type in ("session.update", "session.updated")
    ]
    for session in (recording.header.configuration["session"], *sessions):
        (shown,) = session["tools"]
        assert (shown["name"], shown["description"]) == ("feed", "[redacted]")
        assert shown["parameters"]["properties"]["description"] == {**kind, "description": "[redacted]"}
        assert shown["parameters"]["required"] == ["description"]
    assert {entry.type for entry in of(recording, Sent)} >= {"session.update"}
    sound = [entry for entry in of(recording, Received) if entry.type == "response.output_audio.delta"]
    assert all(len(entry.event["delta"]) > 100 for entry in sound)


def test_a_function_that_redacts(connect: Connect, emulator: Emulator, tmp_path: Path) -> None:
    """It is called with each text, and what it raises costs the entry only; it is said once."""
    threads = set()

    def shout(text: str) -> str:
        threads.add(threading.current_thread().name.rpartition("-")[0])
        if text == "bad":
            raise ValueError("a bad text")
        return text.upper()

    client = ready(connect, record={"path": tmp_path / "a.rta", "redact": shout})
    client.create_conversation_item(message("good")).result(HANG)
    client.create_conversation_item(message("bad")).result(HANG)
    client.close()

    recording = Recording.load(tmp_path / "a.rta")
    texts = [
        entry.event["item"]["content"][0]["text"]
        for entry in of(recording, Sent)
        if entry.type == "conversation.item.create"
    ]
    assert texts == ["GOOD"]
    assert client.recorder is not None
    assert "redact failed with ValueError" in str(client.recorder.error)
    assert of(recording, Note)[0].text == "not recorded: redact failed with ValueError"
    assert "azure-rt-recorder" in threads


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"response.output_audio.delta","delta":"%s"}' % (b"QUJD" * 800),
        b'{"type":"response.output_audio.delta","delta":"%s","headers":{"a":1}}' % (b"QUJD" * 800),
        b'{"type":"input_audio_buffer.append",\n "audio" : "%s"}' % (b"QUJD" * 800),
        b'{"type":"response.output_audio.delta","delta":"\\n%s"}' % (b"QUJD" * 800),
        b'{"type":"response.output_audio.delta","x":{"audio":"%s"}}' % (b"QUJD" * 800),
        b'{"type":"response.output_audio.delta","delta":"%s' % (b"QUJD" * 800),
        b'{"type":"session.update"}',
        b"[]",
        b"\xff",
    ],
)
def test_cutting_sound_out_changes_nothing(payload: bytes) -> None:
    """A message of sound, which is not parsed, is recorded as one that is."""
    redaction = Redaction("wire", None, tuple)
    message = redaction.message(payload)

    assert message == redaction._event(payload) or message.event is not None
    if message.event is not None:
        assert b"\n" not in message.event
        expected = orjson.loads(payload)
        if "headers" in expected:
            expected["headers"] = "[secret]"
        assert orjson.loads(message.event) == expected
    else:
        assert base64.b64decode(message.raw) == payload


# ------------------------------------------------------------ arguments


def test_a_file_that_exists(connect: Connect, tmp_path: Path) -> None:
    """It is kept, and the client does not connect."""
    path = tmp_path / "a.rta"
    path.write_text("precious")

    with pytest.raises(FileExistsError, match="the file exists already, and a recording replaces none"):
        connect(record=path)
    with pytest.raises(FileNotFoundError):
        connect(record=tmp_path / "nowhere" / "a.rta")
    with pytest.raises(IsADirectoryError, match="it is a folder; give the name of a file"):
        connect(record=tmp_path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sound": "mp3"}, "sound"),
        ({"redact": "names"}, "redact"),
        ({"max_bytes": 10}, "max_bytes"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_files": True}, "max_files"),
    ],
)
def test_wrong_arguments(connect: Connect, tmp_path: Path, arguments: dict[str, Any], named: str) -> None:
    """The argument is named, and no file is made."""
    with pytest.raises((ValueError, TypeError), match=f"^{named} must be"):
        connect(record={"path": tmp_path / "a.rta", **arguments})
    with pytest.raises(ValueError, match='record has no "path"'):
        connect(record={"sound": "none"})
    with pytest.raises(ValueError, match="record is empty: give the file"):
        connect(record="")
    assert list(tmp_path.iterdir()) == []


def test_parts(
    connect: Connect, emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A recording is divided by size; each part names the next, and the oldest is deleted."""
    (tmp_path / "a-3.rta").write_text("of another program")
    with caplog.at_level(logging.WARNING):
        client = ready(connect, record={"path": tmp_path / "a.rta", "max_bytes": 65536, "max_files": 3})
        for _ in range(6):
            client.append_audio(bytes(30_000))
        assert client.recorder is not None
        assert client.recorder.flush()
        client.close()

    names = [path.name for path in client.recorder.paths]
    assert len(names) == 3
    assert "a-3.rta" not in names
    assert not (tmp_path / "a.rta").exists()
    parts = [Recording.load(path) for path in client.recorder.paths]
    assert [part.header.part for part in parts] == sorted(part.header.part for part in parts)
    assert [of(part, End)[0].next for part in parts] == [*names[1:], None]
    assert all(path.stat().st_size <= 66_000 for path in client.recorder.paths)
    assert parts[1].header.t > 0
    assert [record.message for record in caplog.records] == []
