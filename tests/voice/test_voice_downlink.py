"""Playing and interrupting when the I/O thread is ahead: states that a real connection passes in a moment."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fake_devices import StageSpeaker

from azure_rt_audio._session.taps import Taps
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.voice.downlink import Downlink


class Desk:
    """What a downlink says to the service, and what the service would make of it."""

    def __init__(self) -> None:
        self.session = None
        self.interruption = self.turns = self
        self.active: str | None = None
        self.taken_back: list[tuple[str, int]] = []
        self.followed: list[tuple[str, bool]] = []
        self.taps = Taps()
        self.unplayed: set[str] = set()

    def press(self) -> None:
        raise AssertionError

    def answer_user(self, owner: object) -> None:
        raise AssertionError

    def is_unplayed(self, response_id: str) -> bool:
        return response_id in self.unplayed

    def stop_response(self) -> str | None:
        return self.active

    def truncate_unheard(self, item_id: str, heard_ms: int) -> None:
        self.taken_back.append((item_id, heard_ms))

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> None:
        self.followed.append((response_id, is_playing))


class Line:
    """A downlink with its speaker."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.speaker = StageSpeaker()
        self.told: list[Any] = []
        self.downlink = Downlink(self.desk, self.speaker, self.told.append)

    def created(self, response: str, **fields: Any) -> None:
        self.downlink.on_created(_event("response.created", response={"id": response, **fields}))

    def sound(self, response: str, item: str, ms: int = 100) -> None:
        delta = base64.b64encode(bytes(48 * ms)).decode()
        self.downlink.on_delta(_event("response.audio.delta", **_place(response, item), delta=delta))

    def sound_done(self, response: str, item: str) -> None:
        self.downlink.on_audio_done(_event("response.audio.done", **_place(response, item)))

    def done(self, response: str) -> None:
        self.downlink.on_done(_event("response.done", response={"id": response, "status": "cancelled"}))

    def interrupt(self) -> None:
        self.downlink.interrupt(by_user=False, must_cancel=True)


def _event(kind: str, **fields: Any) -> Any:
    return decode_event(json.dumps({"type": kind, **fields}))


def _place(response: str, item: str) -> dict[str, Any]:
    return {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}


@pytest.fixture
def line() -> Line:
    """A downlink with its speaker."""
    return Line()


def test_a_response_that_the_reader_knows_already(line: Line) -> None:
    """It was cancelled before this thread heard that it had begun: nothing of it is played."""
    line.desk.active = "r"
    line.interrupt()

    line.created("r")
    line.sound("r", "a")
    line.done("r")

    assert line.speaker.items == []
    assert line.desk.taken_back == [("a", 0)]


