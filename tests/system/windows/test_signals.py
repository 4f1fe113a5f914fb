"""A client's events as signals of Qt."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from cli_runner import SECONDS, environment
from listeners import HANG, Connect
from toolkits import QtWindow

from azure_rt_audio import ConnectionClosedError, Session
from azure_rt_audio.protocol.events import EVENT_CLASSES
from azure_rt_audio.protocol.events.local import LOCAL_EVENTS

pytestmark = pytest.mark.windows


@pytest.fixture
def dialect() -> str:
    """One will do."""
    return "ga"


@pytest.fixture
def window() -> Iterator[QtWindow]:
    """A window of Qt."""
    made = QtWindow()
    yield made
    made.destroy()


def test_what_is_no_client_is_refused(window: QtWindow) -> None:
    """At once, by its type."""
    from azure_rt_audio.qt import RealtimeSignals

    with pytest.raises(TypeError, match="client must be an AzureRealTimeAudio, not str"):
        RealtimeSignals("x")  # type: ignore[arg-type]


def test_there_is_a_signal_for_every_event() -> None:
    """And none for anything else."""
    from qtpy.QtCore import Signal

    from azure_rt_audio.qt import RealtimeSignals

    names = {name.replace(".", "_") for name in EVENT_CLASSES}
    names |= {cls.TYPE for cls in LOCAL_EVENTS}

    assert {name for name, value in vars(RealtimeSignals).items() if isinstance(value, Signal)} == names


def test_signals_come_on_the_windows_thread(window: QtWindow, connect: Connect) -> None:
    """With what a listener would be given, although the client's listeners run elsewhere."""
    from azure_rt_audio.qt import RealtimeSignals

    client = connect()
    signals = RealtimeSignals(client, window.widget)
    told: list[Any] = []
    threads = set()

    def hear(what: Any) -> None:
        told.append(what)
        threads.add(threading.current_thread())

    for signal in (signals.init, signals.response_created, signals.error, signals.response_done):
        signal.connect(hear)
    signals.init.connect(lambda _: (client.cancel_response(), client.create_response()))
    signals.response_done.connect(window.stop)
    window.run(20)

    assert isinstance(told[0], Session)
    assert sorted(getattr(what, "type", "") for what in told[1:]) == [
        "invalid_request_error",
        "response.created",
        "response.done",
    ]
    assert threads == {threading.current_thread()}


def test_the_client_is_closed_with_their_parent(window: QtWindow, connect: Connect) -> None:
    """The window is destroyed: silence, and the client is closed."""
    from azure_rt_audio.qt import RealtimeSignals

    client = connect()
    signals = RealtimeSignals(client, window.widget)
    late: list[object] = []
    signals.closed.connect(late.append)
    signals.init.connect(lambda _: window.later(0, window.destroy))
    window.run()

    with pytest.raises(ConnectionClosedError):
        client.wait_for("never.comes", timeout=HANG)
    assert late == []


def test_they_keep_no_client(window: QtWindow, connect: Connect) -> None:
    """A client that nobody else holds is collected, and its signals with their window."""
    from azure_rt_audio import AzureRealTimeAudio
    from azure_rt_audio.emulator import Emulator
    from azure_rt_audio.qt import RealtimeSignals

    with Emulator() as service:
        client = AzureRealTimeAudio(service.options())
        signals = RealtimeSignals(client, window.widget)
        signals.init.connect(window.stop)
        window.run()
        reference = weakref.ref(client)

        del client

        assert reference() is None


def test_without_qt_it_names_the_extra() -> None:
    """Where no binding is installed, the error says what to install; the rest of the library works."""
    script = """
        import sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "qtpy":
                    raise ModuleNotFoundError(f"No module named {name!r}", name="qtpy")

        sys.meta_path.insert(0, Absent())
        from azure_rt_audio import MissingExtraError, QtDispatcher
        try:
            QtDispatcher()
        except MissingExtraError as exc:
            print(exc)
        try:
            import azure_rt_audio.qt
        except ImportError as exc:
            print(exc)
        sys.modules["tkinter"] = None
        from azure_rt_audio import TkDispatcher
        try:
            TkDispatcher(None)
        except ImportError as exc:
            print(exc)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    remedy = 'pip install "azure-rt-audio[qt]". See docs/reference/extras.md.'
    assert said[0] == f'QtDispatcher needs the "qt" extra: {remedy}'
    assert said[1] == f'RealtimeSignals needs the "qt" extra: {remedy}'
    assert "python3-tk" in said[2]


def test_what_is_no_window_is_refused(window: QtWindow) -> None:
    """Before anything is connected."""
    from azure_rt_audio import QtDispatcher, TkDispatcher

    with pytest.raises(TypeError, match="must be a QObject, not str"):
        QtDispatcher("window")
    with pytest.raises(TypeError, match="must be a Tk window or widget, not str"):
        TkDispatcher("window")  # type: ignore[arg-type]


def test_a_window_of_tk_that_is_gone_is_refused() -> None:
    """What is destroyed already cannot be listened in."""
    import tkinter

    from azure_rt_audio import TkDispatcher

    root = tkinter.Tk()
    root.destroy()

    with pytest.raises(RuntimeError, match="the window has been destroyed"):
        TkDispatcher(root)


def test_without_an_application_there_is_no_window() -> None:
    """A dispatcher made before the QApplication says so."""
    script = "from azure_rt_audio import QtDispatcher; QtDispatcher()"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )

    assert done.stderr.splitlines()[-1] == "RuntimeError: there is no QApplication yet; create it first"
