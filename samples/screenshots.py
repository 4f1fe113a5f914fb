"""
Makes the pictures of the documentation: ``xvfb-run -a python samples/screenshots.py``.

Needs Pillow, JupyterLab, Playwright and Chromium besides what the samples and ``talk`` need. Names of
pictures as arguments make only those. That of the notebook also renews the outputs which are kept in it.
"""

from __future__ import annotations

import asyncio
import importlib
import queue
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
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
        for talking, listening in ((2.5, 8.6), (1.7, 3.2)):
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
    """A spoken question, a written one, and a setting that is changed while the answer is spoken."""
    import qt_assistant as sample
    from PySide6.QtCore import QTimer

    def scene(window: sample.Assistant) -> Scene:
        yield 7.5
        window.line.setText("How do I get to Belém?")
        window.send_line()
        yield 1.2
        window.silence.setValue(800)
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
        with lab.page(copy, width=1000, height=1970) as opened:
            lab.run_all(opened)
            opened.wait_for_selector(".jp-Cell:last-child img")
            opened.evaluate("() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
            opened.wait_for_timeout(300)
            opened.screenshot(path=file)
    keep_outputs(nbformat, lab)


def talk(file: Path) -> None:
    """The screen of ``azure-rt-audio talk``: an interrupted answer, and one that is being spoken."""
    from azure_rt_audio._cli import recordings

    heard = [
        "What is the weather like in Lisbon today?",
        "Stop, thank you, that is enough.",
        "What is the weather like in New York tomorrow?",
    ]
    answers = [
        "It is sunny in Lisbon, twenty four degrees, with a light wind from the sea, and it stays so.",
        "You are welcome. Just ask if you need anything else.",
        "Tomorrow it will rain in New York, so take an umbrella. It clears up in the evening.",
    ]

    async def scene(screen: Screen) -> None:
        screen.microphone.say(recordings.question())
        await screen.until("speaking")
        await asyncio.sleep(3)
        screen.microphone.say(recordings.interruption())
        await screen.until("listening")
        await screen.until("speaking")
        await screen.until("idle")
        screen.microphone.say(recordings.question())
        await screen.until("speaking")
        await asyncio.sleep(3)

    draw(Screen(heard, answers, size=(92, 21)).show(scene), file)


def reconnecting(file: Path) -> None:
    """The same screen: the connection is lost in the middle of an answer, and the talk goes on."""
    from azure_rt_audio._cli import recordings
    from azure_rt_audio.emulator import Refuse, at_handshake

    heard = ["What is the weather like in Lisbon today?", "What is the weather like in New York tomorrow?"]
    answers = [
        "It is sunny in Lisbon, twenty four degrees, with a light wind from the sea, and it stays so.",
        "Tomorrow it will rain in New York, so take an umbrella. It clears up in the evening.",
    ]

    async def scene(screen: Screen) -> None:
        screen.microphone.say(recordings.question())
        await screen.until("speaking")
        await asyncio.sleep(1.5)
        screen.service.faults.add(at_handshake(Refuse(503), times=2))
        screen.service.drop()
        await screen.until("idle")
        screen.microphone.say(recordings.question())
        await screen.until("speaking")
        await asyncio.sleep(3)

    draw(Screen(heard, answers, size=(92, 21)).show(scene), file)


def approval(file: Path) -> None:
    """The screen of ``talk`` when tools were called, one of which needs approval."""
    from azure_rt_audio import Tool
    from azure_rt_audio._cli import recordings
    from azure_rt_audio.emulator import FunctionCall, Reply

    def find_table(place: str, people: int) -> str:
        return f"Taberna in {place} has a table for {people} at 8 pm"

    def book_table(restaurant: str, people: int) -> str:
        return f"booked: {restaurant}, {people} people"

    answers: list[Any] = [
        Reply(calls=(FunctionCall("find_table", {"place": "Chiado", "people": 2}),)),
        Reply(calls=(FunctionCall("book_table", {"restaurant": "Taberna", "people": 2}),)),
    ]

    async def scene(screen: Screen) -> None:
        screen.microphone.say(recordings.question())
        await screen.until_called(2)
        await asyncio.sleep(0.5)

    tools = [find_table, Tool(book_table, needs_approval=True)]
    draw(Screen(["Book a table for two in Chiado."], answers, size=(92, 16), tools=tools).show(scene), file)


class Screen:
    """The screen of ``talk``, with an emulator and simulated devices behind it."""

    def __init__(self, heard: list[str], answers: list[Any], size: tuple[int, int], **client: Any) -> None:
        from _service import synthesiser

        from azure_rt_audio.devices import SimulatedMicrophone
        from azure_rt_audio.emulator import Emulator

        coming = iter(answers)
        self.service = Emulator(
            recogniser=heard,
            responder=lambda *_: next(coming),
            synthesiser=synthesiser(),
            first_delay=0.4,
        )
        self.microphone = SimulatedMicrophone()
        self._size = size
        self._arguments = client

    def show(self, scene: Callable[[Screen], Coroutine[Any, Any, None]]) -> str:
        """Run a conversation to the end of the scene; return the screen, as an SVG."""
        from azure_rt_audio import AzureRealTimeAudio
        from azure_rt_audio._cli.talk.conversation_log import EVENTS, ConversationLog
        from azure_rt_audio._cli.talk.view import TalkView
        from azure_rt_audio.devices import SimulatedSpeaker
        from azure_rt_audio.dispatch import QueueDispatcher

        queue, log = QueueDispatcher(), ConversationLog()
        config = {"voice": "coral", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
        with (
            self.service as service,
            AzureRealTimeAudio(
                {**service.options(), "session_config": config}, dispatcher=queue, **self._arguments
            ) as client,
        ):
            self._client = client
            for event in EVENTS:
                client.on(event, log.update)
            client.on("error", log.update)
            with client.talk(
                self.microphone, SimulatedSpeaker(), echo="headphones", on_event=log.update
            ) as voice:
                view = TalkView(log, queue.run_pending, voice, "A guide to Lisbon", "voice: coral")

                async def main() -> str:
                    async with view.run_test(size=self._size):
                        await scene(self)
                        return view.export_screenshot()

                return asyncio.run(main())

    async def until(self, status: str) -> None:
        """Wait for the model to do something."""
        while self._client.status != status:
            await asyncio.sleep(0.02)

    async def until_called(self, count: int) -> None:
        """Wait for calls of tools."""
        while sum(entry.item.type == "function_call" for entry in self._client.conversation.entries) < count:
            await asyncio.sleep(0.02)


def recording(file: Path) -> None:
    """The page of a recorded talk: a call of a function, an interrupted answer, and one more."""
    shoot_page(record_talk, file)


def slow_tool(file: Path) -> None:
    """The page of a talk that goes on while a tool makes a report."""
    shoot_page(record_slow_tool, file)


def shoot_page(record: Callable[[Path], None], file: Path) -> None:
    """Record a talk, and show the page of the recording."""
    from azure_rt_audio.__main__ import main as command_line

    sync_api = importlib.import_module("playwright.sync_api")
    with tempfile.TemporaryDirectory() as folder:
        recorded, made = Path(folder) / "lisbon.rta", Path(folder) / "lisbon.html"
        record(recorded)
        assert command_line(["replay", str(recorded), "--to-html", str(made)]) == 0
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            opened = browser.new_page(viewport={"width": 1200, "height": 830})
            opened.goto(made.as_uri())
            opened.wait_for_selector("html[data-ready]")
            opened.locator(".turn.assistant").first.click()
            opened.locator("#fit").click()
            opened.wait_for_timeout(300)
            opened.screenshot(path=file)
            browser.close()


def record_talk(path: Path) -> None:
    """Record a spoken conversation with the emulator."""
    from azure_rt_audio._cli import recordings
    from azure_rt_audio.emulator import FunctionCall

    def get_weather(city: str) -> dict[str, str]:
        """Get the current weather in a city."""
        threading.Event().wait(0.4)  # as long as another service takes
        return {"city": city, "sky": "sunny", "temperature": "24 degrees"}

    talk = RecordedTalk(
        path,
        [get_weather],
        heard=["What is the weather like in Lisbon today?", "Stop, thank you, that is enough."],
        answers=[
            FunctionCall("get_weather", {"city": "Lisbon"}),
            "It is sunny in Lisbon, twenty four degrees, with a light wind from the sea, and it stays so.",
            "You are welcome. Just ask if you need anything else.",
        ],
    )

    def scene(talk: RecordedTalk) -> None:
        talk.say(recordings.question())
        talk.until("speaking")
        threading.Event().wait(3)
        talk.say(recordings.interruption())
        talk.until("listening", "speaking", "idle")

    talk.run(scene)


def record_slow_tool(path: Path) -> None:
    """Record one in which the user goes on talking while a tool makes a report."""
    from azure_rt_audio import Tool
    from azure_rt_audio._cli import recordings
    from azure_rt_audio.emulator import FunctionCall

    report_due = threading.Event()

    def make_report(topic: str) -> str:
        """Make a report, which takes long."""
        report_due.wait(60)  # in place of the work
        return f"The report on {topic} has 12 pages."

    def get_weather(city: str) -> dict[str, str]:
        """Get the current weather in a city."""
        threading.Event().wait(0.6)  # as long as another service takes
        return {"city": city, "sky": "sunny", "temperature": "24 degrees"}

    talk = RecordedTalk(
        path,
        [Tool(make_report, background=True), get_weather],
        heard=["Make the report on tourism, please.", "What is the weather like in Lisbon today?"],
        answers=[
            FunctionCall("make_report", {"topic": "tourism"}),
            "I have begun with it. What else can I do?",
            FunctionCall("get_weather", {"city": "Lisbon"}),
            "It is sunny in Lisbon, twenty four degrees.",
            "The report on tourism is there. It has twelve pages.",
        ],
    )

    def scene(talk: RecordedTalk) -> None:
        talk.say(recordings.question())
        talk.until("speaking", "idle")
        threading.Event().wait(0.7)
        talk.say(recordings.question())
        talk.until("speaking", "idle")
        threading.Event().wait(1.2)
        report_due.set()
        talk.until("speaking", "idle")

    talk.run(scene)


class RecordedTalk:
    """A spoken conversation with the emulator, whose answers are given."""

    def __init__(self, path: Path, tools: list[Any], heard: list[str], answers: list[Any]) -> None:
        from azure_rt_audio.devices import SimulatedMicrophone

        self._path = path
        self._tools = tools
        self._heard = heard
        self._answers = iter(answers)
        self._microphone = SimulatedMicrophone(bytes(24_000))
        self._statuses: queue.Queue[str] = queue.Queue()

    def run(self, scene: Callable[[RecordedTalk], None]) -> None:
        """Record it."""
        from _service import synthesiser

        from azure_rt_audio import AzureRealTimeAudio
        from azure_rt_audio.devices import SimulatedSpeaker
        from azure_rt_audio.emulator import Emulator

        config = {"voice": "coral", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
        with (
            Emulator(
                recogniser=self._heard,
                responder=lambda *_: next(self._answers),
                synthesiser=synthesiser(),
                first_delay=0.3,
            ) as service,
            AzureRealTimeAudio(
                {**service.options(), "session_config": config}, tools=self._tools, record=self._path
            ) as client,
        ):
            client.on("status_changed", lambda event: self._statuses.put(str(event.status)))
            with client.talk(self._microphone, SimulatedSpeaker(), echo="headphones"):
                scene(self)
                threading.Event().wait(0.5)

    def say(self, sound: bytes) -> None:
        """Speak as the user."""
        self._microphone.say(sound)

    def until(self, *statuses: str) -> None:
        """Wait for one after the other."""
        for status in statuses:
            while self._statuses.get(timeout=30) != status:
                pass


def draw(svg: str, file: Path) -> None:
    """Render an SVG in Chromium, with a font of this machine."""
    sync_api = importlib.import_module("playwright.sync_api")
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    width, height = (round(float(side)) for side in found.groups())
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": width, "height": height})
        opened.set_content(f"<style>body {{ margin: 0 }}</style>{svg}")
        opened.screenshot(path=file, omit_background=True)
        browser.close()


def turn(file: Path) -> None:
    """What ``plot_turn.py`` draws."""
    import plot_turn as sample

    arguments, sys.argv[1:] = sys.argv[1:], ["--emulator", str(file)]
    try:
        sample.main()
    finally:
        sys.argv[1:] = arguments


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
    scene.__name__: scene
    for scene in (
        tk_push_to_talk,
        qt_assistant,
        notebook,
        talk,
        approval,
        reconnecting,
        recording,
        slow_tool,
        turn,
    )
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
