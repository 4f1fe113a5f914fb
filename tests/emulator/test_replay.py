"""The recorded service as a double: the same answers to the same client, and where another one differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from listeners import HANG, TONE, Probe
from wires import recording_of

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError, InlineDispatcher
from azure_rt_audio.emulator import Emulator, FunctionCall
from azure_rt_audio.emulator.replay.comparison import Difference
from azure_rt_audio.emulator.replay.engine import ReplayEngine
from azure_rt_audio.emulator.replay.script import Answer, Expected, Step
from azure_rt_audio.recording import Recording

SESSION = {"type": "realtime", "id": "sess_1", "object": "realtime.session", "model": "gpt-realtime"}
BEGINNING: list[dict[str, Any]] = [
    {"dir": "s", "event": {"type": "session.created", "event_id": "e1", "session": SESSION}},
    {"dir": "c", "event": {"type": "session.update", "session": {"type": "realtime"}}},
    {"dir": "s", "event": {"type": "session.updated", "event_id": "e2", "session": SESSION}},
]
BARE: dict[str, Any] = {"session_defaults": False}


def client_of(service: Emulator, **options: Any) -> AzureRealTimeAudio:
    return AzureRealTimeAudio(service.options(**options), dispatcher=InlineDispatcher())


def command(kind: str, **fields: Any) -> dict[str, Any]:
    return {"dir": "c", "event": {"type": kind, **fields}}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"dir": "s", "event": {"type": kind, "event_id": f"e_{kind}", **fields}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversation with a tool, sound and texts."""
    path = tmp_path_factory.mktemp("recorded") / "a.rta"

    def answer(conversation: Any, session: Any) -> Any:
        is_asked = any(item.type == "function_call_output" for item in conversation.items)
        return "It is foggy." if is_asked else FunctionCall("get_weather", {"city": "Lisbon"})

    with Emulator(pace=0, responder=answer) as service:
        options = service.options(session_config={"turn_detection": None})
        with AzureRealTimeAudio(options, record=path) as client:
            converse(client)
    return path


def converse(client: AzureRealTimeAudio, question: str = "How is the weather?", result: str = "fog") -> str:
    """Say what was recorded, or something else."""
    client.append_audio(TONE)
    client.commit_audio().result(HANG)
    first = client.ask(question, timeout=HANG)
    call = first.output[0]
    client.create_conversation_item(
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
    ).result(HANG)
    return client.create_response().result(HANG).text


def replay(recorded: Path, **options: Any) -> Emulator:
    return Emulator.replay(recorded, **options)


def test_a_client_that_says_the_same(recorded: Path) -> None:
    """It gets the same answers, although its ids are others; so it does if its sound is cut up."""
    with replay(recorded) as service:
        with client_of(service, session_config={"turn_detection": None}) as client:
            assert converse(client) == "It is foggy."
        assert service.differences == ()

    with replay(recorded) as service, client_of(service, session_config={"turn_detection": None}) as client:
        client.append_audio(TONE[:1000])
        assert converse(client) == "It is foggy."


@pytest.mark.parametrize(
    ("said", "command_number", "path", "expected", "got"),
    [
        ({"question": "How is it?"}, 3, "$.item.content[0].text", "How is the weather?", "How is it?"),
        ({"result": "sun"}, 5, "$.item.output", "fog", "sun"),
    ],
)
def test_a_client_that_differs(
    recorded: Path, said: dict[str, str], command_number: int, path: str, expected: str, got: str
) -> None:
    """The first command that differs is named, with the path and both values; the client is answered."""
    with (
        pytest.raises(
            AssertionError, match=r"^the client differs from the recording: connection 1, "
        ) as caught,
        replay(recorded) as service,
        client_of(service, session_config={"turn_detection": None}) as client,
    ):
        assert converse(client, **said) == "It is foggy."

    (difference,) = service.differences
    assert difference.command == command_number
    assert (difference.path, difference.expected, difference.got) == (path, expected, got)
    lines = recorded.read_bytes().splitlines()
    assert expected.encode() in lines[difference.line - 1]
    assert f"(line {difference.line}): {path}: expected {expected!r}, got {got!r}" in str(caught.value)


