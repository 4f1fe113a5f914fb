"""The notebook as its reader sees it: in JupyterLab, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from lab import page, run_all

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.notebook

CELLS = [
    "from azure_rt_audio import AzureRealTimeAudio\n"
    "from azure_rt_audio.emulator import Emulator\n"
    "service = Emulator(pace=1, responder=lambda c, s: 'Once <b>upon</b> a time ' * 50)\n"
    "service.start()",
    "client = AzureRealTimeAudio(service.options())\n"
    "client.display()\n"
    "client.on('response.done', lambda event: print('a listener heard', event.response.status));",
    "response = client.ask('Tell me a story.')\nresponse",
    "client.close()",
    "from azure_rt_audio import Tool\n"
    "from azure_rt_audio.emulator import FunctionCall, Reply\n"
    "def reply(conversation, session):\n"
    "    last = conversation.items[-1]\n"
    "    return last.output or Reply(calls=(FunctionCall('pay', {'amount': 5}),))\n"
    "def pay(amount: int) -> str:\n"
    "    return f'paid {amount}'\n"
    "bank = Emulator(pace=0, responder=reply)\n"
    "bank.start()\n"
    "payer = AzureRealTimeAudio(bank.options(), tools=[Tool(pay, needs_approval=True)])\n"
    "payer.display()",
    "payer.ask('Pay, please.').text",
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with these cells, which all wait to be run."""
    import nbformat

    notebook = tmp_path_factory.mktemp("page") / "story.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), notebook)
    with page(notebook) as opened:
        yield opened


def test_the_view_is_live_and_its_stop_button_works_while_a_cell_waits(opened: Page) -> None:
    """
    The cell with the view shows what the waiting cell below causes; the button there ends the waiting, and
    what a listener prints appears beside the view. When the client is closed, a picture of the view remains.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    cells = opened.locator(".jp-Cell")
    view = cells.nth(1).locator(".azure-rt-view")
    run_all(opened)

    expect(view).to_contain_text("speaking")
    expect(view).to_contain_text("Tell me a story.")
    expect(view).to_contain_text("Once <b>upon</b> a time Once <b>upon</b> a time")
    view.get_by_role("button", name="Stop").click()
    expect(cells.nth(2).locator(".jp-OutputArea-executeResult")).to_contain_text("cancelled")
    expect(cells.nth(2).locator("audio")).to_have_count(1)
    expect(cells.nth(1)).to_contain_text("a listener heard cancelled")

    expect(cells.nth(3).locator(".jp-OutputArea-output")).to_contain_text("True")
    expect(view).to_have_count(0)
    expect(cells.nth(1).locator(".jp-RenderedHTML")).to_contain_text("closed")
    expect(cells.nth(1).locator(".jp-RenderedHTML")).to_contain_text("Tell me a story.")


def test_a_tool_is_allowed_by_a_button_while_a_cell_waits(opened: Page) -> None:
    """The row with the question and its buttons is there as long as it is asked, and no longer."""
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    cells = opened.locator(".jp-Cell")
    view = cells.nth(4).locator(".azure-rt-view")
    expect(view).to_contain_text('May it run? pay({"amount": 5})')
    view.get_by_role("button", name="Allow").click()
    expect(cells.nth(5).locator(".jp-OutputArea-executeResult")).to_contain_text("paid 5")
    expect(view.get_by_role("button", name="Allow")).to_be_hidden()


def test_the_picture_takes_the_colours_of_the_theme(opened: Page) -> None:
    """Its text is as light as the dark theme's text is."""
    picture = opened.locator(".jp-Cell").nth(1).locator(".jp-RenderedHTML strong").first
    opened.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    opened.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    colour = picture.evaluate("element => getComputedStyle(element).color")
    red, green, blue = (float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3])

    assert min(red, green, blue) > 150
