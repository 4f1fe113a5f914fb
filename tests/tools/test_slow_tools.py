"""Tools that take their time, while the user goes on talking; on a simulated clock, 60 ± 30 ms apart."""

from __future__ import annotations

from typing import Any

import pytest
from simulated_tools import ToolSession, lookup

from azure_rt_audio import FunctionCallItem, Tool, Tools
from azure_rt_audio.events import ToolEnded
from azure_rt_audio.protocol.event_filter import event_filter

SERVER = {"type": "server_vad", "silence_duration_ms": 500}


def spoken(*texts: str, **facts: Any) -> ToolSession:
    """Return a session whose user says these texts, one for each time that he speaks."""
    session = ToolSession(facts.pop("seed", 7), vad=SERVER, **facts)
    words = iter(texts)
    session.words = lambda: next(words)  # type: ignore[method-assign]
    return session


def said(session: ToolSession) -> list[tuple[float, str]]:
    """What the assistant has said, with the time of each beginning."""
    begins = {
        message["response"]["id"]: when for when, message in session.messages("service >", "response.created")
    }
    return [
        (begins[message["response"]["id"]], part["transcript"])
        for _, message in session.messages("service >", "response.done")
        for item in message["response"]["output"]
        for part in item.get("content", ())
    ]


def outputs(session: ToolSession) -> list[str]:
    """The outputs of calls in the conversation."""
    items = session.service.conversation.items
    return [item.output or "" for item in items if item.type == "function_call_output"]


def told_events(session: ToolSession) -> list[ToolEnded]:
    """Return a list that ends of calls are added to."""
    told: list[ToolEnded] = []
    engine = session.engine
    engine.listeners.add(event_filter(ToolEnded), told.append, engine.dispatcher, once=False)
    return told


def user_speaks(session: ToolSession, *moments: float) -> None:
    """Let the user speak for a second at each of these moments."""
    for moment in moments:
        session.at(moment, lambda: session.speak(1.0))


@pytest.mark.parametrize("seed", range(5))
def test_the_user_talks_while_a_tool_runs_for_20_seconds(seed: int) -> None:
    """He speaks three times, and each time is answered; the result is told once, when he is silent."""
    session = spoken("call 1", "first", "second", "third", seconds=lambda number: 20.0, seed=seed)
    user_speaks(session, 1, 6, 11, 16)
    session.run(40)

    assert outputs(session) == ["looked up 1"]
    assert [text for _, text in said(session)] == [
        "answer to first",
        "answer to second",
        "answer to third",
        "answer to looked up 1",
    ]
    assert session.errors == []
    assert session.tellings() == ([], [])


def test_an_answer_that_begins_after_the_result_covers_it() -> None:
    """The model has it by then: the user is not told twice."""
    session = spoken("call 1", "and what else", seconds=lambda number: 7.5)
    user_speaks(session, 1, 9.5)
    session.run(25)

    assert outputs(session) == ["looked up 1"]
    assert [text for _, text in said(session)] == ["answer to and what else"]
    assert session.tellings() == ([], [])
    assert session.errors == []


@pytest.mark.parametrize("late", ["drop", "tell"])
def test_a_tool_that_takes_too_long(late: Any) -> None:
    """The model is told after the time; a late result is dropped, or told when it is there."""
    tools = Tools(Tool(lookup, timeout_s=2.0, late=late))
    session = spoken("call 1", seconds=lambda number: 5.0, tools=tools)
    ended = told_events(session)
    user_speaks(session, 1)
    session.run(20)

    (output,) = outputs(session)
    assert "no result within 2 seconds" in output
    assert str(ended[0].error) == "lookup() has not returned within 2 s"
    assert 2.0 <= ended[0].seconds < 2.1
    texts = [text for _, text in said(session)]
    assert texts[0].startswith('answer to {"error":"no result within 2 seconds')
    assert texts[1:] == (
        ['answer to The result of lookup({"number":1,"rest":""}), which was called before: looked up 1']
        if late == "tell"
        else []
    )
    assert session.errors == []
    assert session.is_quiet()


def test_a_tool_in_the_background() -> None:
    """The model is told that it was started; its result is a message, answered when the user is silent."""
    tools = Tools(Tool(lookup, background=True))
    session = spoken("call 1", "a long story", seconds=lambda number: 7.5, tools=tools)
    ended = told_events(session)
    user_speaks(session, 1, 9.5)
    session.run(25)

    assert [text[:30] for _, text in said(session)] == [
        'answer to {"status":"started; ',
        "answer to a long story",
        "answer to The result of lookup",
    ]
    assert [event.output for event in ended] == ["looked up 1"]
    (_, spoke), (ended_at, _) = (
        session.messages("service >", "input_audio_buffer.speech_started")[-1],
        session.messages("service >", "input_audio_buffer.committed")[-1],
    )
    assert spoke["item_id"]
    assert said(session)[-1][0] > ended_at
    assert session.errors == []


def test_what_runs_already_is_not_run_again() -> None:
    """With the same arguments; others are run, such as ``true`` for 1."""
    numbers: list[object] = []

    def report(number: int | bool) -> str:
        numbers.append(number)
        return f"report {number}"

    tools = Tools(Tool(report, name="lookup", on_duplicate="refuse"))
    session = ToolSession(3, seconds=lambda number: 5.0, tools=tools)
    session.run(1)
    said = {"a": '{"number": 1}', "b": '{"number":1.0}', "c": '{"number": 2}', "d": '{"number": true}'}
    for call_id, arguments in said.items():
        session.loop._take_call("resp", call_item(arguments, call_id))
    session.run(10)

    sent = {
        message["item"]["call_id"]: message["item"]["output"]
        for _, message in session.messages(">", "conversation.item.create")
    }
    assert list(map(str, numbers)) == ["1", "2", "True"]
    assert "this runs already" in sent["b"]
    assert (sent["a"], sent["c"]) == ("report 1", "report 2")


def call_item(arguments: str, call_id: str) -> Any:
    """Return a call of the model's."""
    return FunctionCallItem(name="lookup", arguments=arguments, call_id=call_id, status="completed")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout_s": 0}, "timeout_s must be more than 0"),
        ({"timeout_s": 1, "background": True}, "leave timeout_s out"),
        ({"late": "never"}, "late must be"),
        ({"on_duplicate": "run"}, "on_duplicate must be"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    """They are refused where they are written."""
    with pytest.raises(ValueError, match=said):
        Tool(lookup, **options)