def test_a_changed_line(recorded: Path, tmp_path: Path) -> None:
    """The same file after one changed line: the difference is named."""
    changed = tmp_path / "b.rta"
    changed.write_bytes(recorded.read_bytes().replace(b'"output":"fog"', b'"output":"rain"', 1))
    with Emulator.replay(changed, is_strict=False) as service:
        with client_of(service, session_config={"turn_detection": None}) as client:
            converse(client)
        with pytest.raises(AssertionError, match=r"\$\.item\.output: expected 'rain', got 'fog'"):
            service.assert_same()


def test_another_configuration(recorded: Path) -> None:
    """A field of the session that was not recorded is a difference."""
    with Emulator.replay(recorded, is_strict=False) as service:
        with client_of(service, session_config={"turn_detection": None, "voice": "cedar"}):
            pass
        assert [str(difference) for difference in service.differences] == [
            "connection 1, command 1 (line 4): $.session.audio.output.voice: expected 'alloy', got 'cedar'"
        ]


def test_a_client_that_says_less(recorded: Path) -> None:
    """What has not come is named at the end, and so is a connection that was not made."""
    with (
        pytest.raises(AssertionError, match=r"\$\.type: expected 'input_audio_buffer.commit', got nothing$"),
        replay(recorded) as service,
        client_of(service, session_config={"turn_detection": None}),
    ):
        pass
    missing = "connection 1: connection: expected 'a connection', got nothing"
    with pytest.raises(AssertionError, match=missing), replay(recorded):
        pass


def test_a_failure_has_its_cause(recorded: Path) -> None:
    """A test that fails because the client differs is told so; one that fails otherwise is not."""

    def run_twice() -> None:
        with replay(recorded) as service:
            for _ in range(2):
                with client_of(service, session_config={"turn_detection": None}) as client:
                    converse(client)

    with pytest.raises(AssertionError, match="connection 2") as caught:
        run_twice()
    assert isinstance(caught.value.__cause__, Exception)
    with pytest.raises(KeyError), replay(recorded):
        raise KeyError("of the test")


def test_the_order_of_commands() -> None:
    """Between two events it does not matter; a command that comes too soon is a difference."""
    steps = [
        *BEGINNING,
        command("input_audio_buffer.clear"),
        command("response.cancel"),
        event("input_audio_buffer.cleared"),
        command("response.create"),
        event("test.done"),
    ]
    for kinds, differences in (
        (["response.cancel", "input_audio_buffer.clear", "response.create"], []),
        (["response.create"], ["$.type: expected 'input_audio_buffer.clear', got 'response.create'"]),
        (
            ["input_audio_buffer.clear", "response.cancel", "input_audio_buffer.clear", "response.create"],
            ["$.type: expected 'response.create', got 'input_audio_buffer.clear'"],
        ),
    ):
        with (
            Emulator.replay(recording_of(steps), is_strict=False) as service,
            client_of(service, **BARE) as client,
        ):
            told = Probe()
            client.on("test.done", told)
            client.on("error", lambda _: None)
            for kind in kinds:
                client.send({"type": kind})
            told.next()
            assert [str(found).split(": ", 1)[1] for found in service.differences] == differences


def test_more_than_was_recorded() -> None:
    """A command after the last one is a difference."""
    with Emulator.replay(recording_of(BEGINNING), is_strict=False) as service:
        with client_of(service, **BARE) as client:
            client.send({"type": "input_audio_buffer.clear"})
            service.wait_for_command("input_audio_buffer.clear")
        assert [str(found) for found in service.differences] == [
            "connection 1: $.type: expected nothing, got 'input_audio_buffer.clear'"
        ]


