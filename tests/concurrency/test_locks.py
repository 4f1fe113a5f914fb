"""What may not happen under a lock: a handler of the log is code of the program, and may ask for the lock."""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listeners import HANG, Connect, ready

import azure_rt_audio
from azure_rt_audio._session import pending_response
from azure_rt_audio._session.pending_response import PendingResponse
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta

PACKAGE = Path(azure_rt_audio.__file__).parent
CALLS_OUT = {"debug", "info", "warning", "exception", "log", "warn", "error"}


def calls_under_locks(node: ast.AST, *, is_held: bool = False) -> Iterator[ast.Call]:
    """Yield the calls in ``with ...lock:`` and in ``..._locked()``, but for those of inner functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from calls_under_locks(child, is_held=getattr(child, "name", "").endswith("_locked"))
            continue
        if is_held and isinstance(child, ast.Call):
            yield child
        takes = isinstance(child, ast.With) and any(
            ast.unparse(item.context_expr).endswith("lock") for item in child.items
        )
        yield from calls_under_locks(child, is_held=is_held or takes)


def test_nothing_is_logged_under_a_lock() -> None:
    """Nor warned of: both call code of the program."""
    found = [
        f"{module.relative_to(PACKAGE)}:{call.lineno}"
        for module in sorted(PACKAGE.rglob("*.py"))
        for call in calls_under_locks(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(call.func, ast.Attribute) and call.func.attr in CALLS_OUT
    ]

    assert found == []


def ends(function: Callable[[], object]) -> bool:
    """Whether a function returns, on a thread that may be left behind."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(HANG)
    return not thread.is_alive()


class Looker(logging.Handler):
    """A handler that shows what the log is about."""

    def __init__(self, handle: PendingResponse) -> None:
        super().__init__()
        self.handle_ = handle
        self.shown: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.shown.append(self.handle_._repr_html_())


def test_a_handler_of_the_log_looks_at_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it lets go of sound that warning is logged, and whoever is called may ask it anything."""
    monkeypatch.setattr(pending_response, "_MAX_SOUND", 4)
    pending = PendingResponse(lambda: None, lambda: None)
    looker, logger = Looker(pending), logging.getLogger(pending_response.__name__)
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    logger.addHandler(looker)
    try:
        for _ in range(3):
            assert ends(lambda: pending._feed(ResponseOutputAudioDelta(delta="AAAA", **place)))
    finally:
        logger.removeHandler(looker)

    assert len(looker.shown) == 1


def test_the_transport_is_free_when_the_close_is_logged(connect: Connect) -> None:
    """A handler of the log may take its time, and send."""
    client = ready(connect, reconnect=None)
    lock = client._engine.connection._driver.send_queue.write_lock
    logger = logging.getLogger("azure_rt_audio._transport.driver")
    closes: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "close 1000" in record.getMessage():
                closes.append(lock.locked())

    handler, level = Handler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        assert client.close()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    assert closes
    assert not any(closes)


def test_a_client_is_collected_under_the_lock_of_its_recording(connect: Connect, tmp_path: Path) -> None:
    """The collector runs in the middle of anything, so what it calls takes no lock, and the file is whole."""
    client = ready(connect, record=tmp_path / "a.rta")
    recorder = client.recorder
    assert recorder is not None
    writer = recorder._writer
    with writer._changed.lock:
        has_ended = ends(recorder._finalizer)

    assert has_ended
    assert writer.join(HANG)
