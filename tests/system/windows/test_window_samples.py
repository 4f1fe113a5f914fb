"""The samples with a window, with somebody who presses their buttons."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cli_runner import SECONDS, environment

pytestmark = pytest.mark.windows

SAMPLES = Path(__file__).parents[3] / "samples"

SCENES = {
    "tk_push_to_talk": """
        import itertools
        import tk_push_to_talk as sample

        def act(window):
            shown = lambda: window.text.get("1.0", "end")
            ticks = itertools.count()

            def go_on(step=0):
                steps = [
                    lambda: window.client.is_initialized and (window.press(), True)[1],
                    lambda: window.loudness > -40 and (window.release(), True)[1],
                    lambda: window.loudness > -60 and "metres high." in shown() and (window.press(), True)[1],
                    lambda: "… (interrupted)" in shown() and "metres high" not in shown(),
                    lambda: next(ticks) > 25 and (window.release(), True)[1],
                    lambda: "years old" in shown() and (window.press(), True)[1],
                    lambda: next(ticks) > 75 and (window.release(), True)[1],
                    lambda: window.allow.winfo_ismapped() and (window.allow.invoke(), True)[1],
                    lambda: "All right." in shown() and not window.allow.winfo_ismapped(),
                ]
                step += bool(steps[step]())
                if step < len(steps):
                    window.root.after(20, go_on, step)
                else:
                    print(shown())
                    window.root.destroy()

            go_on()

        sample.main(act)
    """,
    "qt_assistant": """
        import qt_assistant as sample
        from PySide6.QtCore import QTimer

        def act(window):
            shown = lambda: "\\n".join(label.text() for label in window.bubbles.labels.values())

            def ask():
                window.line.setText("How do I get to Belém?")
                window.send_line()
                return True

            def go_on(step=0):
                steps = [
                    lambda: "golden" in shown() and window.waveform.heard_ms > 500,
                    ask,
                    lambda: "Tram 15" in shown() and window.waveform.peaks,
                    ask,
                    lambda: window.approval.isVisible() and (window.deny.click(), True)[1],
                    lambda: "There we are." in shown() and not window.approval.isVisible(),
                    lambda: (window.voice_name.setCurrentText("coral"), window.apply_settings()),
                    lambda: "set the voice before" in window.error_text.text() and window.errors.isVisible(),
                    lambda: (window.client.close(), True)[1],
                    lambda: window.reconnect.isVisible() and (window.reconnect.click(), True)[1],
                    lambda: window.client.is_initialized and not window.errors.isVisible(),
                ]
                step += bool(steps[step]())
                if step < len(steps):
                    QTimer.singleShot(20, lambda: go_on(step))
                else:
                    print(shown())
                    window.close()

            go_on()

        sample.main(act)
    """,
}

STORIES = {
    "tk_push_to_talk": "You\nWhat is the tallest tree in the world?\nAssistant\n",
    "qt_assistant": "What can I see in Lisbon in one day?\nBegin in Alfama",
}


@pytest.mark.parametrize("dialect", ["ga", "preview"])
@pytest.mark.parametrize("name", SCENES)
def test_a_sample_with_a_window(name: str, dialect: str) -> None:
    """It converses by voice, is interrupted, mends what went wrong, and ends without a word on stderr."""
    program = f"import sys; sys.path.insert(0, {str(SAMPLES)!r})\n" + textwrap.dedent(SCENES[name])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "--emulator", "--recording", "--dialect", dialect],
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert STORIES[name] in done.stdout


def test_ctrl_c_ends_a_window_of_qt() -> None:
    """Pressed in the terminal it closes the window and the connection, without a word on stderr."""
    program = f"""
        import os, signal, sys
        sys.path.insert(0, {str(SAMPLES)!r})
        import qt_assistant as sample
        from PySide6.QtCore import QTimer

        sample.main(lambda window: QTimer.singleShot(500, lambda: os.kill(os.getpid(), signal.SIGINT)))
        print("ended")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), "--emulator", "--recording"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout.splitlines()[-1:], done.stderr) == (0, ["ended"], "")
