"""What others wrote is made printable where it leaves: the functions, errors, and the log."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_service import HOSTILE, hostile_service, http, reaches, refusing
from websockets.sync.server import ServerConnection

import azure_rt_audio
from azure_rt_audio import AzureRealTimeAudio, RealtimeError, errors
from azure_rt_audio._log import get_logger
from azure_rt_audio._printable import one_line, printable, printable_json, printable_tree


@pytest.mark.parametrize(
    ("text", "shown", "line"),
    [
        ("plain ä 中 🙂 \u05d0\u05d1", "plain ä 中 🙂 \u05d0\u05d1", "plain ä 中 🙂 \u05d0\u05d1"),
        ("a\tb\nc", "a\tb\nc", "a b c"),
        ("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh", "a b c d e f g h"),
        ("a \n\n  b\n", "a \n\n  b\n", "a b"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07", "\\x1b[2J\\x07"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00", "\\x9b31m\\x7f\\x00"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066", "\\u202eabc\\u2066"),
        ("\u05d0\u200f!\u061c", "\u05d0!", "\u05d0!"),
        ("\ud83dx\udcff", "\\ud83dx\\udcff", "\\ud83dx\\udcff"),
        ("family \U0001f468\u200d\U0001f469 \u00a0", "family \U0001f468\u200d\U0001f469 \u00a0", None),
    ],
)
def test_what_is_shown(text: str, shown: str, line: str | None) -> None:
    """Controls, surrogates and bidirectional controls as escapes; line breaks as line feeds, or spaces."""
    assert (printable(text), one_line(text)) == (shown, shown if line is None else line)
    assert printable(shown) == shown


def test_json_keeps_its_values() -> None:
    """What is printable of JSON has the same values; a tree has printable ones, names included."""
    value = {HOSTILE.removesuffix("\ud83d"): [HOSTILE.removesuffix("\ud83d"), 1, None, True]}

    shown = printable_json(json.dumps(value, ensure_ascii=False))

    assert (reaches(shown), json.loads(shown)) == ([], value)
    assert reaches(json.dumps(printable_tree(value), ensure_ascii=False).replace("\\n", "")) == []


ERRORS: tuple[type[Any], ...] = tuple(
    getattr(errors, name)
    for name in errors.__all__
    if name not in ("classify", "MissingExtraError", "BrokenExtraError")
)


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_are_one_printable_line(cls: type[RealtimeError]) -> None:
    """``str``, ``message`` and the hint of each class; other attributes stay as received."""
    error = cls(f"it said {HOSTILE}", code=HOSTILE, param=HOSTILE)

    for shown in (str(error), error.message, str(error.again()), str(pickle.loads(pickle.dumps(error)))):
        assert (reaches(shown), len(shown.splitlines())) == ([], 1)
    assert (error.code, error.param) == (HOSTILE, HOSTILE)


def test_extras_say_it_printable() -> None:
    """What an import raised may quote anything."""
    assert reaches(str(errors.BrokenExtraError(HOSTILE, HOSTILE, HOSTILE, HOSTILE))) == []
    assert reaches(str(errors.MissingExtraError(HOSTILE, HOSTILE))) == []


def test_the_log_is_printable(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments of any kind, and tracebacks, which quote exceptions of the program; else nothing changes."""
    log = get_logger("azure_rt_audio.test")
    assert get_logger("azure_rt_audio.test").filters == log.filters
    try:
        raise KeyError("x") from ValueError(HOSTILE)
    except KeyError:
        log.exception("! %s failed: %s", HOSTILE, ValueError(HOSTILE))
    log.warning("= %d of %s", 3, "three")

    assert len(caplog.records) == 2
    assert reaches(caplog.text) == []
    assert caplog.records[0].exc_info is not None
    assert (caplog.records[1].msg, caplog.records[1].args) == ("= %d of %s", (3, "three"))


def test_all_loggers_are_printable() -> None:
    """No module of the package makes a logger of its own, which would pass text on as it is."""
    package = Path(azure_rt_audio.__file__).parent
    own = {path.name for path in package.rglob("*.py") if "getLogger(" in path.read_text(encoding="utf-8")}
    assert own == {"_log.py", "program.py"}  # the latter adds a handler that does nothing


def _fail(send: Callable[..., None], command: dict[str, Any], connection: ServerConnection) -> None:
    if command["type"] == "response.create":
        error = {"type": HOSTILE, "code": HOSTILE, "message": HOSTILE}
        send("error", error={**error, "param": HOSTILE, "event_id": command["event_id"]})
        send(HOSTILE, **{HOSTILE: 1})
        send("response.output_text.delta", delta=HOSTILE, content_index=HOSTILE)
        send("response.output_audio.delta", delta="****", item_id=HOSTILE, response_id=HOSTILE)
        connection.send(f"no JSON {HOSTILE.removesuffix(chr(0xD83D))}")
        connection.close(4000, HOSTILE.removesuffix("\ud83d")[:60])


def test_what_a_session_logs_and_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Every record at DEBUG, every error that listeners and callers get; events have texts as received."""
    caplog.set_level(logging.DEBUG, logger="azure_rt_audio")
    seen: list[Any] = []
    with hostile_service(_fail) as url:
        client = AzureRealTimeAudio({"host_name": url, "api_key": "0123456789-key", "deployment": "m"})
        try:
            client.on("*", seen.append)
            client.on("error", seen.append)
            client.on("error", lambda error: 1 / 0 if "no JSON" in str(error) else None)
            with pytest.raises(RealtimeError) as raised:
                client.ask("hello", timeout=5)
            with pytest.raises(RealtimeError):
                client.wait_for("response.done", timeout=5)
        finally:
            client.close()

    told = [error for error in seen if isinstance(error, RealtimeError)]
    shown = [str(error) for error in (*told, raised.value)] + [
        record.getMessage() for record in caplog.records
    ]
    assert told
    assert [text for text in shown if reaches(text) or "\n" in text] == []
    assert reaches(caplog.text.replace("\\n", "")) == []
    assert HOSTILE[:-1] in {getattr(event, "delta", None) for event in seen}


@pytest.mark.parametrize("status", [302, 401, 407, 500])
def test_refusals(status: int) -> None:
    """HTTP bodies and headers, of the service and of a proxy; the body and the request's id are raw."""
    with refusing(
        http(status, headers={"Location": "https://ev\x1b[31mil/", "Proxy-Authenticate": "\x1b[1m x"})
    ) as at:
        options = {"api_key": "0123456789-key", "deployment": "m"}
        for host, web in ((f"ws://{at}", {}), ("wss://example.invalid", {"http_proxy": f"http://{at}"})):
            client = AzureRealTimeAudio({**options, "host_name": host}, web)
            try:
                with pytest.raises(errors.ConnectError) as raised:
                    client.wait_until_ready(5)
            finally:
                client.close()
            assert reaches(str(raised.value)) == reaches(raised.value.hint) == []
            assert "\n" not in str(raised.value)
            if not web:
                assert json.loads(raised.value.body)["error"]["message"] == HOSTILE
