"""Whole programs with a window: they end by themselves, whatever goes on when the window is closed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pages
import pytest
from cli_runner import SECONDS, environment

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.windows

START = """
    import itertools, sys, threading, time
    from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, QtDispatcher, TkDispatcher

    def connect(dispatcher):
        client = AzureRealTimeAudio(AzureRealTimeOptions.from_env(), dispatcher=dispatcher)
        client.once("init", lambda _: client.create_response({"instructions": "Tell a long story."}))
        return client
"""

WINDOWS = {
    "tk": """
    import tkinter

    def main():
        root = tkinter.Tk()
        client = connect(TkDispatcher(root))
        when(client, root.destroy)
        root.mainloop()
        return client
    """,
    "tk, without Python's knowledge": """
    import tkinter

    def main():
        root = tkinter.Tk()
        client = connect(TkDispatcher(root))
        root.bind("<Destroy>", lambda event: None)  # in place of any other
        when(client, lambda: root.tk.eval("destroy ."))
        root.mainloop()
        return client
    """,
    "one window of several of tk": """
    import tkinter

    def main():
        root = tkinter.Tk()
        root.tk.eval("proc bgerror message {puts stderr $message}")  # not in a window
        window = tkinter.Toplevel(root)
        client = connect(TkDispatcher(window))
        client.on("closed", print)  # falls silent with its window
        def close():
            window.destroy()
            root.after(300, root.destroy)
        when(client, lambda: root.after(20, close))
        root.mainloop()
        return client
    """,
    "qt": """
    from qtpy.QtWidgets import QApplication, QWidget

    def main():
        application = QApplication([])
        window = QWidget()
        window.show()
        client = connect(QtDispatcher(window))
        when(client, window.close)
        application.exec()
        return client
    """,
    "qt, parent destroyed": """
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QWidget

    def main():
        application = QApplication([])
        window = QWidget()
        client = connect(QtDispatcher(window))
        when(client, window.deleteLater)
        window.destroyed.connect(lambda: QTimer.singleShot(300, application.quit))
        application.exec()
        return client
    """,
    "qt, application gone first": """
    import shiboken6
    from qtpy.QtWidgets import QApplication

    def main():
        application = QApplication([])
        client = connect(QtDispatcher())
        when(client, application.exit)
        application.exec()
        shiboken6.delete(application)
        client.on("response.audio.delta", print)
        return client
    """,
    "qt, at the interpreter's exit": """
    from qtpy.QtWidgets import QApplication

    def main():
        global application, client
        application = QApplication([])
        client = connect(QtDispatcher())
        deltas = itertools.count()
        client.on("response.audio.delta", lambda _: next(deltas) == 5 and sys.exit())
        application.exec()
        raise AssertionError("not reached")
    """,
}

END = """
    def when(client, close):
        deltas = itertools.count()
        client.on("response.audio.delta", lambda _: next(deltas) == 5 and close())

    client = main()
    deadline = time.monotonic() + 5
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(max(0, deadline - time.monotonic()))
    print(client.state.name, [thread.name for thread in threading.enumerate()])
"""


def start(
    program: str, service: Emulator, platform: str = "xcb", binding: str = "pyside6"
) -> subprocess.Popen[str]:
    """Start a program that talks to the service."""
    options = service.options()
    variables = {
        "AZURE_OPENAI_ENDPOINT": options["host_name"],
        "AZURE_OPENAI_API_KEY": options["api_key"],
        "AZURE_OPENAI_DEPLOYMENT": options["deployment"],
        "QT_QPA_PLATFORM": platform,
        "QT_API": binding,
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a program; return its exit code and what it wrote."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the program does not end: {out} {err}")
    return process.returncode, out, err


RUNS = [
    (name, platform)
    for name in WINDOWS
    for platform in ("xcb", "offscreen")
    if name.startswith("qt") or platform == "xcb"  # Tk has no other
]


@pytest.mark.parametrize(("name", "platform"), RUNS)
def test_a_window_closed_in_the_middle_of_an_answer(name: str, platform: str) -> None:
    """The program ends by itself, without a thread or a word."""
    program = "".join(map(textwrap.dedent, (START, WINDOWS[name], END)))
    with Emulator(pace=2, responder=lambda conversation, session: "And then. " * 100) as service:
        ended = outcome(start(program, service, platform))

    said = "" if "interpreter's exit" in name else "CLOSED ['MainThread']\n"
    assert ended == (0, said, "")


@pytest.mark.parametrize("name", ["qt", "qt, parent destroyed"])
def test_another_binding(name: str) -> None:
    """The same with PyQt6, which makes an end of a program of which a slot raises."""
    program = "".join(map(textwrap.dedent, (START, WINDOWS[name], END)))
    checked = f"import PyQt6.QtCore\n{program}\nassert 'PySide6' not in sys.modules"
    with Emulator(pace=2, responder=lambda conversation, session: "And then. " * 100) as service:
        ended = outcome(start(checked, service, "offscreen", "pyqt6"))

    assert ended == (0, "CLOSED ['MainThread']\n", "")


FOREIGN_GARBAGE = """
    import gc, threading, tkinter
    from azure_rt_audio import TkDispatcher

    def main():
        root = tkinter.Tk()
        root.itself = root  # so that it takes the garbage collector
        TkDispatcher(root)
        root.after(50, root.destroy)
        root.mainloop()

    gc.disable()
    main()
    collector = threading.Thread(target=gc.collect)
    collector.start()
    collector.join()
    print("still here")