def test_a_response_in_a_format_of_its_own(line: Line) -> None:
    """It is played, and counted, as what it is; the session's is PCM16, as is that of the next."""
    line.created("r", output_audio_format="g711_ulaw")
    line.sound("r", "a", ms=100 // 6)
    line.interrupt()
    assert line.desk.taken_back == [("a", 0)]
    assert [cut.received_ms for cut in line.told[0].cuts] == [48 * (100 // 6) // 8]
    line.done("r")
    line.created("s")
    line.sound("s", "b", ms=100)
    line.interrupt()

    assert [cut.received_ms for cut in line.told[1].cuts] == [100]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_response_that_was_given_up(line: Line, is_late: bool) -> None:
    """What comes of it from then on is not played; the next one is."""
    if not is_late:
        line.desk.unplayed.add("r")
    line.created("r")
    line.sound("r", "a")
    line.desk.unplayed.add("r")
    line.sound("r", "a")
    line.done("r")
    line.created("s")
    line.sound("s", "b")

    assert line.speaker.items == (["a", "b"] if is_late else ["b"])


def test_a_response_that_had_not_begun(line: Line) -> None:
    """Some of it comes before the service has heard of the wish: it is not played; the next one is."""
    line.desk.active = ""
    line.interrupt()

    line.created("beside", conversation_id=None)
    line.created("r", conversation_id="c")
    line.sound("r", "a")
    line.done("r")
    line.created("s", conversation_id="c")
    line.sound("s", "b")

    assert line.speaker.items == ["b"]
    assert line.desk.taken_back == [("a", 0)]


def test_a_wish_that_is_void(line: Line) -> None:
    """Another interruption finds nothing that is about to begin: the next answer is heard."""
    line.desk.active = ""
    line.interrupt()
    line.desk.active = None
    line.interrupt()

    line.created("r")
    line.sound("r", "a")

    assert line.speaker.items == ["a"]


def test_the_reader_is_done_and_this_thread_is_not(line: Line) -> None:
    """A speaker that is quiet for a moment is no end while more is to come; then it is one."""
    line.created("r")
    line.sound("r", "a")
    line.speaker.play_out()

    line.downlink.update(0.0)
    before = list(line.desk.followed)
    line.done("r")
    line.downlink.update(0.0)

    assert before == []
    assert line.desk.followed == [("r", False)]


def test_nothing_has_been_played_yet(line: Line) -> None:
    """There is no status to follow before the first sound."""
    line.created("r")
    line.downlink.update(0.0)

    assert line.desk.followed == []


def test_sound_that_is_cut_in_mid_frame(line: Line) -> None:
    """An odd byte waits for the other one."""
    for octets in (b"\x01", b"\x02\x03", b"\x04"):
        delta = base64.b64encode(octets).decode()
        line.downlink.on_delta(_event("response.audio.delta", **_place("r", "a"), delta=delta))
    line.sound_done("r", "a")
    line.speaker.play_out()

    assert line.speaker.heard("a") == b"\x01\x02\x03\x04"
    assert line.speaker.finished == 1


def test_sound_of_an_item_that_was_cut_is_not_finished(line: Line) -> None:
    """The end of an item that is not played any more is no news for the speaker."""
    line.created("r")
    line.sound("r", "a")
    line.speaker.play_on(40)
    line.interrupt()
    line.sound("r", "a")
    line.sound_done("r", "a")

    assert line.speaker.finished == 0
    assert line.desk.taken_back == [("a", 40)]


FILLER = {"conversation_id": None, "metadata": {"azure_rt_filler": "1"}}


def test_what_fills_a_silence_is_heard(line: Line) -> None:
    """Although it is beside the conversation, unlike others there. It is no first sound of an answer."""
    line.created("beside", conversation_id=None)
    line.sound("beside", "a")
    line.created("f", **FILLER)
    line.sound("f", "b")
    line.sound_done("f", "b")
    line.speaker.play_out()
    line.downlink.update(0.0)
    line.done("f")
    line.downlink.update(0.0)

    assert line.speaker.items == ["b"]
    assert line.speaker.finished == 1
    assert line.desk.followed == [("f", False)]
    assert line.told == []


@pytest.mark.parametrize("is_done", [False, True])
def test_an_answer_is_heard_in_place_of_a_filler(line: Line, is_done: bool) -> None:
    """From its first sound on, whether the filler has come completely or not; nothing is truncated."""
    line.created("f", **FILLER)
    line.sound("f", "a")
    line.speaker.play_on(40)
    if is_done:
        line.sound_done("f", "a")
        line.done("f")
    line.created("r", conversation_id="c")
    line.speaker.play_on(10)
    line.sound("r", "b")
    if not is_done:
        line.sound("f", "a")
        line.sound_done("f", "a")
        line.done("f")
    line.sound("r", "b")
    line.sound_done("r", "b")
    line.speaker.play_out()
    line.done("r")
    line.downlink.update(1.0)

    assert (line.speaker.stops, len(line.speaker.heard("a")) // 48) == (1, 50)
    assert len(line.speaker.heard("b")) // 48 == 200
    assert line.desk.taken_back == []
    assert line.desk.followed == [("r", False)]
    assert [event.response_id for event in line.told] == ["r"]


def test_an_interrupted_filler_is_not_truncated(line: Line) -> None:
    """It is not in the conversation; what still comes of it is not played, and the next one is."""
    line.created("f", **FILLER)
    line.sound("f", "a")
    line.speaker.play_on(40)
    line.interrupt()
    line.sound("f", "a")
    line.done("f")
    line.created("g", **FILLER)
    line.sound("g", "b")

    assert line.speaker.items == ["a", "b"]
    assert line.desk.taken_back == []
    assert line.told == []
