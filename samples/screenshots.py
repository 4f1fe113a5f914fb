"""
Makes the pictures in the README: ``xvfb-run -a python samples/screenshots.py``.

Needs Pillow besides what the samples need. Names of pictures as arguments make only those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

Scene = Iterator[float]
"""What somebody does in a window, and after each thing the seconds until the next."""


def tk_push_to_talk(file: Path) -> None:
    """A question, an answer, a second question, and a third while the second answer is being spoken."""
    import tk_push_to_talk as sample
    from PIL import ImageGrab

    def scene(window: sample.PushToTalk) -> Scene:
        yield 0.5
        for talking, listening in ((2.5, 7.6), (1.7, 1.0)):
            window.press()
            yield talking
            window.release()
            yield listening
        window.press()
        yield 0.5
        while window.loudness < -40:  # the recording has pauses
            yield 0.05
        yield 0.7
        root = window.root
        left, top = root.winfo_rootx(), root.winfo_rooty()
        ImageGrab.grab((left, top, left + root.winfo_width(), top + root.winfo_height())).save(file)
        root.destroy()

    def act(window: sample.PushToTalk) -> None:
        play(scene(window), lambda seconds, go_on: window.root.after(int(seconds * 1000), go_on))

    sample.main(act)


def qt_assistant(file: Path) -> None:
    """A spoken question, a written one, and a setting that the service refuses while one talks."""
    import qt_assistant as sample
    from PySide6.QtCore import QTimer

    def scene(window: sample.Assistant) -> Scene:
        yield 7.5
        window.line.setText("How do I get to Belém?")
        window.send_line()
        yield 1.2
        window.voice_name.setCurrentText("coral")
        window.apply_settings()
        yield 0.8
        window.grab().save(str(file))
        window.close()

    def act(window: sample.Assistant) -> None:
        play(scene(window), lambda seconds, go_on: QTimer.singleShot(int(seconds * 1000), go_on))

    sample.main(act)


def play(scene: Scene, later: Callable[[float, Callable[[], None]], object]) -> None:
    """Do one thing after the other, each from the loop of the window."""

    def go_on() -> None:
        seconds = next(scene, None)
        if seconds is not None:
            later(seconds, go_on)

    go_on()


SCENES: dict[str, Callable[[Path], None]] = {"tk_push_to_talk": tk_push_to_talk, "qt_assistant": qt_assistant}


def main() -> None:
    """Make the pictures."""
    names = sys.argv[1:] or list(SCENES)
    sys.argv[1:] = ["--emulator", "--recording"]
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in names:
        SCENES[name](PICTURES / f"{name}.png")
        print(PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
