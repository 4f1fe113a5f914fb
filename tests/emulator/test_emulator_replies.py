"""What the emulator says by default, how it calls tools, and the voice it has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azure_rt_audio.emulator import (
    Conversation,
    FunctionCall,
    Item,
    Part,
    Reply,
    Session,
    default_responder,
    speak,
)
from azure_rt_audio.emulator.model.pcm import from_wire, samples, to_wire
from azure_rt_audio.emulator.speech.scripted_recogniser import default_recogniser, recogniser_from
from azure_rt_audio.emulator.speech.vad import InputBuffer, SpeechStarted, SpeechStopped

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Returns the current weather and temperature of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city, for example Oslo"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
TIMER = {
    "type": "function",
    "name": "setTimer",
    "description": "Starts a timer.",
    "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]},
}
TIDES = {
    "type": "function",
    "name": "lookup_tide_table",
    "description": "Returns high and low water times for a harbour on a given day.",
    "parameters": {
        "type": "object",
        "properties": {
            "harbour": {"type": "string", "description": "Harbour name, for example Saltmere"},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["harbour", "day"],
    },
}


def session(**settings: Any) -> Session:
    """A session with some settings."""
    return Session("realtime", "sess_1", "a-model", 0, **settings)


def user(text: str) -> Item:
    """What a user wrote."""
    return Item("item_1", "message", role="user", parts=[Part("input_text", text=text)])


def answer(text: str, *tools: dict[str, Any], **settings: Any) -> Reply:
    """The default reply to a user's words."""
    return default_responder(Conversation("conv_1", [user(text)]), session(tools=tools, **settings))


def calls(text: str, *tools: dict[str, Any], **settings: Any) -> list[tuple[str, Any]]:
    """Names and arguments of the calls in the default reply."""
    return [(call.name, call.arguments) for call in answer(text, *tools, **settings).calls]


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("What's the weather in Oslo?", WEATHER, {"city": "Oslo"}),
        ("How warm is it, in fahrenheit, in New York? The temperature please, weather", WEATHER, None),
        ("weather for Paris in celsius", WEATHER, {"city": "Paris", "unit": "celsius"}),
        ("Set a timer for 12 minutes, please.", TIMER, {"minutes": 12}),
        ("When is high water at Saltmere tomorrow?", TIDES, {"harbour": "Saltmere", "day": "tomorrow"}),
    ],
)
def test_tools_are_called_for_what_they_do(text: str, tool: dict[str, Any], arguments: Any) -> None:
    """A tool is called when its words are used, with what the words say about its parameters."""
    found = calls(text, WEATHER, TIMER, TIDES)

    assert [name for name, _ in found] == [tool["name"]]
    if arguments is not None:
        assert found[0][1] == arguments


def test_several_places_are_several_calls() -> None:
    """Two cities in one question are two calls, unless parallel calls are off."""
    text = "What is the weather in Oslo and Paris?"
    two = [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Paris"})]

    assert calls(text, WEATHER) == two
    assert calls(text, WEATHER, parallel_tool_calls=False) == two[:1]


def test_tool_choice_is_obeyed() -> None:
    """none calls nothing, required calls something, a name calls that."""
    weather = "What is the weather in Oslo?"
    named = {"type": "function", "name": "setTimer"}

    assert calls(weather, WEATHER, tool_choice="none") == []
    assert calls("Tell me a joke", WEATHER, tool_choice="required") == [
        ("get_weather", {"city": "Tell me a joke"})
    ]
    assert [name for name, _ in calls(weather, WEATHER, TIMER, tool_choice=named)] == ["setTimer"]
    old = {"type": "function", "function": {"name": "setTimer"}}
    assert [name for name, _ in calls(weather, WEATHER, TIMER, tool_choice=old)] == ["setTimer"]


def test_every_kind_of_parameter_is_filled() -> None:
    """Required parameters get something of their own type, optional ones only what was said."""
    kinds: dict[str, Any] = {
        "amount": {"type": "number"},
        "count": {"type": "integer", "minimum": 2},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array"},
        "options": {"type": "object"},
        "size": {"enum": ["small", "large"]},
        "title": {"type": "string"},
    }
    tool = {
        "name": "place_order",
        "parameters": {"type": "object", "properties": kinds, "required": list(kinds)},
    }
    optional = {"name": "place_order", "parameters": {"type": "object", "properties": kinds}}
    text = 'Place an order of 2.5 called "harbour lamp"'

    assert calls(text, tool) == [
        (
            "place_order",
            {
                "amount": 2.5,
                "count": 2,
                "urgent": True,
                "tags": [],
                "options": {},
                "size": "small",
                "title": "harbour lamp",
            },
        )
    ]
    assert calls(text, optional) == [("place_order", {"amount": 2.5, "title": "harbour lamp"})]
    assert calls("Place an order", {"name": "place_order"}) == [("place_order", {})]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("what is the weather like in lisbon today", [{"city": "Lisbon"}]),
        ("how is the weather in new york and porto", [{"city": "New York"}, {"city": "Porto"}]),
        ("tell me the weather of the city at rio de janeiro please", [{"city": "Rio De Janeiro"}]),
    ],
)
def test_places_are_found_in_what_a_recogniser_wrote(text: str, arguments: list[dict[str, str]]) -> None:
    """Without capitals a place is what follows a word like "in", up to a word that cannot belong to it."""
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    reply = answer(text, tool)

    assert [call.arguments for call in reply.calls] == arguments


