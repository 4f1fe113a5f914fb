"""The room itself: what is said is recorded, what is played is heard, and nothing is left of it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from array import array
from pathlib import Path

import pytest
from sound.room import RATE_HZ, Room

pytestmark = pytest.mark.sound


def tone(seconds: float, hz: float = 440.0, level: float = 0.3) -> bytes:
    """Return a sine."""
    step = 2 * math.pi * hz / RATE_HZ
    return array(
        "h", [round(32767 * level * math.sin(step * n)) for n in range(int(seconds * RATE_HZ))]
    ).tobytes()


def test_what_is_said_is_recorded(room: Room) -> None:
    """Sound that is said into the microphone can be recorded there, all of it."""
    with room.listen("micpipe") as heard:
        assert room.say(tone(0.5)).wait(10) == 0
        heard.wait_for_silence()

    assert abs(len(heard.sound) / 2 - 0.5 * RATE_HZ) < 0.01 * RATE_HZ


def test_an_echo_is_weaker_and_later(room: Room) -> None:
    """With an echo the microphone hears the loudspeaker, by so much weaker."""
    room.add_sink("spk2")
    with room.echo(loss_db=20), room.listen("micpipe") as heard:
        play = [
            "pacat",
            "--playback",
            "--raw",
            "--rate=24000",
            "--channels=1",
            "--format=s16le",
            "--device=spk",
        ]
        subprocess.run(play, input=tone(0.6), check=True, timeout=20)
        heard.wait_for_silence()

    peak = max(array("h", heard.sound)[RATE_HZ // 10 : RATE_HZ // 2])
    assert abs(20 * math.log10(peak / (32767 * 0.3)) + 20) < 1


def test_nothing_is_left_when_the_tests_are_killed(tmp_path: Path) -> None:
    """When a process with a room is killed, its daemons and its directory go."""
    script = (
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from sound.room import Room\n"
        "with Room() as room:\n"
        "    print(room.place, room._keeper.pid, flush=True)\n"
        "    threading.Event().wait(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parents[1])], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        place, keeper = process.stdout.readline().split()
        daemons = _children(int(keeper))
        process.kill()

    pause = threading.Event()
    for _ in range(500):
        if not Path(place).exists() and not any(Path(f"/proc/{pid}").exists() for pid in daemons):
            break
        pause.wait(0.02)
    assert not Path(place).exists()
    assert [pid for pid in daemons if Path(f"/proc/{pid}").exists()] == []
    assert len(daemons) == 4


def test_nothing_is_left_when_the_keeper_is_killed() -> None:
    """When the keeper of the daemons is killed, the kernel kills the daemons."""
    with Room() as room:
        assert room._keeper is not None
        daemons = _children(room._keeper.pid)
        os.kill(room._keeper.pid, signal.SIGKILL)

    pause = threading.Event()
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in daemons):
            break
        pause.wait(0.02)
    assert [pid for pid in daemons if Path(f"/proc/{pid}").exists()] == []
    assert len(daemons) == 4


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
