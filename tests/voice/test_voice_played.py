"""What is taken back of answers that are spoken over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.voice.played import Cut, PlayedAudio


def answer(ledger: PlayedAudio, response: str = "r", **items: float) -> None:
    """Have sound of items come, in milliseconds, in a response that has begun."""
    ledger.begin(response)
    for item, ms in items.items():
        assert ledger.receive(response, item, ms)


def test_an_item_is_cut_where_it_was_heard() -> None:
    """What left the speaker counts, in whole milliseconds."""
    ledger = PlayedAudio()
    answer(ledger, a=1000)

    assert (Cut("a", 400, 1000),) == ledger.interrupt({"a": 400.9})


def test_no_more_is_claimed_than_was_received() -> None:
    """A speaker that counts a little too much cannot make the service refuse."""
    ledger = PlayedAudio()
    answer(ledger, a=999.9)

    assert (Cut("a", 999, 999),) == ledger.interrupt({"a": 1003.0})


def test_what_nobody_heard_is_deleted() -> None:
    """An item cannot be cut at its very beginning: 0 stands for all of it."""
    ledger = PlayedAudio()
    answer(ledger, a=1000)

    assert (Cut("a", 0, 1000),) == ledger.interrupt({"a": 0.4})


def test_several_items() -> None:
    """Each is cut for itself: heard out, heard in part, not heard."""
    ledger = PlayedAudio()
    answer(ledger, a=300, b=500, c=700)
    ledger.complete("a")
    ledger.complete("b")

    assert (Cut("b", 200, 500), Cut("c", 0, 700)) == ledger.interrupt({"b": 200, "c": 0})


def test_an_answer_that_was_heard_out_is_left_alone() -> None:
    """Nothing is playing, nothing is taken back."""
    ledger = PlayedAudio()
    answer(ledger, a=300)
    ledger.complete("a")
    ledger.end("r")

    assert ledger.interrupt({}) == ()
    assert ledger.interrupt({"a": 300}) == ()


def test_an_answer_that_is_over_but_still_playing() -> None:
    """The service has finished long ago; what was not heard is cut all the same."""
    ledger = PlayedAudio()
    answer(ledger, a=3000)
    ledger.complete("a")
    ledger.end("r")

    assert (Cut("a", 1200, 3000),) == ledger.interrupt({"a": 1200})


def test_a_speaker_that_ran_dry() -> None:
    """All that came was heard, but more was to come: it ends here."""
    ledger = PlayedAudio()
    answer(ledger, a=300)

    assert (Cut("a", 300, 300),) == ledger.interrupt({})
    assert not ledger.receive("r", "a", 100)


def test_late_sound_is_dropped() -> None:
    """What comes of an interrupted response is not played; its item has been cut already."""
    ledger = PlayedAudio()
    answer(ledger, a=300)
    ledger.interrupt({"a": 100})

    assert not ledger.receive("r", "a", 100)
    assert ledger.end("r") == ()
    assert ledger.interrupt({}) == ()


def test_a_late_item_is_deleted_when_its_response_is_over() -> None:
    """An item of which every sound came too late was not heard at all."""
    ledger = PlayedAudio()
    answer(ledger, a=300)
    ledger.interrupt({"a": 100})

    assert not ledger.receive("r", "b", 100)
    assert not ledger.receive("r", "b", 100)
    assert ledger.end("r") == (Cut("b", 0, 0),)
    assert ledger.end("r") == ()


def test_a_response_that_had_not_spoken_yet() -> None:
    """Interrupted while it was thinking, it is not heard either."""
    ledger = PlayedAudio()
    ledger.begin("r")

    assert ledger.interrupt({}) == ()
    assert not ledger.receive("r", "a", 100)
    assert ledger.end("r") == (Cut("a", 0, 0),)


def test_the_next_answer_is_heard() -> None:
    """An interruption ends with what it interrupted."""
    ledger = PlayedAudio()
    answer(ledger, "r", a=300)
    ledger.interrupt({"a": 100})
    answer(ledger, "s", b=300)

    assert not ledger.receive("r", "a", 100)
    assert ledger.receive("s", "b", 100)
    assert ledger.end("r") == ()
    assert ledger.interrupt({"b": 50}) == (Cut("b", 50, 400),)


def test_two_interruptions_in_a_row() -> None:
    """The second finds nothing to take back."""
    ledger = PlayedAudio()
    answer(ledger, a=300)

    assert ledger.interrupt({"a": 100}) == (Cut("a", 100, 300),)
    assert ledger.interrupt({"a": 100}) == ()


def test_two_answers_with_a_function_call_between() -> None:
    """The first is still playing when the second has come: both are taken back, in order."""
    ledger = PlayedAudio()
    answer(ledger, "r", a=2000)
    ledger.complete("a")
    ledger.end("r")
    answer(ledger, "s", b=1000)

    assert ledger.interrupt({"a": 500, "b": 0}) == (Cut("a", 500, 2000), Cut("b", 0, 1000))
    assert not ledger.receive("s", "b", 10)


def test_a_response_beside_the_conversation() -> None:
    """It is not for the speaker, before and after an interruption."""
    ledger = PlayedAudio()
    ledger.begin("beside", is_out_of_band=True)

    assert not ledger.receive("beside", "a", 100)
    assert ledger.interrupt({}) == ()
    assert ledger.end("beside") == ()


def test_a_response_that_was_cancelled_before_it_began() -> None:
    """It is turned away from its first sound on."""
    ledger = PlayedAudio()
    ledger.discard("r")
    ledger.begin("r")

    assert not ledger.receive("r", "a", 100)
    assert ledger.end("r") == (Cut("a", 0, 0),)


def test_a_conversation_that_is_joined_late() -> None:
    """Sound of a response whose beginning nobody saw is played, and can be interrupted."""
    ledger = PlayedAudio()

    assert ledger.receive("r", "a", 100)
    assert not ledger.is_over("r")
    assert ledger.interrupt({"a": 60}) == (Cut("a", 60, 100),)
    assert not ledger.receive("r", "a", 100)


def test_the_end_of_a_response() -> None:
    """It is over when the service says so, and its items are complete even if that was not said."""
    ledger = PlayedAudio()
    answer(ledger, a=300)
    assert not ledger.is_over("r")

    ledger.end("r")

    assert ledger.is_over("r")
    assert ledger.interrupt({"a": 300}) == ()


def test_what_was_heard_is_forgotten() -> None:
    """A long conversation does not grow."""
    ledger = PlayedAudio()
    answer(ledger, a=300)
    ledger.complete("a")
    assert not ledger.complete("unknown")

    ledger.drop_completed()

    assert ledger.interrupt({"a": 100}) == ()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from("rst")),
        st.tuples(st.just("beside"), st.sampled_from("xy")),
        st.tuples(st.just("sound"), st.sampled_from(["ra", "rb", "sc", "sd", "te", "xf"]), st.floats(0, 500)),
        st.tuples(st.just("complete"), st.sampled_from("abcdef")),
        st.tuples(st.just("end"), st.sampled_from("rstxy")),
        st.tuples(st.just("interrupt"), st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 2000))),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_the_service_can_obey(steps: list[tuple[object, ...]]) -> None:
    """In any order of events: no item is cut twice, none beyond what came, none beside the conversation."""
    ledger = PlayedAudio()
    came: dict[str, float] = {}
    cut: set[str] = set()

    def check(cuts: tuple[Cut, ...]) -> None:
        for entry in cuts:
            assert entry.item_id not in cut
            assert 0 <= entry.heard_ms <= came.get(entry.item_id, 0.0)
            cut.add(entry.item_id)

    for kind, *rest in steps:
        if kind == "begin":
            ledger.begin(str(rest[0]))
        elif kind == "beside":
            ledger.begin(str(rest[0]), is_out_of_band=True)
        elif kind == "sound":
            where, ms = str(rest[0]), rest[1]
            assert isinstance(ms, float)
            if where[1] in cut:  # the service never speaks of an item again that is over
                continue
            came[where[1]] = came.get(where[1], 0.0) + ms
            ledger.receive(where[0], where[1], ms)
        elif kind == "complete":
            ledger.complete(str(rest[0]))
        elif kind == "end":
            check(ledger.end(str(rest[0])))
        else:
            assert isinstance(rest[0], Mapping)
            check(ledger.interrupt(rest[0]))


@pytest.mark.parametrize("heard", [-5.0, 0.0, 0.99])
def test_less_than_a_millisecond_is_nothing(heard: float) -> None:
    """A clock that is a little behind makes no negative position."""
    ledger = PlayedAudio()
    answer(ledger, a=100)

    assert ledger.interrupt({"a": heard}) == (Cut("a", 0, 100),)
