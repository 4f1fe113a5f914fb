"""
Every name of the TypeScript SDK's documentation, used for real against the emulator, in both dialects.

The tables below are written out by hand; nothing here is derived from the code under test, so a name
that disappears is missed.
"""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from listeners import HANG, Connect, Probe

from azure_rt_audio import (
    AzureRealTimeAudio,
    AzureRealTimeOptions,
    ModelStatusEnum,
    PendingResponse,
    Subscription,
    WebSocketState,
)
from azure_rt_audio._typescript import TypeScriptNames
from azure_rt_audio.emulator import Emulator

SILENCE = base64.b64encode(bytes(9600)).decode()  # 200 ms
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
CALL = {"type": "function_call", "call_id": "call_123", "name": "get_weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_123", "output": json.dumps({"weather": "sunny"})}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A service that takes its time, a twentieth of what it says, so that it can be interrupted."""
    with Emulator(pace=20) as service:
        yield service


@pytest.fixture
def quiet(connect: Connect) -> AzureRealTimeAudio:
    """A client that is ready, with turn detection off, so that only it acts."""
    client = connect(session_config={"turn_detection": None, "input_audio_format": "pcm16"})
    client.wait_until_ready(HANG)
    return client


def spoken(client: AzureRealTimeAudio) -> str:
    """Let the model speak, and return the id of what it said."""
    response = client.create_response().result(HANG)
    assert response.output
    item_id = response.output[0].id
    assert item_id is not None
    return item_id


# ------------------------------------------------------------ methods and properties


def _is_initialized(client: AzureRealTimeAudio, name: str) -> None:
    assert getattr(client, name) is True


def _status(client: AzureRealTimeAudio, name: str) -> None:
    probe = Probe()
    client.on("status_changed", probe)
    setattr(client, name, ModelStatusEnum.SPEAKING)
    assert getattr(client, name) is ModelStatusEnum.SPEAKING
    assert (probe.next().status, getattr(client, name)) == ("speaking", "speaking")


def _state(client: AzureRealTimeAudio, name: str) -> None:
    assert getattr(client, name) is WebSocketState.OPEN
    client.close()
    assert getattr(client, name) is WebSocketState.CLOSED


def _on(client: AzureRealTimeAudio, name: str) -> None:
    probe = Probe()
    assert isinstance(getattr(client, name)("input_audio_buffer.cleared", probe), Subscription)
    for _ in range(2):
        client.clear_audio_buffer()
        assert probe.next().type == "input_audio_buffer.cleared"


def _once(client: AzureRealTimeAudio, name: str) -> None:
    probe, marker = Probe(), Probe()
    getattr(client, name)("input_audio_buffer.cleared", probe)
    client.on("input_audio_buffer.cleared", marker)
    for _ in range(2):
        client.clear_audio_buffer()
        marker.next()
    assert len(probe.told) == 1


def _off(client: AzureRealTimeAudio, name: str) -> None:
    one, other, marker = Probe(), Probe(), Probe()
    for probe in (one, other, marker):
        client.on("input_audio_buffer.cleared", probe)
    getattr(client, name)("input_audio_buffer.cleared", one)
    client.clear_audio_buffer()
    marker.next()
    assert (len(one.told), len(other.told)) == (0, 1)
    getattr(client, name)("input_audio_buffer.cleared")
    client.on("*", marker)
    client.clear_audio_buffer().result(HANG)
    marker.next()
    assert other.told == []


def _off_all(client: AzureRealTimeAudio, name: str) -> None:
    probe, marker = Probe(), Probe()
    for event in ("input_audio_buffer.cleared", "*", "init"):
        client.on(event, probe)
    assert probe.next() == client.session  # init is told to latecomers
    getattr(client, name)()
    client.on("input_audio_buffer.cleared", marker)
    client.clear_audio_buffer()
    marker.next()
    assert probe.told == []


def _append_audio(client: AzureRealTimeAudio, name: str) -> None:
    assert getattr(client, name)(SILENCE) is None
    assert client.commit_audio().result(HANG).item_id


def _commit_audio(client: AzureRealTimeAudio, name: str) -> None:
    client.append_audio(SILENCE)
    future = getattr(client, name)()
    assert isinstance(future, Future)
    assert future.result(HANG).type == "input_audio_buffer.committed"


def _clear_audio_buffer(client: AzureRealTimeAudio, name: str) -> None:
    client.append_audio(SILENCE)
    assert getattr(client, name)().result(HANG).type == "input_audio_buffer.cleared"
    error = client.commit_audio().exception(HANG)
    assert getattr(error, "code", None) == "input_audio_buffer_commit_empty"


def _create_conversation_item(client: AzureRealTimeAudio, name: str) -> None:
    create = getattr(client, name)
    first = create(USER).result(HANG).item
    create(CALL).result(HANG)
    create(OUTPUT).result(HANG)
    second = create(USER, first.id).result(HANG).item
    ids = [entry.item.id for entry in client.conversation.entries]
    assert (ids[:2], len(ids)) == ([first.id, second.id], 4)


def _delete_item(client: AzureRealTimeAudio, name: str) -> None:
    item_id = client.create_conversation_item(USER).result(HANG).item.id
    assert getattr(client, name)(item_id).result(HANG).item_id == item_id
    assert len(client.conversation) == 0


def _truncate_item(client: AzureRealTimeAudio, name: str) -> None:
    item_id = spoken(client)
    event = getattr(client, name)(item_id, 0, 50).result(HANG)
    assert (event.item_id, event.content_index, event.audio_end_ms) == (item_id, 0, 50)


def _retrieve_item(client: AzureRealTimeAudio, name: str) -> None:
    item_id = client.create_conversation_item(USER).result(HANG).item.id
    assert getattr(client, name)(item_id).result(HANG).item.id == item_id


def _create_response(client: AzureRealTimeAudio, name: str) -> None:
    pending = getattr(client, name)()
    assert isinstance(pending, PendingResponse)
    assert pending.result(HANG).is_completed
    brief = {"modalities": ["text"], "instructions": "Please answer concisely.", "max_output_tokens": 100}
    assert getattr(client, name)(brief).result(HANG).text


def _cancel_response(client: AzureRealTimeAudio, name: str) -> None:
    long = [{"type": "input_text", "text": "Please say: " + "and so on " * 300}]
    client.create_conversation_item({**USER, "content": long})
    pending = client.create_response()
    getattr(client, name)()
    assert pending.result(HANG).status == "cancelled"


def _set_model_speak_done(client: AzureRealTimeAudio, name: str) -> None:
    spoken(client)
    assert client.status is ModelStatusEnum.SPEAKING
    getattr(client, name)()
    assert client.status is ModelStatusEnum.IDLE


def _close(client: AzureRealTimeAudio, name: str) -> None:
    assert getattr(client, name)()
    assert client.state is WebSocketState.CLOSED


NAMES: list[tuple[str, str, Callable[[AzureRealTimeAudio, str], None]]] = [
    ("status", "status", _status),
    ("isInitialized", "is_initialized", _is_initialized),
    ("state", "state", _state),
    ("on", "on", _on),
    ("once", "once", _once),
    ("off", "off", _off),
    ("offAll", "off_all", _off_all),
    ("appendAudio", "append_audio", _append_audio),
    ("commitAudio", "commit_audio", _commit_audio),
    ("clearAudioBuffer", "clear_audio_buffer", _clear_audio_buffer),
    ("createConversationItem", "create_conversation_item", _create_conversation_item),
    ("deleteItem", "delete_item", _delete_item),
    ("truncateItem", "truncate_item", _truncate_item),
    ("createResponse", "create_response", _create_response),
    ("cancelResponse", "cancel_response", _cancel_response),
    ("setModelSpeakDone", "set_model_speak_done", _set_model_speak_done),
    ("close", "close", _close),
]
"""The name in the SDK, the name in Python, and what it does."""


@pytest.mark.parametrize(
    ("name", "use"),
    [
        pytest.param(name, use, id=name)
        for theirs, ours, use in NAMES
        for name in dict.fromkeys((theirs, ours))
    ],
)
def test_every_member_does_what_it_says(
    quiet: AzureRealTimeAudio, name: str, use: Callable[[AzureRealTimeAudio, str], None]
) -> None:
    """Each method and property works, under the SDK's name and under its own."""
    use(quiet, name)


