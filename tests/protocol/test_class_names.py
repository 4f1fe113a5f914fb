"""Classes of events and commands are named after their wire names, by rule."""

from __future__ import annotations

import re
from typing import Any

import pytest
from catalogues import CLIENT_SECTIONS, SERVER_SECTIONS, events
from reading import COMMAND_CLASSES

from azure_rt_audio import events as public
from azure_rt_audio.protocol import commands
from azure_rt_audio.protocol import events as hearing
from azure_rt_audio.protocol.commands import Command
from azure_rt_audio.protocol.dialects import canonical_name
from azure_rt_audio.protocol.events import EVENT_CLASSES, Event, PartEvent, UnknownEvent
from azure_rt_audio.protocol.events.local import LOCAL_EVENTS

SERVER_NAMES = sorted({name for _, _, name in events(*SERVER_SECTIONS)})
CLIENT_NAMES = sorted({name for _, _, name in events(*CLIENT_SECTIONS)})


def by_rule(wire_name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", wire_name))


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_a_server_event_is_named_by_rule(name: str) -> None:
    """``response.output_audio.delta`` → ``ResponseOutputAudioDelta``: by GA's name, in both dialects."""
    cls = getattr(hearing, by_rule(canonical_name(name)))

    assert issubclass(cls, Event)
    assert canonical_name(name) == cls.TYPE
    assert by_rule(canonical_name(name)) == cls.__name__
    assert cls is EVENT_CLASSES[canonical_name(name)]
    assert cls.__name__ in hearing.__all__


@pytest.mark.parametrize("name", CLIENT_NAMES)
def test_a_client_event_is_named_by_rule(name: str) -> None:
    """``session.update`` → ``SessionUpdate``."""
    cls = getattr(commands, by_rule(name))

    assert issubclass(cls, Command)
    assert name == cls.TYPE
    assert by_rule(name) == cls.__name__
    assert cls is COMMAND_CLASSES[name]
    assert cls.__name__ in commands.__all__


def test_there_are_no_other_classes() -> None:
    """Each class of an event or a command has a wire name by rule, but for roots and the unknown event."""
    for module, root in ((hearing, Event), (commands, Command)):
        for name in module.__all__:
            cls = getattr(module, name)
            if isinstance(cls, type) and issubclass(cls, root) and cls not in (root, PartEvent, UnknownEvent):
                assert name == by_rule(cls.TYPE)


def test_all_events_are_public() -> None:
    """``from azure_rt_audio.events import *`` gives events and their parts, and nothing else."""
    names: dict[str, Any] = {}
    exec("from azure_rt_audio.events import *", names)
    given = {name for name in names if not name.startswith("__")}

    assert given == set(public.__all__) == {*hearing.__all__, *(cls.__name__ for cls in LOCAL_EVENTS)}
    assert given >= {cls.__name__ for cls in EVENT_CLASSES.values()}
    assert all(isinstance(names[name], type) for name in given)
