"""
Makes the pictures in the README: ``xvfb-run -a python samples/screenshots.py``.

Needs Pillow, JupyterLab, Playwright and Chromium besides what the samples need. Names of pictures as
arguments make only those. That of the notebook also renews the outputs which are kept in it.
"""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
NOTEBOOK = Path(__file__).parent / "notebook.ipynb"

Scene = Iterator[float]
"""The steps of a scene, each followed by the seconds until the next."""


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


def notebook(file: Path) -> None:
    """The notebook up to its plots, in JupyterLab, while the answer is spoken."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "system" / "notebook"))
    nbformat, lab = importlib.import_module("nbformat"), importlib.import_module("lab")
    pages = nbformat.read(NOTEBOOK, as_version=4)
    last = next(i for i, cell in enumerate(pages.cells) if "axis.invert_yaxis" in cell.source)
    pages.cells = [cell for cell in pages.cells[2 : last + 1] if cell.cell_type == "code"]
    for cell in pages.cells:
        cell.outputs = []
        if len(cell.source) > 400:
            cell.metadata["jupyter"] = {"source_hidden": True}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NOTEBOOK.name
        nbformat.write(pages, copy)
        with lab.page(copy, width=1000, height=1830) as opened:
            lab.run_all(opened)
            opened.wait_for_selector(".jp-Cell:last-child img")
            opened.evaluate("() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
            opened.wait_for_timeout(300)
            opened.screenshot(path=file)
    keep_outputs(nbformat, lab)


def keep_outputs(nbformat: Any, lab: Any) -> None:
    """Run the whole notebook and keep its output, except audio, which is large."""
    pages = nbformat.read(NOTEBOOK, as_version=4)
    install = next(cell for cell in pages.cells if "skip-execution" in cell.metadata.get("tags", []))
    source, install.source = install.source, ""
    for cell in pages.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NOTEBOOK.name
        nbformat.write(pages, copy)
        with lab.page(copy, height=9000) as opened:
            lab.run_all(opened)
            opened.wait_for_selector(".jp-Cell:last-child .jp-OutputArea-output")
            opened.wait_for_timeout(1500)  # for what listeners print, and for the view's last picture
            opened.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        done = nbformat.read(copy, as_version=4)
    for cell in done.cells:
        if cell.id == install.id:
            cell.source = source
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = re.sub(r"<audio.*?</audio>", "♪", output.data["text/html"])
    done.metadata = pages.metadata
    nbformat.write(done, NOTEBOOK)


def play(scene: Scene, later: Callable[[float, Callable[[], None]], object]) -> None:
    """Run the steps one after the other, from the window's loop."""

    def go_on() -> None:
        seconds = next(scene, None)
        if seconds is not None:
            later(seconds, go_on)

    go_on()


SCENES: dict[str, Callable[[Path], None]] = {
    scene.__name__: scene for scene in (tk_push_to_talk, qt_assistant, notebook)
}


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
