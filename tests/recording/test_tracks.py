"""Where sound lies: what was said ends when it was sent, what was heard lies where the speaker played it."""

from __future__ import annotations

from typing import Any

import pytest
from made_recordings import Made, tone

from azure_rt_audio.audio import duration_ms, ulaw_encode
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.timeline import Timeline
from azure_rt_audio.recording.tracks import Track


def spans(track: Track) -> list[tuple[float, float]]:
    """When sound lies in a track, clips that follow each other as one."""
    found: list[tuple[float, float]] = []
    for clip in track.clips:
        if found and abs(clip.start - found[-1][1]) < 0.001:
            found[-1] = (found[-1][0], round(clip.end, 3))
        else:
            found.append((round(clip.start, 3), round(clip.end, 3)))
    return found


def analysed(made: Made) -> Timeline:
    """The timeline of what was made."""
    return analyse(made.recording)


def test_what_was_said_ends_when_it_was_sent() -> None:
    """Messages that come a little late go on with the sound before them; a pause stays a pause."""
    made = Made()
    for at in (1.1, 1.2, 1.35, 1.4, 3.0):
        made.said(at, tone(0.1))

    assert spans(analysed(made).said) == [(1.0, 1.4), (2.9, 3.0)]


def test_a_file_that_is_sent_at_once_takes_its_time() -> None:
    """Sound never overlaps itself, however fast it is sent."""
    made = Made()
    for _ in range(5):
        made.said(2.0, tone(0.5))

    assert spans(analysed(made).said) == [(1.5, 4.0)]


@pytest.mark.parametrize("audio_format", ["pcm16", "g711_ulaw"])
def test_silence_that_is_sent_too_fast_is_left_out(audio_format: str) -> None:
    """So speech that follows is where it was sent; what the service heard is found in the sound."""
    speech, silence = tone(0.4), bytes(19_200)
    if audio_format == "g711_ulaw":
        speech, silence = ulaw_encode(tone(0.4, 400, 8_000)), b"\xff" * 3_200
    made = Made(audio_format=audio_format)
    for tick in range(40):  # four times as fast as it lasts
        made.said(1.0 + 0.1 * tick, speech if tick in (0, 1, 30, 31) else silence)
    event = {"item_id": "item_q", "audio_start_ms": 12_000, "audio_end_ms": 12_800}
    made.received(4.5, "input_audio_buffer.speech_started", **event)
    made.received(4.5, "input_audio_buffer.speech_stopped", **event)
    timeline = analysed(made)
    (heard,) = timeline.speech

    assert timeline.seconds < 5.5  # instead of 17
    assert heard.end is not None
    assert heard.start == pytest.approx(4.0, abs=0.5)
    assert heard.end - heard.start == pytest.approx(0.8)


def test_without_account_an_answer_is_played_when_it_comes() -> None:
    """Sooner than it is played, as a rule; where it comes late, there is a pause."""
    made = Made().delta(1.0, tone(1)).delta(1.1, tone(1)).delta(3.5, tone(1))
    made.delta(3.6, tone(1), item="item_b")

    assert spans(analysed(made).heard) == [(1.0, 3.0), (3.5, 5.5)]


def test_the_speakers_account_says_when_it_was_heard() -> None:
    """Also a pause in the middle, where the speaker had run dry."""
    made = Made().delta(1.0, tone(1)).delta(1.1, tone(1)).delta(1.2, tone(1))
    made.add(1.75, "heard", item="item_a", ms=250, end=None)
    made.add(2.5, "heard", item="item_a", ms=1000, end=None)
    made.add(4.0, "heard", item="item_a", ms=2000, end=None)
    made.add(5.0, "heard", item="item_a", ms=3000, end="played")

    assert spans(analysed(made).heard) == [(1.5, 2.5), (3.0, 5.0)]


def test_an_interrupted_answer_stops_where_it_was_cut() -> None:
    """By the speaker's account, or else by what the client told the service."""
    made = Made().delta(1.0, tone(3))
    made.add(2.5, "heard", item="item_a", ms=1250, end="interrupted")
    assert spans(analysed(made).heard) == [(1.25, 2.5)]

    made = Made().delta(1.0, tone(3))
    made.sent(2.5, "conversation.item.truncate", item_id="item_a", content_index=0, audio_end_ms=1250)
    assert spans(analysed(made).heard) == [(1.25, 2.5)]


