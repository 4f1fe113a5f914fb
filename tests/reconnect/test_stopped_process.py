"""A program that is stopped, as on a machine that is suspended, while its session ends: it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from cli_runner import environment
from listeners import HANG

from azure_rt_audio.emulator import Emulator, Faults

PROGRAM = """
import json, sys
from azure_rt_audio import AzureRealTimeAudio

client = AzureRealTimeAudio(json.loads(sys.argv[1]), reconnect={"initial_delay": 0.02, "swap_before_s": None})
client.on("reconnected", lambda event: print("reconnected", event.is_planned, event.lost, flush=True))
for line in sys.stdin:
    print("answered", bool(client.ask(line.strip(), timeout=20).text), flush=True)
print("closed", client.close(2), flush=True)
"""


def heard(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program says."""
    assert process.stdout is not None
    alarm = threading.Timer(4 * HANG, process.kill)
    alarm.start()
    try:
        return process.stdout.readline().strip()
    finally:
        alarm.cancel()
        alarm.join()


def say(process: subprocess.Popen[str], line: str) -> None:
    """Have a program ask something."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


@pytest.mark.skipif(os.name != "posix", reason="stops processes by signals")
def test_a_session_that_expires_while_the_program_is_stopped(dialect: str) -> None:
    """The program hears of the end when it goes on, and its conversation goes on in another session."""
    with Emulator(pace=0, faults=Faults(session_seconds=3.0)) as service:
        given = json.dumps(service.options(dialect))
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process:
            try:
                say(process, "one")
                assert heard(process) == "answered True"
                process.send_signal(signal.SIGSTOP)
                service.faults.session_seconds = 3600.0
                assert service.connections[0].wait_closed(2 * HANG)
                process.send_signal(signal.SIGCONT)
                assert heard(process) == "reconnected False {}"
                say(process, "two")
                assert heard(process) == "answered True"
                out, _ = process.communicate(timeout=4 * HANG)
            finally:
                process.kill()  # does nothing to one that has ended
        conversation = service.connections[-1]._engine.conversation

        assert out == "closed True\n"
        assert [item.text for item in conversation][::2] == ["one", "two"]