def test_ids_of_the_client() -> None:
    """They are given back as the client gave them; ids of the service are to be the recorded ones."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    steps = [
        *BEGINNING,
        command("conversation.item.create", event_id="c1", item=item),
        event("conversation.item.added", previous_item_id=None, item={**item, "id": "item_1"}),
        command("conversation.item.create", item={**item, "id": "mine"}, previous_item_id="item_1"),
        event("conversation.item.added", previous_item_id="item_1", item={**item, "id": "mine"}),
        event("conversation.item.added", item={"id": "item_2", "type": "message", "role": "assistant"}),
        command("conversation.item.truncate", item_id="item_2", content_index=0, audio_end_ms=300),
        command("conversation.item.delete", item_id="item_2"),
        event("conversation.item.deleted", item_id="item_2"),
    ]
    with (
        Emulator.replay(recording_of(steps), is_strict=False) as service,
        client_of(service, **BARE) as client,
    ):
        first = client.create_conversation_item(item).result(HANG).item.id
        second = client.create_conversation_item(item, previous_item_id=first).result(HANG)
        assert second.previous_item_id == first
        assert second.item.id not in ("mine", first)
        client.truncate_item("item_2", 0, 512)
        assert service.differences == ()
        client.delete_item("item_3")
        service.wait_for_command("conversation.item.delete")
        (difference,) = service.differences
        assert (difference.path, difference.expected, difference.got) == ("$.item_id", "item_2", "item_3")


def item_command(name: str, text: str) -> dict[str, Any]:
    """A command that makes an item with an id of the client's."""
    content = [{"type": "input_text", "text": text}]
    item = {"id": name, "type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item}


def expected(number: int, content: dict[str, Any]) -> Expected:
    """The step of a command."""
    return Expected(t=0.0, line=number, number=number, command=content, type=content["type"])


def engine_of(script: tuple[Step, ...], told: list[Difference]) -> ReplayEngine:
    return ReplayEngine(1, script, speed=None, without_texts=False, tell=told.append, now=0.0)


def test_a_comparison_that_fails_leaves_nothing() -> None:
    """An id that was taken for that of another command, which says something else, is free again."""
    told: list[Difference] = []
    engine = engine_of(tuple(expected(n, item_command(f"item_{n}", f"text {n}")) for n in (1, 2)), told)

    for n in (2, 1):
        engine.receive(orjson.dumps(item_command(f"other_{n}", f"text {n}")), 0.0)

    assert (told, engine.missing) == ([], None)
    assert engine._ids.translated({"item_id": "item_1"}) == {"item_id": "other_1"}
    assert engine._ids.translated({"item_id": "item_2"}) == {"item_id": "other_2"}


class Looked(tuple[Step, ...]):
    """A script that counts how often a step of it is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        Looked.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("differs", [False, True])
def test_a_command_costs_the_same_in_a_long_recording(differs: bool) -> None:
    """Neither all that is still to come is looked at, nor are all ids copied."""
    looks = []
    for count in (50, 200):
        steps: list[Step] = []
        for n in range(count):
            item = item_command(f"item_{n}", "hi")
            steps += [expected(n, item), Answer(0.0, {"type": "conversation.item.added", **item})]
        told: list[Difference] = []
        engine = engine_of(Looked(steps), told)
        ids, Looked.looks = engine._ids, 0
        for n in range(count):
            said = {"type": "response.cancel"} if differs else item_command(f"other_{n}", "hi")
            engine.receive(orjson.dumps(said), 0.0)
            while engine.pull(0.0) is not None:
                pass
        assert len(told) == (count if differs else 0)
        assert engine._ids is ids
        looks.append(Looked.looks)

    assert looks[1] < 5 * looks[0]


def test_ends_of_connections() -> None:
    """The service ends the connection as it was recorded, and a second connection has its own script."""
    end = {"dir": "close", "event": {"code": 1011}}
    recording = recording_of([*BEGINNING, command("input_audio_buffer.clear"), end])
    again = [attrs.evolve(entry, connection=2) for entry in recording_of(BEGINNING).entries]  # type: ignore[misc]
    both = Recording(recording.header, (*recording.entries, *again))
    with Emulator.replay(both) as service:
        for code in (1011, None):
            options = service.options(**BARE)
            with AzureRealTimeAudio(options, dispatcher=InlineDispatcher(), reconnect=None) as client:
                if code:
                    client.send({"type": "input_audio_buffer.clear"})
                    closed = client.wait_for("closed", timeout=HANG)
                    assert closed.error.close_code == code
                    with pytest.raises(ConnectionClosedError):
                        client.send({"type": "response.create"})


def test_a_recording_that_began_late() -> None:
    """The beginning of the connection, which was not recorded, is made up."""
    steps = [command("response.create"), event("test.done")]
    recording = recording_of(steps)
    opened = attrs.evolve(recording.entries[0], is_late=True)  # type: ignore[call-arg]
    late = Recording(recording.header, (opened, *recording.entries[1:]))
    with Emulator.replay(late) as service, client_of(service) as client:
        told = Probe()
        client.on("test.done", told)
        client.send({"type": "response.create"})
        told.next()


def test_a_damaged_configuration() -> None:
    """The dialect is then the usual one."""
    recording = recording_of(
        [*BEGINNING, command("input_audio_buffer.clear"), event("input_audio_buffer.cleared")]
    )
    header = attrs.evolve(recording.header, configuration={"dialect": {"ga": 1}, "deployment": 7})
    damaged = attrs.evolve(recording, header=header)
    with Emulator.replay(damaged) as service, client_of(service, **BARE) as client:
        told = Probe()
        client.on("input_audio_buffer.cleared", told)
        client.send({"type": "input_audio_buffer.clear"})
        told.next()


def test_sound_and_texts_that_were_left_out(tmp_path: Path) -> None:
    """Silence of the same length is sent in place of the sound; texts are not compared."""
    record = {"path": tmp_path / "a.rta", "sound": "none", "redact": "texts"}
    tool = {"type": "function", "name": "look", "description": "Looks."}
    other = {**tool, "description": "Looks about."}
    with (
        Emulator(pace=0) as emulator,
        AzureRealTimeAudio(emulator.options(session_config={"tools": [tool]}), record=record) as client,
    ):
        sound = client.ask("Hello!", timeout=HANG).audio
    with (
        Emulator.replay(tmp_path / "a.rta") as service,
        client_of(service, session_config={"tools": [other]}) as client,
    ):
        answer = client.ask("Good morning!", timeout=HANG)
    assert answer.audio == bytes(len(sound))


def test_speed() -> None:
    """With a speed, an event is sent as long after what came before it as it was recorded."""
    steps = [*BEGINNING, event("test.one"), event("test.two")]
    times: list[float] = []
    with Emulator.replay(recording_of(steps), speed=0.2) as service, client_of(service, **BARE) as client:
        client.on("test.one", lambda _: times.append(service._clock.monotonic()))
        told = Probe()
        client.on("test.two", told)
        told.next()
        assert service._clock.monotonic() - times[0] >= 0.04


def test_a_wrong_speed(recorded: Path) -> None:
    """It is named."""
    with pytest.raises(ValueError, match="speed"):
        Emulator.replay(recorded, speed=0)


def converse_over_a_loss(client: AzureRealTimeAudio, lose: Callable[[], object]) -> list[str]:
    """Ask, lose the connection, and ask again."""
    with client.events("reconnected", timeout=HANG) as events:
        texts = [client.ask("How is the weather?", timeout=HANG).text]
        lose()
        next(events)
    return [*texts, client.ask("And tomorrow?", timeout=HANG).text]


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_a_client_that_connected_again(tmp_path: Path, dialect: str) -> None:
    """The loss is made again, and the conversation is taken back as it was."""
    path, policy = tmp_path / "a.rta", {"initial_delay": 0.01}
    with (
        Emulator(pace=0) as service,
        AzureRealTimeAudio(service.options(dialect), record=path, reconnect=policy) as client,
    ):
        said = converse_over_a_loss(client, service.drop)

    with Emulator.replay(path) as service:
        with AzureRealTimeAudio(service.options(), reconnect=policy) as client:
            assert converse_over_a_loss(client, list) == said
        assert service.differences == ()


def test_a_recording_that_ends_with_a_loss(tmp_path: Path) -> None:
    """A client that connects again where the recording ends is sent away, and does not differ."""
    path, closed = tmp_path / "a.rta", Probe()
    with (
        Emulator(pace=0) as service,
        AzureRealTimeAudio(service.options(), record=path, reconnect=None) as client,
    ):
        client.ask("How is the weather?", timeout=HANG)
        with client.events("closed", timeout=HANG) as events:
            service.drop()
            next(events)

    with Emulator.replay(path) as service, AzureRealTimeAudio(service.options()) as client:
        client.on("closed", closed)
        client.ask("How is the weather?", timeout=HANG)
        assert closed.next().error.reason == "the recording ends here"
        assert service.differences == ()
