"""A timeline as subtitles, as JSON, as a WAV file and as a page."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import wave
from pathlib import Path

import orjson
import pytest
from made_recordings import Made, tone

from azure_rt_audio._printable import one_line, printable
from azure_rt_audio.recording import Recording
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.document import document
from azure_rt_audio.recording.page import write_page
from azure_rt_audio.recording.page.peaks import peaks
from azure_rt_audio.recording.stereo import write_stereo
from azure_rt_audio.recording.subtitles import subtitles

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)> <!-- %%script%% ]]> --> {b} \u2028 \x00"
)


def interrupted(words: str = "One two three four.") -> Recording:
    """A question of a second, and an answer of two, of which one was heard."""
    made = Made().said(1.0, tone(1))
    made.received(1.0, "input_audio_buffer.committed", item_id="item_q")
    name = "conversation.item.input_audio_transcription.completed"
    made.received(1.2, name, item_id="item_q", transcript="Well?")
    made.words(1.5, words).delta(1.5, tone(2))
    return made.add(3.0, "heard", item="item_a", ms=1_000, end="interrupted").recording


def page_of(recording: Recording, path: Path, *, title: str = "talk.rta", has_sound: bool = False) -> str:
    """The text of a page."""
    write_page(path, recording, analyse(recording), title=title, has_sound=has_sound)
    return path.read_text(encoding="utf-8")


def block(page: str, name: str) -> str:
    """The content of a block that the browser does not run."""
    found = re.search(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found[1]


def test_subtitles_end_with_what_was_heard() -> None:
    """Each with its time; an answer that was cut ends with an ellipsis."""
    assert subtitles(analyse(interrupted())) == (
        "1\n00:00:00,000 --> 00:00:01,000\nYou: Well?\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\nAssistant: One two …\n\n"
    )


def test_long_answers_are_several_subtitles() -> None:
    """Of a size that can be read, without a gap in time, with all of the words."""
    words = "This is a sentence of some length, as they are. " * 20
    made = Made().words(1.0, words).delta(1.0, tone(60))
    cues = subtitles(analyse(made.recording)).split("\n\n")[:-1]

    assert len(cues) > 8
    assert max(len(cue.splitlines()[2]) for cue in cues) < 100
    assert " ".join(cue.splitlines()[2] for cue in cues) == f"Assistant: {words.strip()}"


def test_text_cannot_break_subtitles() -> None:
    """Blank lines, arrows and tags of the format come from the service as well."""
    made = Made().words(1.0, "a\n\n2\n00:00:01,000 --> 00:00:02,000\n<font>{b}").delta(1.0, tone(1))
    text = subtitles(analyse(made.recording))

    assert text.count("\n\n") == 1
    assert text.count("-->") == 1
    assert not re.search("[<{}]", text.split("\n", 2)[2])


def test_the_document_has_the_facts() -> None:
    """Seconds to the millisecond, and what was heard in words."""
    recording = interrupted()
    shown = orjson.loads(orjson.dumps(document(recording, analyse(recording))))

    assert (shown["format"], shown["version"], shown["seconds"]) == ("azure-rt-audio timeline", 1, 3.0)
    assert [turn["heard"] for turn in shown["turns"]] == ["Well?", "One two "]
    assert [cut["heard_seconds"] for cut in shown["interruptions"]] == [1.0]
    assert shown["latencies"][0]["seconds"] == 1.0
    assert shown["problems"] == []


def test_the_wav_file_is_aligned(tmp_path: Path) -> None:
    """Left what was said, right what was heard, until it was cut."""
    progress: list[float] = []
    write_stereo(tmp_path / "talk.wav", analyse(interrupted()), progress.append)
    with wave.open(str(tmp_path / "talk.wav")) as file:
        frames = file.readframes(file.getnframes())
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 24_000, 72_000)
    left = b"".join(frames[at : at + 2] for at in range(0, len(frames), 4))
    right = b"".join(frames[at + 2 : at + 4] for at in range(0, len(frames), 4))

    assert left == tone(1) + bytes(96_000)
    assert right == bytes(96_000) + tone(1)
    assert progress == [1.0, 2.0, 3.0]


def test_peaks_are_lowest_and_highest_samples() -> None:
    """Two bytes for each piece, 128 is silence; the last piece may be shorter."""
    made = Made().said(1.05, tone(0.05, 1_000))
    found = peaks(analyse(made.recording).said, 1.053, 10)

    assert len(found) == 2 * 106
    assert set(found[:200]) == {128}
    assert (found[200], found[201]) == (128 - 36, 128 + 35)


@pytest.mark.parametrize("has_sound", [False, True])
def test_the_page_is_self_contained(has_sound: bool, tmp_path: Path) -> None:
    """Its policy admits its own script and nothing from the network."""
    page = page_of(interrupted(), tmp_path / "talk.html", has_sound=has_sound)
    script = page[page.rindex("<script>", 0, page.index('id="sound"')) + 8 :].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|src=|@import|url\(", page.replace("data:,", ""))
    sound = base64.b64decode(block(page, "sound"))
    assert sound.startswith(b"OggS") if has_sound else not sound
    assert orjson.loads(block(page, "data"))["hasSound"] is has_sound


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Whatever the service, a tool or the file's name says, it ends no block and begins no tag."""
    plain = page_of(interrupted(), tmp_path / "plain.html")
    made = (
        Made().words(1.0, HOSTILE).delta(1.0, tone(1), item=HOSTILE).received(1.0, HOSTILE, item_id=HOSTILE)
    )
    made.add(1.0, HOSTILE, x=HOSTILE).add(1.0, "note", text=HOSTILE)
    page = page_of(made.recording, tmp_path / "hostile.html", title=HOSTILE)

    for tag in ("<script", "</script", "<img", "<!--"):
        assert page.lower().count(tag) == plain.lower().count(tag)
    data = orjson.loads(block(page, "data"))
    assert data["title"] == one_line(HOSTILE)
    assert data["turns"][0]["text"] == printable(HOSTILE)


