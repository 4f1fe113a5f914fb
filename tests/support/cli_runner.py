"""Runs the command line in a process of its own, on pipes or on a terminal."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import azure_rt_audio
from azure_rt_audio.emulator import Emulator

SECONDS = 40.0
"""Hang bound of a whole command."""

VARIABLES = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT")

_SLICE_SECONDS = 0.2

# Whoever started the tests may ignore Ctrl-C, and children inherit that.
HEED_CTRL_C = (
    [
        "-c",
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
    ]
    if os.name == "posix"
    else []
)

_ON_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for descriptor in (0, 1, 2):
    os.dup2(terminal, descriptor)
os.execv(sys.executable, [sys.executable, "-W", "error", *sys.argv[2:]])
"""


def environment(**variables: str) -> dict[str, str]:
    """
    This process's environment without an Azure resource and without a taste for colours.

    Programs are not found in it, so that the emulator's voice is the same on every machine: its tones.
    """
    unwanted = {*VARIABLES, "NO_COLOR", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    package = str(Path(azure_rt_audio.__file__).parents[1])
    return {
        **kept,
        "PYTHONPATH": package,
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "100",
        "PATH": "",
        **variables,
    }


def from_emulator(service: Emulator, **changes: str) -> dict[str, str]:
    """The environment that leads a command to *service*."""
    options = service.options()
    return {
        "AZURE_OPENAI_ENDPOINT": options["host_name"],
        "AZURE_OPENAI_API_KEY": options["api_key"],
        "AZURE_OPENAI_DEPLOYMENT": options["deployment"],
        "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT": "gpt-4o-transcribe",
        **changes,
    }


NOTICE = "an emulator in this process answers, not Azure"
"""What all commands say on standard error that use one; see ``test_cli_invented.py``."""


def without_notice(lines: str) -> str:
    """Return what a command says on standard error beside the notice of the emulator and its remedies."""
    kept = lines.splitlines(keepends=True)
    return "".join(line for line in kept if NOTICE not in line and ": for sp" not in line)


def run(
    *arguments: str,
    cwd: Path,
    stdin: str = "",
    code: str | None = None,
    has_notice: bool = False,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """
    Run a command to its end.

    Args:
        code: Replaces ``-m azure_rt_audio``.
        has_notice: Whether the notice of the emulator is kept.
    """
    start = ("-m", "azure_rt_audio") if code is None else ("-c", code)
    done = subprocess.run(
        [sys.executable, "-W", "error", *start, *arguments],
        cwd=cwd,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    if not has_notice:
        done.stderr = without_notice(done.stderr)
    return done


class Background:
    """A command that goes on until it is told to stop; its lines can be waited for."""

    def __init__(self, *arguments: str, cwd: Path, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *HEED_CTRL_C, "-W", "error", "-m", "azure_rt_audio", *arguments],
            cwd=cwd,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news: queue.Queue[None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Sequence[str], lines: list[str]) -> None:
        for line in pipe:
            lines += [kept.rstrip("\n") for kept in [line] if without_notice(kept)]
            self._news.put(None)
        self._news.put(None)

    def wait_for(self, text: str) -> str:
        """Block until a line of either stream holds *text*, and return it."""
        deadline = time.monotonic() + SECONDS
        while True:
            for line in (*self.out, *self.err):
                if text in line:
                    return line
            has_ended = not any(reader.is_alive() for reader in self._readers)
            try:
                self._news.get(timeout=0 if has_ended else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {text!r} came in {self.out} or {self.err}") from None

    def wait(self) -> int:
        """Block until it has ended, and return its exit code."""
        code = self.process.wait(SECONDS)
        for reader in self._readers:
            reader.join(5)
        return code

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Terminal:
    """A command on a terminal of its own, with somebody at the keyboard. POSIX only."""

    def __init__(self, *arguments: str, cwd: Path, **variables: str) -> None:
        import pty

        self._keyboard, screen = pty.openpty()
        self._poll = select.poll()  # select() takes no descriptor above 1023
        self._poll.register(self._keyboard, select.POLLIN)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, os.ttyname(screen), "-m", "azure_rt_audio", *arguments],
            cwd=cwd,
            env=environment(TERM="xterm", **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._screen = screen  # kept open: a terminal nobody has open yet would read as ended
        self.shown = ""
        self._seen = 0

    def discipline(self) -> list[Any]:
        """How the terminal treats what is typed and shown, as ``stty`` tells it."""
        import termios

        return termios.tcgetattr(self._screen)

    def press(self, keys: str) -> None:
        """Type; ``"\\x03"`` is Ctrl-C, ``"\\x04"`` is Ctrl-D."""
        os.write(self._keyboard, keys.encode())

    def press_until(self, text: str, keys: str) -> None:
        """
        Type, and every five seconds again, until *text* is shown.

        For Ctrl-C at a prompt: Python shows it and then begins to wait for a key, and what comes between the
        two is heeded at the next key only. A person is never that quick.
        """
        for seconds in (5.0, 5.0, SECONDS):
            self.press(keys)
            with contextlib.suppress(AssertionError):
                self.wait_for(text, seconds)
                return
        raise AssertionError(f"no {text!r} was shown after {self.shown!r}")

    def wait_for(self, text: str, seconds: float = SECONDS) -> str:
        """Block until *text* is shown, after what was waited for before; return everything up to it."""
        deadline = time.monotonic() + seconds
        while (found := self.shown.find(text, self._seen)) < 0:
            has_ended = self.process.poll() is not None or time.monotonic() > deadline
            ready = self._poll.poll(1000 * _SLICE_SECONDS)
            if ready:
                self.shown += os.read(self._keyboard, 4096).decode(errors="replace")
            elif has_ended:
                raise AssertionError(f"no {text!r} was shown after {self.shown!r}")
        start, self._seen = self._seen, found + len(text)
        return self.shown[start : self._seen]

    def wait(self) -> int:
        """Read what is shown until the command has ended, and return its exit code."""
        deadline = time.monotonic() + SECONDS
        while True:
            has_ended = self.process.poll() is not None or time.monotonic() > deadline
            ready = self._poll.poll(0 if has_ended else 1000 * _SLICE_SECONDS)
            if ready:
                self.shown += os.read(self._keyboard, 4096).decode(errors="replace")
            elif has_ended:
                return self.process.wait(0)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        os.close(self._keyboard)
        os.close(self._screen)
