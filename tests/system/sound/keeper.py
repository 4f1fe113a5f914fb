"""
Keep the daemons of a room running as long as somebody holds the other end of standard input.

A process of its own, so that they end when the tests die in whatever way: with the last holder of the
pipe this process ends, and takes the daemons with it; should it be killed, the kernel kills them.

Each line of standard input is a command, ``VERB DAEMON``, answered by a line: ``start``, ``kill``,
``freeze``, ``thaw``, ``hasten`` (to real time) or ``calm``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

DAEMONS = {
    "dbus-daemon": ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:path={room}/bus"],
    "pipewire": ["pipewire"],
    "wireplumber": ["wireplumber"],
    "pipewire-pulse": ["pipewire-pulse"],
}
"""In the order of starting."""

SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}

PRIORITIES = {
    "hasten": (os.SCHED_FIFO, os.sched_param(1)),
    "calm": (os.SCHED_OTHER, os.sched_param(0)),
}


def start(name: str, room: Path) -> subprocess.Popen[bytes]:
    """Start a daemon that the kernel kills when this process has ended."""
    command = [part.format(room=room) for part in DAEMONS[name]]
    with (room / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def main() -> None:
    """Serve until standard input ends."""
    room = Path(os.environ["XDG_RUNTIME_DIR"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the tests; they close the pipe
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for line in sys.stdin:
            verb, name = line.split()
            if verb == "start":
                running[name] = start(name, room)
            elif name in running and verb in PRIORITIES:
                for thread in os.listdir(f"/proc/{running[name].pid}/task"):
                    with contextlib.suppress(OSError):  # where that is not allowed
                        os.sched_setscheduler(int(thread), *PRIORITIES[verb])
            elif name in running:
                running[name].send_signal(SIGNALS[verb])
                if verb == "kill":
                    running.pop(name).wait()
            print("done", flush=True)  # noqa: T201
    finally:
        for process in reversed(running.values()):
            process.kill()
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
