"""The kernel's own buttons: an interrupt ends every wait at once, a restart leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import Kernel, kernel

pytestmark = pytest.mark.notebook

SILENT = """
import socket, sys, threading
from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.emulator.server.faults import StopReading

service = Emulator(pace=0, first_delay=3600.0)
service.start()
client = AzureRealTimeAudio(service.options())
client.wait_until_ready()
silence = socket.create_server(("127.0.0.1", 0))
patient = {"connect_timeout": 3600.0, "send_timeout": 3600.0, "max_send_backlog_bytes": 10_000_000}

def tell_when_inside():
    main, last = threading.main_thread().ident, None
    while True:
        frame = sys._current_frames()[main]
        place, frames = (id(frame), frame.f_lasti), []
        while frame is not None:
            frames.append(frame.f_code.co_filename)
            frame = frame.f_back
        if place == last and any("azure_rt_audio" in name for name in frames):
            print("inside")
            return
        last = place
        threading.Event().wait(0.05)
"""

WAITS = {
    "ask": "client.ask('Hello!', timeout=None)",
    "result": "client.create_response({'conversation': 'none'}).result(None)",
    "text": "list(client.create_response({'conversation': 'none'}).text(None))",
    "wait_for": "client.wait_for('response.done', timeout=None)",
    "events": "next(client.events('response.done'))",
    "wait_until_ready": "stuck.wait_until_ready(None)",
    "append_audio": "[unread.append_audio(bytes(480_000)) for _ in range(100_000)]",
}


@pytest.fixture(scope="module")
def silent(_own_directories: None) -> Iterator[Kernel]:
    """A kernel with a service that never answers."""
    with kernel() as running:
        running.ok(SILENT)
        yield running


@pytest.mark.parametrize("call", WAITS.values(), ids=WAITS.keys())
def test_an_interrupt_ends_a_wait(silent: Kernel, call: str) -> None:
    """KeyboardInterrupt ends the cell that waits, and the client is whole after it."""
    prepare = ""
    if "stuck" in call:
        address = '{**service.options(), "host_name": f"ws://127.0.0.1:{silence.getsockname()[1]}"}'
        prepare = f"stuck = AzureRealTimeAudio({address}, patient)\n"
    if "unread" in call:
        prepare = (
            "unread = AzureRealTimeAudio(service.options(), patient)\n"
            "unread.wait_until_ready()\nservice.inject(StopReading())\n"
        )
    cell = silent.start(f"{prepare}threading.Thread(target=tell_when_inside).start()\n{call}")
    silent.until(lambda: "inside" in cell.printed)
    silent.manager.interrupt_kernel()
    silent.finish(cell)

    assert cell.error == "KeyboardInterrupt"
    if not prepare:
        silent.ok("client.update_session({'instructions': 'Be brief.'}).result(10)")


def test_a_restart_leaves_nothing_behind(fresh: Kernel) -> None:
    """In the middle of an answer the process ends by itself, and the new kernel knows nothing of it."""
    fresh.ok("service.stop(); service = Emulator(pace=1); service.start()")
    fresh.ok("client = AzureRealTimeAudio(service.options())\nclient.on('*', lambda event: None);")
    fresh.ok("pending = client.create_response(); next(pending.audio());")
    provisioner = fresh.manager.provisioner
    assert provisioner is not None
    process = provisioner.process

    fresh.restart()

    assert process.returncode == 0
    assert fresh.threads() == []
