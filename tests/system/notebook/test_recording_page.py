"""The page of a recording as its reader sees it: an hour's talk in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab import BOUND, browser
from made_recordings import Made, long_talk, tone

from azure_rt_audio.recording import Recording
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.notebook

OPENING_SECONDS = 2.0
"""Of CPU, in which an hour's talk is to be there: what a clock on the wall shows depends on other tests."""

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for all of these tests."""
    from playwright.sync_api import expect

    expect.set_options(timeout=BOUND * 1000)
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an hour's talk, with waveforms; its sound would take minutes to encode."""
    path = tmp_path_factory.mktemp("hour") / "hour.html"
    recording = long_talk().recording
    write_page(path, recording, analyse(recording), title="hour.rta", has_sound=False)
    return path


@pytest.fixture
def pages(chromium: Browser) -> Iterator[list[Page]]:
    """The pages that were opened; they are closed after the test."""
    opened: list[Page] = []
    yield opened
    for page in opened:
        page.context.close()


def open_page(path: Path, chromium: Browser, pages: list[Page], **context: object) -> Page:
    """Open a page from its file, and wait until it is there."""
    page = empty_page(chromium, pages, **context)
    go(page, path)
    return page


def go(page: Page, path: Path) -> None:
    """Open a file, and wait until it is there."""
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")


def empty_page(chromium: Browser, pages: list[Page], **context: object) -> Page:
    """Return a page that fails the test if a script complains, or asks the network."""
    page = chromium.new_context(**context).new_page()  # type: ignore[arg-type]
    pages.append(page)
    page.set_default_timeout(BOUND * 1000)
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    page.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    page.on("request", lambda request: pytest.fail(request.url) if request.url.startswith("http") else None)
    return page


def small(path: Path, made: Made, *, has_sound: bool = False) -> Path:
    """Make the page of a short recording."""
    recording: Recording = made.recording
    write_page(path, recording, analyse(recording), title="small.rta", has_sound=has_sound)
    return path


def test_an_hour_opens_in_two_seconds(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """Drawn, with its conversation, and with a list of events of which only some are in the document."""
    page = empty_page(chromium, pages, viewport={"width": 1200, "height": 830})
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")
    go(page, hour)
    page.locator(".turn").first.wait_for()
    page.locator(".row").first.wait_for()
    measured = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}

    assert 0.05 < measured["ThreadTime"] < OPENING_SECONDS
    assert "1:00:00" in page.locator("#facts").inner_text()
    assert page.locator(".turn").count() == 600
    assert 10 < page.locator(".row").count() < 60
    assert hour.stat().st_size < 8_000_000