def test_sound_in_events_is_told_by_its_size(tmp_path: Path) -> None:
    """The list of events has no base64, and one row a second for what flows."""
    made = Made()
    for tick in range(100):
        made.said(0.05 * tick, tone(0.05))
    rows = orjson.loads(block(page_of(made.recording, tmp_path / "talk.html"), "data"))["rows"]

    assert len(rows) == 5
    assert rows[1][4] == "20 × sound, 48000 bytes"
    assert rows[1][5] == {"type": "input_audio_buffer.append", "audio": "(2400 bytes of sound)"}


def test_without_the_extra_the_page_has_no_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, and is written all the same."""
    monkeypatch.setitem(sys.modules, "soundfile", None)
    recording = interrupted()
    why = write_page(tmp_path / "talk.html", recording, analyse(recording), title="talk")

    assert why is not None
    assert "azure-rt-audio[audio]" in why
    assert not orjson.loads(block((tmp_path / "talk.html").read_text(encoding="utf-8"), "data"))["hasSound"]


def test_a_damaged_time_is_no_endless_work(tmp_path: Path) -> None:
    """Neither a page nor a WAV file is made of a recording that seems to last for years."""
    recording = Made().said(1.0, tone(1)).add(1e12, "note", text="late").recording
    timeline = analyse(recording)

    with pytest.raises(ValueError, match="48 hours"):
        write_page(tmp_path / "talk.html", recording, timeline, title="talk")
    with pytest.raises(ValueError, match="4 GB"):
        write_stereo(tmp_path / "talk.wav", timeline)


def test_a_damaged_date_costs_the_date_only(tmp_path: Path) -> None:
    """A page is made of a recording that seems to have begun beyond every calendar."""
    recording = Made(started=1e300).said(1.0, tone(1)).recording

    assert "recorded" not in dict(
        orjson.loads(block(page_of(recording, tmp_path / "talk.html"), "data"))["about"]
    )