@pytest.mark.parametrize(
    ("text", "last"),
    [("please count to ten", "10."), ("count to one hundred slowly", "100."), ("count to twenty one", "21.")],
)
def test_numbers_are_found_in_what_a_recogniser_wrote(text: str, last: str) -> None:
    """Numbers may be words."""
    assert answer(text).text.split()[-1] == last


def test_who_is_not_understood_is_told() -> None:
    """Speech of which the ears made nothing is asked for again; silence is greeted."""
    mumbled = Conversation(
        None, [Item("1", "message", role="user", parts=[Part("input_audio", recognised="")])]
    )

    assert "did not understand" in default_responder(mumbled, session()).text
    assert "How can I help" in default_responder(Conversation(None), session()).text


def test_no_tool_by_accident() -> None:
    """Words that have nothing to do with a tool do not call it."""
    assert calls("Good morning, how are you today?", WEATHER, TIMER, TIDES) == []


def test_results_are_spoken() -> None:
    """After a function's output its content is said in a sentence."""
    call = Item("item_2", "function_call", call_id="call_1", name="get_weather", arguments="{}")
    output = json.dumps({"temperature_c": 7, "sky": "clear", "windy": False})
    result = Item("item_3", "function_call_output", call_id="call_1", output=output)
    said = default_responder(
        Conversation("conv_1", [user("weather?"), call, result]), session(tools=(WEATHER,))
    )
    result.output = '{"error": "no such city"}'
    sorry = default_responder(
        Conversation("conv_1", [user("weather?"), call, result]), session(tools=(WEATHER,))
    )

    assert said.text == "Here is the result of get weather: temperature c 7, sky clear, windy no."
    assert sorry.text == "I am sorry, the get weather did not work: no such city."
    assert said.calls == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "Hello! How can I help you?"),
        ("hello", "emulator"),
        ("Repeat after me: the tide is high", "the tide is high"),
        ("Please count to 5", "1, 2, 3, 4, 5."),
        ("thank you", "You are welcome."),
        ("what is your name", "emulator"),
        ("(1.9 seconds of speech)", "1.9 seconds"),
        ("The sky is blue", "The sky is blue"),
    ],
)
def test_small_talk(text: str, expected: str) -> None:
    """Without tools the emulator says something fitting."""
    assert expected in answer(text).text


def test_what_a_reply_function_may_return() -> None:
    """A text, a call, several calls or a whole reply."""
    call = FunctionCall("look", {"at": "this"})

    assert Reply.of("text") == Reply("text")
    assert Reply.of(call) == Reply(calls=(call,))
    assert Reply.of([call, call]) == Reply(calls=(call, call))
    assert Reply.of(Reply("x")) == Reply("x")
    assert FunctionCall("look", "{not json").arguments_json == "{not json"


def test_ears() -> None:
    """Ears may be a function, a script or a mapping from length to words; by default they measure."""
    second = bytes(48_000)
    script = recogniser_from(["first", "second"])
    lengths = recogniser_from({500: "short", 3000: "long"})

    assert default_recogniser(second, session()) == "(1.0 seconds of speech)"
    assert [script(second, session()) for _ in range(3)] == ["first", "second", "(1.0 seconds of speech)"]
    assert (lengths(second, session()), lengths(second * 4, session())) == ("short", "long")
    assert recogniser_from(default_recogniser) is default_recogniser
    assert recogniser_from(None) is default_recogniser


# The voice -------------------------------------------------------------------------------------


