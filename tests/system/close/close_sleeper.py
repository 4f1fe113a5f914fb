"""A program that is stopped and goes on, as on a machine that is suspended."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
import threading
from types import TracebackType

from cli_runner import environment
from close_service import Service
from listeners import HANG

SLEEPER = """
import json, logging, sys, threading
from azure_rt_audio import *

options, interval, timeout = json.loads(sys.argv[1])

class Pings(logging.Handler):
    def emit(self, record):
        if record.getMessage().endswith(" ping"):
            print("ping", flush=True)

logging.getLogger("azure_rt_audio").setLevel("DEBUG")
logging.getLogger("azure_rt_audio").addHandler(Pings())
client = AzureRealTimeAudio(options, {"ping_interval": interval, "ping_timeout": timeout}, reconnect=None)
client.wait_until_ready(5)
client.on("closed", lambda event: print("closed", event.error, flush=True))
print("ready", flush=True)
for line in sys.stdin:
    try:
        print("works", client.clear_audio_buffer().result(5).type, flush=True)
    except RealtimeError as exc:
        print("fails", exc, flush=True)
client.close(0.2)
"""


class Sleeper:
    """
    A program with a client, which can be put to sleep.

    Args:
        interval: Seconds of silence before it pings.
        timeout: Seconds it then waits for an answer.
    """

    def __init__(self, service: Service, interval: float, timeout: float) -> None:
        given = json.dumps([service.options(), interval, timeout])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(SLEEPER), given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def __enter__(self) -> Sleeper:
        try:
            self.hear("ready")
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGCONT)
        if exc is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.communicate(timeout=2 * HANG)
                return
        self._kill()
        assert exc is not None, "the program does not end"

    def _kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=2 * HANG)

    def hear(self, wanted: str) -> str:
        """Return the next line that begins with a word; nothing but pings may come before."""
        assert self.process.stdout is not None
        alarm = threading.Timer(2 * HANG, self.process.kill)
        alarm.start()
        try:
            while True:
                line = self.process.stdout.readline().strip()
                if line.startswith(wanted):
                    return line
                assert line == "ping", line
        finally:
            alarm.cancel()
            alarm.join()

    def stop(self) -> None:
        """Stop the program where it stands."""
        self.process.send_signal(signal.SIGSTOP)

    def sleep(self, seconds: float) -> None:
        """Stop the program where it stands, and let it go on after some seconds."""
        self.stop()
        threading.Event().wait(seconds)
        self.process.send_signal(signal.SIGCONT)

    def work(self) -> str:
        """Have the program ask the service for something, and return what came of it."""
        assert self.process.stdin is not None
        self.process.stdin.write("work\n")
        self.process.stdin.flush()
        return self.hear("works")