def test_the_table_has_all_camel_case_names() -> None:
    """No camelCase name exists that the table does not use."""
    written = {name for name in vars(TypeScriptNames) if not name.startswith("_")}

    assert written == {theirs for theirs, ours, _ in NAMES if theirs != ours}


RENAMED = [(theirs, ours) for theirs, ours, _ in NAMES if theirs != ours]


@pytest.mark.parametrize(("theirs", "ours"), RENAMED)
def test_a_subclass_overrides_both_names(emulator: Emulator, theirs: str, ours: str) -> None:
    """Who overrides the canonical method has overridden the other name as well."""
    calls: list[tuple[object, ...]] = []

    def override(self: AzureRealTimeAudio, *args: object) -> str:
        calls.append(args)
        return "overridden"

    overriding: Any = property(override) if ours == "is_initialized" else override
    cls = type("Mine", (AzureRealTimeAudio,), {ours: overriding})
    client = cls(emulator.options())
    try:
        attribute = getattr(client, theirs)
        parameters = (
            inspect.signature(getattr(TypeScriptNames, theirs)).parameters if callable(attribute) else ()
        )
        needed = list(parameters)[1:]
        answer = attribute(*needed) if callable(attribute) else attribute
    finally:
        client.close()

    assert answer == (None if ours in _SILENT else "overridden")
    assert [list(args) for args in calls] == [needed]


