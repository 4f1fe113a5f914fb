"""A recording over several connections: what was lost and said again is told, and nothing of it twice."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG, NO_VAD
from made_recordings import Made, tone

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._cli.replay.script import script
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.recording import Opened, Reconnected, Reconnecting, Recording
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.document import document
from azure_rt_audio.recording.page.rows import rows
from azure_rt_audio.recording.reconnections import with_reason


def test_a_client_that_connects_again(tmp_path: Path, dialect: str) -> None:
    """One recording holds both connections, and what became of the conversation between them."""
    path = tmp_path / "a.rta"
    with Emulator(pace=0) as service:
        options = service.options(dialect, session_config=NO_VAD)
        with AzureRealTimeAudio(options, record=path, reconnect={"initial_delay": 0.01}) as client:
            assert client.ask("How is it?", timeout=HANG).text
            with client.events("reconnecting", "reconnected", timeout=HANG) as events:
                service.drop()
                told: list[Any] = [next(events), next(events)]
            assert client.ask("And now?", timeout=HANG).text

    recording = Recording.load(path)
    entries = [e for e in recording.entries if isinstance(e, Opened | Reconnecting | Reconnected)]
    assert [type(entry) for entry in entries] == [Opened, Reconnecting, Opened, Reconnected]
    lost, restored = entries[1], entries[3]
    assert isinstance(lost, Reconnecting)
    assert isinstance(restored, Reconnected)
    assert (lost.attempt, lost.reason) == (told[0].attempt, told[0].reason)
    assert (restored.connection, restored.restored) == (2, told[1].restored)
    assert (restored.lost, restored.shortened, restored.responses) == ({}, {}, {})

    timeline = analyse(recording)
    turns = [(turn.role, turn.text) for turn in timeline.turns]
    assert [text for role, text in turns if role == "user"] == ["How is it?", "And now?"]
    assert len(turns) == 4
    assert len(timeline.latencies) == 2
    (change,) = timeline.reconnections
    assert (change.attempts, change.connection, change.restored) == (1, 2, told[1].restored)
    assert [one["end"] is None for one in document(recording, timeline)["reconnections"]] == [False]

    shown = [line.text for line in script(timeline)]
    assert any(t.startswith("connected again after") and "2 restored, nothing lost" in t for t in shown)
    kinds = {row[3]: row[4] for row in rows(recording)}
    assert kinds["reconnecting"].endswith("(attempt 1): the connection was lost")
    assert kinds["reconnected"].endswith(": 2 restored, nothing lost")


def cut_while_speaking(*, again: float) -> Made:
    """The user speaks from second 1 to 4; the line is down from 2 to 3, and *again* seconds are repeated."""
    made = Made().add(0.0, "opened", connection=1)
    for tick in range(1, 21):
        made.said(0.1 * tick, tone(0.1))
    made.received(1.3, "input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=1_000)
    made.add(2.0, "closed", connection=1, code=1006, error="ConnectionClosedError", message="it broke")
    made.add(2.0, "reconnecting", attempt=1, delay_s=0.9, reason="it broke")
    made.add(3.0, "opened", connection=2)
    for _ in range(round(again / 0.1)):
        made.said(3.0, tone(0.1), connection=2)
    made.add(3.0, "reconnected", connection=2, gap_s=1.0, reason="it broke")
    for tick in range(31, 46):
        made.said(0.1 * tick, tone(0.1), connection=2)
    second: dict[str, Any] = {"item_id": "item_2", "connection": 2}
    made.received(3.2, "input_audio_buffer.speech_started", audio_start_ms=0, **second)
    made.received(4.5, "input_audio_buffer.speech_stopped", audio_end_ms=3_000, **second)
    made.received(4.5, "input_audio_buffer.committed", **second)
    return made


def test_what_was_said_is_where_it_was_said() -> None:
    """Sound that a second connection is sent at once was said before, and stands there once."""
    timeline = analyse(cut_while_speaking(again=2.0).recording)

    clips = timeline.said.clips
    assert timeline.said.end == pytest.approx(4.5)
    assert sum(clip.seconds for clip in clips) == pytest.approx(4.5)
    assert all(one.end <= other.start + 1e-6 for one, other in itertools.pairwise(clips))
    (turn,) = timeline.turns
    assert (turn.item_id, turn.start, turn.end) == ("item_2", pytest.approx(1.0), pytest.approx(4.0))
    assert [speech.item_id for speech in timeline.speech] == ["item_2"]


def test_sound_that_was_not_kept_is_a_gap() -> None:
    """What was said while there was no connection, and was more than is kept, is silence."""
    said = analyse(cut_while_speaking(again=0.5).recording).said

    assert sum(clip.seconds for clip in said.clips) == pytest.approx(4.0)
    assert said.end == pytest.approx(4.5)
    assert b"".join(said.blocks(2.45, 2.05)).strip(b"\0") == b""


def test_an_answer_that_was_cut_off_says_so() -> None:
    """Its turn has what became of it; the items that the service is given again are no turns."""
    made = Made().add(0.0, "opened", connection=1)
    made.words(1.0, "It is ").delta(1.0, tone(0.5))
    made.add(2.0, "reconnecting", attempt=1, delay_s=0.1, reason="it broke")
    made.add(2.1, "reconnecting", attempt=2, delay_s=0.1, reason="nobody answered")
    made.add(3.0, "opened", connection=2)
    item = {"id": "other", "type": "message", "role": "user", "content": [{"type": "text", "text": "How?"}]}
    made.received(3.0, "conversation.item.added", connection=2, item=item)
    made.add(3.1, "reconnected", connection=2, gap_s=1.1, reason="it broke", responses={"resp_1": "lost"})
    made.add(4.0, "reconnecting", attempt=1, delay_s=0.1, reason="it broke again")
    timeline = analyse(made.recording)

    assert [(turn.role, turn.status) for turn in timeline.turns] == [("assistant", "lost")]
    first, second = timeline.reconnections
    assert (first.start, first.end, first.attempts, first.reason) == (2.0, 3.1, 2, "it broke")
    assert (second.start, second.end) == (4.0, None)


def test_attempts_that_failed_are_no_connections() -> None:
    """A loss that was mended is told once, as such; the last one of those that were not is a failure."""
    made = Made().add(0.0, "opened", connection=1)
    for number, (at, reason) in enumerate([(2.0, "it broke"), (2.5, "nobody answered")], 1):
        made.add(at, "closed", connection=number, error="ConnectError", message=reason)
        made.add(at, "reconnecting", attempt=number, delay_s=0.1, reason=reason)
    made.add(3.0, "opened", connection=3)
    made.add(3.1, "reconnected", connection=3, gap_s=1.1, reason="it broke")
    mended = analyse(made.recording)
    made.add(4.0, "closed", connection=3, error="ConnectionClosedError", message="it broke for good")
    given_up = analyse(made.recording)

    assert [one.was_made for one in mended.connections] == [True, False, True]
    assert mended.failures == []
    told = "it broke; connected again after 1.1 s: 0 restored, nothing lost (2 attempts)"
    assert with_reason(mended.reconnections[0]) == told
    shown = [line.text for line in script(mended)]
    assert "connection 2 could not be made: nobody answered" in shown
    assert "connection 2 is open" not in shown
    assert [failure.message for failure in given_up.failures] == ["it broke for good"]