def test_an_answer_that_nobody_heard_has_no_place() -> None:
    """The client deletes it, because the service cannot truncate to nothing."""
    made = Made().delta(1.0, tone(3)).sent(1.0, "conversation.item.delete", item_id="item_a")
    timeline = analysed(made)

    assert spans(timeline.heard) == []
    assert [(cut.heard_seconds, cut.received_seconds) for cut in timeline.interruptions] == [(0.0, 3.0)]


@pytest.mark.parametrize("block_seconds", [0.05, 1.0, 7.0])
@pytest.mark.parametrize("start", [0.0, 0.6, 1.25])
def test_blocks_are_the_track_with_its_silence(block_seconds: float, start: float) -> None:
    """Whatever their size, and wherever they begin."""
    sound = tone(0.5)
    track = analysed(Made().said(1.0, sound).said(2.5, sound).said(3.0, sound)).said
    whole = bytes(24_000) + sound + bytes(48_000) + sound + sound + bytes(24_000)

    assert b"".join(track.blocks(3.5, start, block_seconds)) == whole[round(start * 48_000) :]


def test_telephone_sound_is_widened() -> None:
    """µ-law of 8 000 Hz is heard at 24 000 Hz, and lasts as long."""
    made = Made(audio_format="g711_ulaw").said(1.0, ulaw_encode(tone(1, 400, 8_000)))
    (clip,) = analysed(made).said.clips

    assert duration_ms(len(clip.pcm())) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize(
    "described",
    [{"output_audio_format": "g711_ulaw"}, {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}],
    ids=["preview", "ga"],
)
def test_an_answer_in_a_format_of_its_own(described: dict[str, Any]) -> None:
    """It lasts as long as it is, in a session whose answers are PCM16 otherwise."""
    made = Made().received(0.9, "response.created", response={"id": "resp_1", **described})
    made.delta(1.0, ulaw_encode(tone(1, 400, 8_000)))
    made.received(2.0, "response.created", response={"id": "resp_2"}).delta(2.1, tone(0.5), "b", "resp_2")
    made.add(2.2, "heard", item="item_a", ms=1000.0, end="played")
    made.add(3.0, "heard", item="b", ms=500.0, end="played")

    seconds = [turn.received_seconds for turn in analysed(made).turns]
    assert seconds == pytest.approx([1.0, 0.5])


def test_sound_that_was_left_out_has_its_time() -> None:
    """The recording says how many bytes there were."""
    made = Made(sound="none")
    event = {"type": "input_audio_buffer.append", "audio": ""}
    made.add(2.0, "sent", connection=1, event=event, sound_bytes=48_000)
    track = analysed(made).said

    assert spans(track) == [(1.0, 2.0)]
    assert not track.has_sound
    assert set(b"".join(track.blocks(2.0))) == {0}


def test_sound_from_before_the_recording_is_not_in_it() -> None:
    """A part that begins while the user speaks, shortly before the sound is sent again over another line."""
    made = Made(t=600.0, part=2)
    made.add(600.1, "closed", connection=1, code=1006, error="ConnectionClosedError", message="it broke")
    made.add(600.1, "reconnecting", attempt=1, delay_s=0.2, reason="it broke")
    made.add(600.3, "opened", connection=2)
    for _ in range(20):
        made.said(600.4, tone(0.1), connection=2)
    made.add(600.4, "reconnected", connection=2, gap_s=0.3, reason="it broke")
    spoken: dict[str, Any] = {"connection": 2, "item_id": "item_q"}
    made.received(600.5, "input_audio_buffer.speech_started", audio_start_ms=300, **spoken)
    timeline = analysed(made)

    assert spans(timeline.said) == [(0.0, 0.4)]
    assert [speech.start for speech in timeline.speech] == [0.0]


@pytest.mark.parametrize("audio", ["!", "AAA", "AAAAAA==", 7, None, {}])
def test_damaged_sound_is_silence(audio: object) -> None:
    """Base64 that is none, half a sample, and what is no text."""
    made = Made().sent(1.0, "input_audio_buffer.append", audio=audio).said(2.0, tone(0.1))
    timeline = analysed(made)

    assert len(b"".join(timeline.said.blocks(2.0))) == 96_000