_SILENT = {"off_all", "append_audio", "cancel_response", "set_model_speak_done"}
"""Those that return nothing."""


def test_camel_case_keywords(quiet: AzureRealTimeAudio) -> None:
    """Arguments may be given by the SDK's names, too."""
    quiet.appendAudio(base64Audio=SILENCE)
    first = quiet.createConversationItem(item=USER).result(HANG).item.id
    assert first is not None
    quiet.createConversationItem(item=USER, previousItemId=first).result(HANG)
    quiet.createResponse(responseConfig={"modalities": ["text"]}).result(HANG)
    item_id = spoken(quiet)
    quiet.truncateItem(itemId=item_id, contentIndex=0, audioEndMs=20).result(HANG)

    assert quiet.deleteItem(itemId=first).result(HANG).item_id == first


# ------------------------------------------------------------ events

EVENTS = [
    "init",
    "input_audio_buffer.speech_started",
    "response.created",
    "response.audio.delta",
    "response.done",
    "error",
]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event(connect: Connect, event: str) -> None:
    """Each event of the documentation's examples reaches a listener that names it so."""
    client, probe = connect(), Probe()
    client.on(event, probe)
    client.once("init", lambda session: client.create_response())
    client.wait_until_ready(HANG)
    if event == "input_audio_buffer.speech_started":
        client.append_audio((b"\x00\x40\x00\xc0" * 240) * 50)
    elif event == "error":
        client.commit_audio()

    told = probe.next()

    assert getattr(told, "type", None) == ("invalid_request_error" if event == "error" else told.type)


ERROR_TYPES = ["connection_error", "authentication_error", "rate_limit_error"]


@pytest.mark.parametrize("kind", ERROR_TYPES)
def test_every_kind_of_error(connect: Connect, emulator: Emulator, kind: str) -> None:
    """An error listener distinguishes the documented kinds, and each error has a message."""
    from azure_rt_audio.emulator import Refuse, at_handshake

    status = {"authentication_error": 401, "rate_limit_error": 429}.get(kind)
    if status is not None:
        emulator.faults.add(at_handshake(Refuse(status)))
    client, probe = connect(reconnect=None), Probe()
    client.on("error", probe)
    if status is None:
        client.wait_until_ready(HANG)
        emulator.drop()

    error = probe.next()

    assert (error.type, bool(error.message)) == (kind, True)


# ------------------------------------------------------------ enumerations


