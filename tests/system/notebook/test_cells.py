"""Listeners in a real kernel: what they print, display and raise lands in the cell they come from."""

from __future__ import annotations

import pytest
from kernels import Kernel, new_id

pytestmark = pytest.mark.notebook

CLIENT = "client = AzureRealTimeAudio(service.options())\nclient.wait_until_ready()"
ASK = 'client.ask("Hello!").status'


def test_what_listeners_print_and_display_lands_in_the_cell_that_registered_them(notebook: Kernel) -> None:
    """Two listeners of two cells are each heard in their own while a third cell runs."""
    notebook.ok(CLIENT)
    first = notebook.ok(
        "from IPython.display import display\n"
        "import sys\n"
        "def first(event):\n"
        "    print('printed', 1)\n"
        "    print('complained', 1, file=sys.stderr)\n"
        "    display('displayed 1')\n"
        "client.on('response.done', first);"
    )
    second = notebook.ok(
        "@client.on('response.done')\n"
        "def second(event):\n"
        "    print('printed', 2)\n"
        "    display('displayed 2')\n"
    )
    asking = notebook.ok(ASK)
    notebook.until(lambda: first.displayed and second.displayed and first.complained)

    assert (first.printed, first.complained) == ("printed 1\n", "complained 1\n")
    assert first.displayed == ["'displayed 1'"]
    assert (second.printed, second.displayed) == ("printed 2\n", ["'displayed 2'"])
    assert (asking.printed, asking.complained, asking.displayed) == ("", "", [])
    assert asking.result["text/plain"] == "'completed'"


def test_the_error_of_a_listener_lands_in_the_cell_that_registered_it(notebook: Kernel) -> None:
    """Its traceback is printed there, and nowhere else."""
    notebook.ok(CLIENT)
    registering = notebook.ok("client.on('response.done', lambda event: 1 / 0);")
    asking = notebook.ok(ASK)
    notebook.until(lambda: "ZeroDivisionError" in registering.complained)

    assert "Traceback" in registering.complained
    assert (asking.printed, asking.complained) == ("", "")


def test_a_listener_made_by_a_listener_belongs_to_the_same_cell(notebook: Kernel) -> None:
    """The cell is handed on, whatever runs meanwhile."""
    notebook.ok(CLIENT)
    registering = notebook.ok(
        "from IPython.display import display\n"
        "def inner(event):\n"
        "    print('inner')\n"
        "    display('inner')\n"
        "client.once('response.created', lambda _: client.once('response.done', inner));"
    )
    asking = notebook.ok(ASK)
    notebook.until(lambda: registering.displayed and registering.printed)

    assert (registering.printed, registering.displayed) == ("inner\n", ["'inner'"])
    assert (asking.printed, asking.displayed) == ("", [])


def test_a_thousand_deltas_land_in_order_in_one_cell(notebook: Kernel) -> None:
    """Nothing of a flood is lost or strays."""
    notebook.ok(
        "service.stop(); service = Emulator(pace=0, responder=lambda c, s: 'word ' * 300); service.start()"
    )
    notebook.ok("client = AzureRealTimeAudio(service.options(), dispatcher=None)")
    listening = notebook.ok(
        "count = 0\n"
        "def note(event):\n"
        "    global count\n"
        "    count += 1\n"
        "    print(count)\n"
        "client.on('*', note);"
    )
    asking = notebook.ok(ASK)
    notebook.ok("client.close()")
    total = notebook.value("count")
    notebook.until(lambda: len(listening.printed.splitlines()) >= total)

    assert total > 300
    assert listening.printed == "".join(f"{number}\n" for number in range(1, total + 1))
    assert asking.printed == ""


@pytest.mark.parametrize("has_ids", [True, False], ids=["cells with ids", "cells without"])
def test_a_cell_that_is_run_ten_times_leaves_one_client(notebook: Kernel, has_ids: bool) -> None:
    """Each run closes the client of the one before, although IPython's history holds them all."""
    cell_id = new_id() if has_ids else None
    code = f"{CLIENT}\nclient.on('response.done', lambda _: client)\nclient"
    for _ in range(10):
        notebook.ok(code, cell_id)
    notebook.ok(ASK)

    assert [name.rpartition("-")[0] for name in notebook.threads()] == ["azure-rt-events", "azure-rt-reader"]
    notebook.ok("client.close()")
    assert notebook.threads() == []


def test_a_cell_may_make_several_clients(notebook: Kernel) -> None:
    """They live beside each other; the next run closes them all."""
    code = "pair = [AzureRealTimeAudio(service.options()) for _ in range(2)]"
    notebook.ok(code, "pair")
    notebook.ok("first = pair; [client.wait_until_ready() for client in pair]")
    assert notebook.value("[client.state.name for client in first]") == ["OPEN", "OPEN"]

    notebook.ok(code, "pair")
    assert notebook.value("[client.state.name for client in first]") == ["CLOSED", "CLOSED"]
    notebook.ok("[client.wait_until_ready() for client in pair]")
    assert notebook.value("[client.state.name for client in pair]") == ["OPEN", "OPEN"]


def test_a_second_client_of_another_cell_lets_the_first_one_go(notebook: Kernel) -> None:
    """It was a result and is in IPython's history, but no variable names it any more."""
    notebook.ok(f"{CLIENT}\nclient")
    notebook.ok("import weakref; first = weakref.ref(client)")
    notebook.ok("other = AzureRealTimeAudio(service.options()); other.wait_until_ready()")
    notebook.ok("client = other")
    notebook.ok("import gc; gc.collect();")

    assert notebook.value("first() is None")
    assert notebook.value("client.state.name") == "OPEN"


def test_what_the_program_holds_is_not_taken_from_it(notebook: Kernel) -> None:
    """A client in a list lives on when its variable is given another one."""
    notebook.ok(f"{CLIENT}\nclient")
    notebook.ok("kept = [client]")
    notebook.ok("client = AzureRealTimeAudio(service.options())")
    notebook.ok("import gc; gc.collect();")

    assert notebook.value("kept[0].state.name") == "OPEN"


def test_a_running_event_loop_does_no_harm(notebook: Kernel) -> None:
    """In a cell with top-level await everything that waits works, and makes no loop."""
    notebook.ok("import asyncio\nawait asyncio.sleep(0)\nloop = asyncio.get_running_loop()")
    notebook.ok(f"await asyncio.sleep(0)\n{CLIENT}\nanswer = {ASK}\nawait asyncio.sleep(0)")
    notebook.ok("%gui asyncio")
    notebook.ok(f"again = {ASK}")
    notebook.ok("await asyncio.sleep(0)\nsame = asyncio.get_running_loop() is loop")

    assert notebook.value("(answer, again, same)") == ("completed", "completed", True)
