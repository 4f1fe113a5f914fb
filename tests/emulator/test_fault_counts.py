"""Faults that are added while a client is connected: they count from then on."""

from __future__ import annotations

import pytest

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Drop, Emulator, Faults, Say, after, before, on_command
from azure_rt_audio.emulator.server.faults import Rule


@pytest.mark.parametrize(
    "rule",
    [
        after("response.done", Drop()),
        after("response.done", Drop(), count=2),
        after("response.audio_transcript.delta", Drop()),
        before("response.created", Drop()),
        on_command("response.create", Drop()),
    ],
    ids=lambda rule: f"{rule.moment} {rule.name} {rule.count}",
)
def test_what_was_sent_before_a_fault_was_added_does_not_count(rule: Rule) -> None:
    """A rule that had counted from the connection's beginning never happened, and the test tested nothing."""
    with Emulator(pace=0) as service, AzureRealTimeAudio(service.options()) as client:
        client.ask("Hi")
        client.ask("Hi")
        with client.events("reconnected", timeout=20) as events:
            service.faults.add(rule)
            for _ in range(rule.count or 1):
                client.create_response()
            assert next(events)


def test_the_event_that_is_being_sent_does_not_count() -> None:
    """A rule that is added when a client has an event, but its connection has not gone on yet."""
    faults = Faults()
    counts: dict[tuple[int, str], int] = {}
    latest = faults.latest
    assert faults.due("before", "response.done", counts) == []
    faults.add(after("response.done", Drop()))
    assert faults.due("after", "response.done", counts, until=latest) == []
    assert faults.due("after", "response.done", counts, until=faults.latest) == [Drop()]


def test_rules_count_on_each_connection_for_themselves() -> None:
    """Two rules for one event, the second of which was added after the event had passed once."""
    first, second = Say({"type": "a"}), Say({"type": "b"})
    faults = Faults(after("response.done", first, count=2, times=None))
    one: dict[tuple[int, str], int] = {}
    other: dict[tuple[int, str], int] = {}
    assert faults.due("after", "response.done", one) == []
    faults.add(after("response.audio.delta", second), after("response.done", second))
    assert faults.due("after", "response.done", one) == [first, second]
    assert faults.due("after", "response.done", other) == []
    assert faults.due("after", "response.done", other) == [first]