"""


def test_a_window_that_another_thread_collects(emulator: Emulator) -> None:
    """What remains of a window may be collected on the I/O thread, and takes no process with it."""
    assert outcome(start(textwrap.dedent(FOREIGN_GARBAGE), emulator)) == (0, "still here\n", "")


BEATS = """
    import json, sys, threading, time
    from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, QtDispatcher, TkDispatcher

    PERIOD, SLACK = 0.05, 0.1
    ui, numbers, threads, late = threading.current_thread(), [], set(), []
    last = None

    def beat():
        global last
        now = time.monotonic()
        if last is not None:
            late.append(now - last - PERIOD)
        last = now

    def hear(event):
        threads.add(threading.current_thread())
        numbers.append(int(event.item_id))
        show(event.delta[:60] + "\\n" * (len(numbers) % 20 == 0), len(event.audio))

    def connect(dispatcher, close):
        client = AzureRealTimeAudio(AzureRealTimeOptions.from_env(), dispatcher=dispatcher)
        client.on("response.audio.delta", hear)
        client.on("input_audio_buffer.timeout_triggered", lambda _: close())
        client.once("init", lambda _: print("ready", flush=True))
        return client

    def report():
        lost = sum(round(lateness / PERIOD) for lateness in late if lateness > SLACK)
        print(json.dumps({"in order": numbers == sorted(numbers), "deltas": len(numbers), "lost": lost,
            "beats": len(late), "on the window's thread": threads == {ui}, "worst": max(late)}))
"""

BEATING = {
    "tk": """
    import tkinter
    root = tkinter.Tk()
    text = tkinter.Text(root)
    text.pack()

    def show(words, size):
        text.insert("end", words)
        text.see("end")

    def go_on():
        beat()
        root.after(50, go_on)

    client = connect(TkDispatcher(root), root.destroy)
    go_on()
    root.mainloop()
    report()
    """,
    "qt": """
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QPlainTextEdit
    application = QApplication([])
    text = QPlainTextEdit()
    text.show()

    def show(words, size):
        text.insertPlainText(words)
        text.ensureCursorVisible()

    client = connect(QtDispatcher(text), text.close)
    timer = QTimer()
    timer.timeout.connect(beat)
    timer.start(50)
    application.exec()
    report()
    """,
}


def feed(service: Emulator, seconds: float = 10.0, deltas: int = 5_000, at_a_time: int = 10) -> None:
    """Say so many deltas to everybody, evenly, and then the marker."""
    audio = base64.b64encode(bytes(1200)).decode()
    pause = threading.Event()
    start = time.monotonic()
    for first in range(0, deltas, at_a_time):
        pause.wait(max(0.0, start + seconds * first / deltas - time.monotonic()))
        for number in range(first, first + at_a_time):
            ids = {"response_id": "r", "item_id": str(number), "output_index": 0, "content_index": 0}
            service.say({"type": "response.output_audio.delta", **ids, "delta": audio})
    silence = {"audio_start_ms": 0, "audio_end_ms": 1000, "item_id": "last"}  # what ends it
    service.say({"type": "input_audio_buffer.timeout_triggered", "event_id": "m", **silence})


def test_a_window_answers_while_it_hears() -> None:
    """
    5 000 deltas in 10 s, all shown, in order, on the window's thread; and a beat of the window each 50 ms, of
    which none is lost. Both toolkits hear the same. A machine that stalls by itself has a second chance.
    """
    found = hear_a_flood()
    if any(report["lost"] for report in found.values()):
        found = hear_a_flood()

    for report in found.values():
        assert (report["deltas"], report["in order"], report["on the window's thread"]) == (5_000, True, True)
        assert report["beats"] > 150
        assert report["lost"] == 0


def hear_a_flood() -> dict[str, dict[str, Any]]:
    """Run a window of each toolkit, both at a time, and return what they report."""
    with Emulator() as service:
        programs = {
            name: start(textwrap.dedent(BEATS) + textwrap.dedent(window), service)
            for name, window in BEATING.items()
        }
        for process in programs.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        feed(service)
        ended = {name: outcome(process) for name, process in programs.items()}
    assert [(code, err) for code, _, err in ended.values()] == [(0, "")] * 2
    return {name: json.loads(out) for name, (_, out, _) in ended.items()}


PAGES = {
    name: page for name, page in pages.documentation().items() if any(block.needs_a_window for block in page)
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_documentation_with_a_window(name: str, tmp_path: Path) -> None:
    """Its programs run as they stand, and print what it says."""
    pages.run(PAGES[name], name, tmp_path, QT_API="pyside6", QT_QPA_PLATFORM="xcb")