def test_model_status() -> None:
    """The four states of the model, by name and value."""
    assert {status.name: status.value for status in ModelStatusEnum} == {
        "IDLE": "idle",
        "LISTENING": "listening",
        "THINKING": "thinking",
        "SPEAKING": "speaking",
    }


def test_websocket_state() -> None:
    """The four states of the connection, with the numbers of a browser."""
    assert {state.name: int(state) for state in WebSocketState} == {
        "CONNECTING": 0,
        "OPEN": 1,
        "CLOSING": 2,
        "CLOSED": 3,
    }


# ------------------------------------------------------------ options

OPTIONS = ["hostName", "apiVersion", "deployment", "apiKey", "sessionConfig"]
SESSION: dict[str, Any] = {
    "voice": "verse",
    "instructions": "You are a friendly AI assistant.",
    "input_audio_format": "pcm16",
    "output_audio_format": "g711_alaw",
    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800},
    "tools": [{"type": "function", "name": "get_weather", "description": "d", "parameters": {}}],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "temperature": 0.7,
    "max_response_output_tokens": 1000,
}
"""Every field of the documentation's session configuration."""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("spelling", ["theirs", "ours", "object"])
@pytest.mark.parametrize("camel_case_session", [False, True])
def test_every_option_reaches_the_service(
    emulator: Emulator, dialect: str, spelling: str, camel_case_session: bool
) -> None:
    """Options and session configuration, in any spelling, are what the service is told."""
    session = {
        name: value for name, value in SESSION.items() if dialect == "preview" or name != "temperature"
    }
    given = emulator.options(dialect)
    config: Any = {_camel(n): v for n, v in session.items()} if camel_case_session else session
    values = dict(
        zip(
            OPTIONS,
            (given["host_name"], given["api_version"], given["deployment"], given["api_key"], config),
            strict=True,
        )
    )
    names = dict(
        zip(OPTIONS, ("host_name", "api_version", "deployment", "api_key", "session_config"), strict=True)
    )
    options: Any = values if spelling == "theirs" else {names[n]: v for n, v in values.items()}
    if spelling == "object":
        options = AzureRealTimeOptions(**options)

    with AzureRealTimeAudio(options) as client:
        in_force = client.session

    assert in_force is not None
    assert in_force.voice == "verse"
    assert in_force.instructions == session["instructions"]
    assert (in_force.input_audio_format, in_force.output_audio_format) == ("pcm16", "g711_alaw")
    assert in_force.turn_detection is not None
    assert (in_force.turn_detection.threshold, in_force.turn_detection.silence_duration_ms) == (0.5, 800)
    assert in_force.tools is not None
    assert in_force.tools[0].name == "get_weather"  # type: ignore[union-attr]
    (told,) = emulator.received("session.update")
    assert told["session"]["tool_choice"] == session["tool_choice"]
    assert in_force.max_response_output_tokens == 1000
    if dialect == "preview":
        assert in_force.temperature == 0.7


def test_the_constructor_takes_three_arguments_by_position(emulator: Emulator) -> None:
    """Options, WebSocket options and the WebSocket's implementation stand in the SDK's order."""
    import websocket

    made: list[object] = []

    class Mine(websocket.WebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*args, **options)

    with AzureRealTimeAudio(emulator.options(), {"connectTimeout": HANG}, Mine) as client:
        assert client.isInitialized

    assert len(made) == 1


def test_the_documents_complete_example(connect: Connect) -> None:
    """The listeners of the documentation's voice assistant may set the status themselves."""
    client, done = connect(), Probe()
    statuses = [
        ("input_audio_buffer.speech_started", ModelStatusEnum.LISTENING),
        ("response.created", ModelStatusEnum.THINKING),
        ("response.audio.delta", ModelStatusEnum.SPEAKING),
        ("response.done", ModelStatusEnum.IDLE),
    ]
    for event, status in statuses:
        client.on(event, lambda _, status=status: setattr(client, "status", status))
    client.once("init", lambda session: client.createResponse())

    client.on("response.done", done)

    assert done.next().response.status == "completed"
    assert client.status is ModelStatusEnum.IDLE