def test_the_time_axis_zooms_and_pans(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """With the wheel, the buttons and the keys; each changes what is drawn, and all of it comes back."""
    page = open_page(hour, chromium, pages, viewport={"width": 1200, "height": 830})
    lanes = page.locator("#lanes")
    pictures = [lanes.screenshot()]
    lanes.hover(position={"x": 600, "y": 120})
    page.mouse.wheel(0, -1_500)
    pictures.append(lanes.screenshot())
    page.mouse.wheel(400, 0)
    pictures.append(lanes.screenshot())
    page.locator("#in").click()
    pictures.append(lanes.screenshot())
    page.keyboard.press("ArrowRight")
    pictures.append(lanes.screenshot())
    page.keyboard.press("-")
    pictures.append(lanes.screenshot())
    assert len(set(pictures)) == len(pictures)

    page.mouse.move(600, 100)  # nothing is pointed at
    page.keyboard.press("0")
    page.wait_for_timeout(200)
    assert lanes.screenshot() == pictures[0]


def test_the_search_finds_texts_and_events(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """What matches stays in both lists, and is gone to; its text is text."""
    from playwright.sync_api import expect

    page = open_page(hour, chromium, pages, viewport={"width": 1200, "height": 830})
    page.keyboard.press("/")
    page.keyboard.type("the number 299?")
    expect(page.locator("#found")).to_have_text("1 found")
    expect(page.locator(".turn:visible")).to_have_count(1)
    expect(page.locator(".turn:visible mark")).to_have_text("the number 299?")
    expect(page.locator(".row")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#clock")).to_have_text("59:48.7")

    page.locator("#search").fill("<b>some</b>")
    expect(page.locator("#found")).to_have_text("300 found")
    expect(page.locator(".turn b, .row b")).to_have_count(0)
    page.locator("#search").fill("nothing says this")
    expect(page.locator("#found")).to_have_text("no match")
    expect(page.locator(".row")).to_have_count(0)


def test_events_tell_their_details(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """A click opens one, the keys go on to the next, and the list scrolls to the end of the hour."""
    from playwright.sync_api import expect

    page = open_page(hour, chromium, pages, viewport={"width": 1200, "height": 830})
    page.locator(".row", has_text="speech_started").first.click()
    expect(page.locator("#details pre")).to_contain_text('"item_id": "item_q0"')
    page.locator("#list").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#details h2")).to_contain_text("input_audio_buffer.append")
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(page.locator(".row").last).to_contain_text("connection closed")


def test_sound_is_played(chromium: Browser, pages: list[Page], tmp_path: Path) -> None:
    """Opus in Ogg; the cursor follows the sound, and a click in the conversation goes to another place."""
    from playwright.sync_api import expect

    made = Made().words(1.0, "Hello").delta(1.0, tone(3)).words(8.0, "Goodbye", "item_b", "resp_2")
    made.delta(8.0, tone(3), "item_b", "resp_2")
    path = small(tmp_path / "small.html", made, has_sound=True)
    page = open_page(path, chromium, pages)
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    expect(page.locator(".turn.now")).to_contain_text("Hello")
    page.locator(".turn", has_text="Goodbye").click()
    expect(page.locator("#clock")).to_contain_text("0:08.")
    expect(page.locator("#play")).to_have_attribute("title", "Play or pause (space)")
    page.locator("#speed").select_option("4")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")  # it has come to its end
    expect(page.locator("#clock")).to_have_text("0:11.0")


def test_light_and_dark(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """As the system has it, until the button is pressed."""
    from playwright.sync_api import expect

    page = open_page(hour, chromium, pages, color_scheme="dark")
    body = page.locator("body")
    expect(body).to_have_css("background-color", "rgb(20, 23, 27)")
    page.locator("#theme").click()
    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")


def test_a_phone_shows_all_of_it(hour: Path, chromium: Browser, pages: list[Page]) -> None:
    """Nothing is wider than the screen; conversation and events take turns; fingers move the time."""
    from playwright.sync_api import expect

    page = open_page(
        hour, chromium, pages, viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2
    )
    assert page.locator("html").evaluate("root => root.scrollWidth") == PHONE["width"]
    expect(page.locator("#talk")).to_be_visible()
    expect(page.locator("#events")).to_be_hidden()
    page.locator("#tab-events").tap()
    expect(page.locator("#talk")).to_be_hidden()
    expect(page.locator(".row").first).to_be_visible()
    assert page.locator("html").evaluate("root => root.scrollWidth") == PHONE["width"]

    lanes = page.locator("#lanes")
    box = lanes.bounding_box()
    assert box is not None
    before = lanes.screenshot()
    touch = page.context.new_cdp_session(page)
    for step in range(6):  # two fingers move apart
        points = [{"x": 195 + side * (20 + 25 * step), "y": box["y"] + 80, "id": side} for side in (-1, 1)]
        kind = "touchStart" if step == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(200)
    assert lanes.screenshot() != before


def test_hostile_text_runs_nothing(chromium: Browser, pages: list[Page], tmp_path: Path) -> None:
    """Markup and scripts from the service are shown as they are."""
    from playwright.sync_api import expect

    text = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    made = Made().words(1.0, text).delta(1.0, tone(1)).received(1.0, "error", error={"message": text})
    page = open_page(small(tmp_path / "small.html", made.add(1.0, "note", text=text)), chromium, pages)
    page.locator(".row", has_text="note").click()

    expect(page.locator("#details pre")).to_contain_text("onerror=")
    expect(page.locator(".turn.assistant")).to_contain_text(text)
    expect(page.locator("img, script:nth-of-type(7)")).to_have_count(0)
    assert page.title() == "small.rta"


def test_tools_that_run_at_the_same_time(chromium: Browser, pages: list[Page], tmp_path: Path) -> None:
    """One below the other, each as long as it ran: in the background longer than until its output."""
    from playwright.sync_api import expect

    made = Made().words(0.1, "Hello")
    for at, name, sent, until in ((1.0, "report", 1.1, 9.0), (4.0, "weather", 6.0, 6.0)):
        call = {"type": "function_call", "call_id": f"call_{name}", "name": name, "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": f"call_{name}", "output": "started"}
        made.received(at, "response.output_item.done", item=call)
        made.add(at + 0.05, "tool_started", call_id=f"call_{name}", name=name)
        made.sent(sent, "conversation.item.create", item=output)
        made.add(until, "tool_ended", call_id=f"call_{name}", name=name, has_failed=False)
    page = open_page(
        small(tmp_path / "small.html", made.add(10.0, "note", text="the end")),
        chromium,
        pages,
        viewport={"width": 1000, "height": 830},
    )
    box = page.locator("#lanes").bounding_box()
    assert box is not None
    found: dict[str, str] = {}
    for y in range(int(box["height"] * 0.6), int(box["height"]), 5):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + y)  # in the middle, at 5 s
        times, _, what = page.locator("#hint").inner_text().partition("\n")
        found[what.partition("(")[0]] = times
    assert found["report"] == "0:01.00 – 0:09.00"
    assert found["weather"] == "0:04.00 – 0:06.00"
    expect(page.locator(".turn.tool", has_text="report")).to_contain_text("8.00 s")