def test_the_voice_depends_on_the_words() -> None:
    """The same words are the same sound, other words and other voices another."""
    assert speak("hello") == speak("hello")
    assert (
        len({speak("hello"), speak("hallo"), speak("hello", voice="echo"), speak("hello", voice="Zoe")}) == 4
    )


def test_the_voice_is_sound() -> None:
    """It is as loud as speech, never clips, has no steps at its edges, and is about as long as speech."""
    text = "The quick brown fox jumps over the lazy dog."
    frames = samples(speak(text))
    loudest = max(map(abs, frames))

    assert 6_000 < loudest < 20_000
    assert abs(frames[0]) < 200
    assert abs(frames[-1]) < 200
    assert 50 < len(frames) / 24 / len(text) < 85
    assert len(speak(text, speed=0.5)) == pytest.approx(2 * len(speak(text)), rel=0.02)


def test_questions_rise() -> None:
    """A question ends higher than a statement: its last vowels have shorter periods."""
    statement, question = speak("o o o o."), speak("o o o o?")

    assert last_period(question) < last_period(statement)


def last_period(pcm: bytes) -> int:
    """Frames after which the last vowel repeats itself exactly."""
    frames = samples(pcm)
    end = max(index for index, value in enumerate(frames) if value)
    vowel = frames[end - 1_000 : end - 400]
    return next(lag for lag in range(60, 300) if vowel[:-lag] == vowel[lag:])


@pytest.mark.parametrize("wire_format", ["g711_ulaw", "g711_alaw"])
def test_the_telephone(wire_format: str) -> None:
    """To the telephone and back is a sixth of the bytes, and nearly the same loudness."""
    pcm = speak("hello over there")
    wire = to_wire(pcm, wire_format)
    back = from_wire(wire, wire_format)

    assert len(wire) == len(pcm) // 6
    assert len(back) == len(wire) * 6
    assert max(map(abs, samples(back))) == pytest.approx(max(map(abs, samples(pcm))), rel=0.25)
    assert from_wire(b"", wire_format) == b""


# The detector ----------------------------------------------------------------------------------

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}


def chunks(pcm: bytes, size: int) -> list[bytes]:
    """Cut into pieces."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


@pytest.mark.parametrize("chunk_bytes", [2, 960, 4_800, 1_000_000])
def test_detection_does_not_depend_on_chunks(chunk_bytes: int) -> None:
    """The same sound gives the same offsets and the same turn, however it is cut."""
    pcm = bytes(48 * 500) + speak("hello") + bytes(48 * 400)
    pieces = chunks(pcm, chunk_bytes) if chunk_bytes > 2 else [*chunks(pcm[:2_000], 2), pcm[2_000:]]
    buffer = InputBuffer()
    found = [event for piece in pieces for event in buffer.append(piece, VAD)]
    whole = InputBuffer().append(pcm, VAD)

    assert found == whole
    started, stopped = found
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert len(stopped.pcm) == (stopped.audio_end_ms - started.audio_start_ms) * 48
    assert speak("hello")[4_800:9_600] in stopped.pcm


def test_threshold_and_noise() -> None:
    """Quiet noise is speech for a low threshold only; silence never is; a click is too short."""
    noise = samples(speak("hello"))
    quiet = bytearray()
    for value in noise:
        quiet += int(value / 30).to_bytes(2, "little", signed=True)
    click = bytes(48 * 200) + speak("a")[2_000:3_000] + bytes(48 * 300)

    assert InputBuffer().append(bytes(quiet) * 3, {**VAD, "threshold": 0.5}) == []
    assert InputBuffer().append(bytes(quiet) * 3, {**VAD, "threshold": 0.1}) != []
    assert InputBuffer().append(bytes(480_000), {**VAD, "threshold": 0.0}) == []
    assert InputBuffer().append(click, VAD) == []


def test_padding_reaches_no_further_back_than_there_is_sound() -> None:
    """Speech at once starts at 0, and the next turn does not reach into the last one."""
    pcm = speak("hello") + bytes(48 * 220) + speak("hello") + bytes(48 * 400)
    first, stopped, second, _ = InputBuffer().append(pcm, {**VAD, "prefix_padding_ms": 2_000})

    assert isinstance(first, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert isinstance(second, SpeechStarted)
    assert first.audio_start_ms == 0
    assert second.audio_start_ms == stopped.audio_end_ms


def test_silence_is_not_hoarded() -> None:
    """While a detector listens to silence, only its padding is kept."""
    buffer = InputBuffer()
    for _ in range(600):
        buffer.append(bytes(48 * 100), VAD)

    assert buffer.duration_ms < 500
    assert buffer.total_ms == 60_000
