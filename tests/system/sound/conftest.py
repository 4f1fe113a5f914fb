"""
Tests with real sound: ``tox -e sound``, or ``pytest -m sound tests/system/sound``.

A file of such tests lives here, is named ``test_sound_*.py`` and says ``pytestmark = pytest.mark.sound``.
Its tests take the fixture ``room``::

    def test_an_answer_is_heard(room: Room) -> None:
        with room.listen() as heard, Speaker() as speaker:  # or Speaker("spk"): the same device
            speaker.play(pcm)
            heard.wait_for_sound()
            heard.wait_for_silence(ms=400)
        assert recogniser(heard.sound) == "hello"

    def test_a_question_is_understood(room: Room) -> None:
        with Microphone() as microphone:
            room.say(pcm).wait(10)

* ``room.say(pcm)`` speaks into the microphone (``mic``, the default input) and returns a process to wait for;
* ``room.listen()`` records the loudspeaker (``spk``, the default output);
* ``with room.echo(delay_ms=40, loss_db=12):`` the microphone hears the loudspeaker;
* ``room.add_sink("spk2")``, ``remove_sink("spk")``, ``suspend_sink``, ``make_default``: devices come and go;
  with ``room.pinned():`` a stream that is opened in the block dies with its device instead of being moved;
* ``room.freeze()`` and ``thaw()`` stall every stream, ``crash()`` and ``restart()`` lose them;
* ``room.environment`` is what a process needs to be in the room; the test's own process is.

All audio is PCM16, mono, 24 kHz. One room serves all tests of a process, and is furnished anew before each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from debian import has_library
from sound.install import LIBRARIES, PROGRAMS
from sound.room import Room


@pytest.fixture(scope="session")
def _the_room() -> Iterator[Room]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    missing += [library for library in LIBRARIES if not has_library(library)]
    if missing:
        pytest.fail(f"{', '.join(missing)} missing; run: python tests/system/sound/install.py")
    with Room() as room, pytest.MonkeyPatch.context() as patch:
        for name, value in room.environment.items():
            if name != "HOME":
                patch.setenv(name, value)
        patch.delenv("PULSE_PROP", raising=False)
        yield room


@pytest.fixture
def room(_the_room: Room) -> Room:
    """A room with sound; see above."""
    _the_room.furnish()
    return _the_room
