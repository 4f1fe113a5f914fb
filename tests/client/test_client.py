"""The client as a program uses it, against the service in miniature, in both dialects."""

from __future__ import annotations

import base64
import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, MARKER, NO_VAD, TONE, Aside, Connect, Probe, message, ready
from manual_clock import ManualClock

from azure_rt_audio import (
    AzureRealTimeAudio,
    ContentPart,
    MessageItem,
    Response,
    ResponseActiveError,
    ResponseConfig,
    ServiceError,
    SessionConfig,
    WebSocketState,
)
from azure_rt_audio.emulator import (
    Emulator,
    Failure,
    Reply,
    Silence,
    Swallow,
    before,
)


@pytest.fixture
def slow() -> Any:
    """A service that thinks until it is told to answer, and takes in what comes meanwhile."""
    with Emulator(pace=1) as service:
        yield service


def long_speech(client: AzureRealTimeAudio) -> None:
    """Put something into the conversation to which the answer takes minutes at the pace of speech."""
    client.create_conversation_item(
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Say: " + "so on " * 500}],
        }
    )


# ------------------------------------------------------------ connecting


def test_construction_connects(connect: Connect, emulator: Emulator, dialect: str) -> None:
    """The constructor returns at once, and the session becomes ready by itself."""
    client, probe = connect(), Probe()
    client.on("init", probe)

    session = probe.next()

    assert (client.is_initialized, client.state, client.session) == (True, WebSocketState.OPEN, session)
    assert emulator.connections[0].dialect == dialect
    (configured,) = emulator.received("session.update")
    assert configured["event_id"]
    assert (session.voice, session.turn_detection.threshold) == ("alloy", 0.4)
    assert session.input_audio_transcription is None


def unanswered(connect: Connect, emulator: Emulator) -> AzureRealTimeAudio:
    """Return a client whose connection is open, and whose service says nothing."""
    emulator.faults.add(before("session.created", Swallow()))
    client = connect()
    while client.state is WebSocketState.CONNECTING:
        threading.Event().wait(0.001)
    return client


def test_the_configuration_goes_out_on_session_created(
    clock: ManualClock, connect: Connect, emulator: Emulator
) -> None:
    """Nothing is said before the service has opened the session."""
    client = unanswered(connect, emulator)
    aside = Aside(client.wait_until_ready)
    clock.advance(60.0, client._engine.ready._condition)

    with pytest.raises(TimeoutError, match=r"is open, but session\.updated did not come"):
        aside.result()

    assert emulator.received() == []
    assert not client.is_initialized


def test_a_question_waits_for_the_session_no_longer_than_it_may(
    clock: ManualClock, connect: Connect, emulator: Emulator
) -> None:
    """Its time-out bounds the wait for a session that is never ready, too; nothing is asked then."""
    client = unanswered(connect, emulator)
    aside = Aside(lambda: client.ask("Hello", timeout=0.2))
    clock.advance(0.2, client._engine.ready._condition)

    with pytest.raises(TimeoutError, match=r"not ready after 0\.2 seconds.* session\.updated did not come"):
        aside.result()

    assert emulator.received() == []


def test_init_comes_with_the_first_update_only(client: AzureRealTimeAudio) -> None:
    """A later session.updated is not another init."""
    probe = Probe()
    client.on("init", probe)
    probe.next()

    client.update_session({"instructions": "x"}).result(HANG)
    client.on("session.updated", probe)
    client.update_session({"instructions": "y"}).result(HANG)

    assert [event.type for event in probe.until(lambda event: event.type == "session.updated")] == [
        "session.updated"
    ]


def test_the_first_method_waits(connect: Connect, emulator: Emulator) -> None:
    """A method that is called at once waits for the session, and is obeyed after the configuration."""
    client = connect(session_config=NO_VAD)

    client.append_audio(bytes(9600))
    client.commit_audio().result(HANG)

    assert [command["type"] for command in emulator.received()] == [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
    ]


def test_a_refused_configuration_can_be_mended(connect: Connect, emulator: Emulator) -> None:
    """If the service refuses the configuration, that is raised; an update that it takes makes it ready."""
    client, errors = connect(session_config={"extra": {"colour": 1}}), Probe()
    emulator.wait_for_command("session.update")

    for wait in (client.wait_until_ready, lambda: client.append_audio(bytes(2)), client.create_response):
        with pytest.raises(ServiceError, match="colour"):
            wait()
    client.on("error", errors)
    still_wrong = client.update_session({"extra": {"colour": 2}})
    with pytest.raises(ServiceError, match="colour"):
        client.wait_until_ready(HANG)
    client.update_session({"voice": "alloy"})
    client.wait_until_ready(HANG)

    assert isinstance(still_wrong.exception(HANG), ServiceError)
    assert errors.next().param == "session.colour"


def test_a_wrong_configuration_is_refused_at_once(emulator: Emulator, dialect: str) -> None:
    """What the service would refuse and can be known is an error of the constructor."""
    with pytest.raises(ValueError, match=r"turn_detection\.threshold"):
        AzureRealTimeAudio(
            {**emulator.options(dialect), "session_config": {"turn_detection": {"threshold": 7}}}
        )

    assert emulator.attempts == ()


def test_over_tls(tls_emulator: Emulator, tls_context: ssl.SSLContext, dialect: str) -> None:
    """A whole conversation over TLS."""
    options = tls_emulator.options(dialect)
    with AzureRealTimeAudio(options, {"ssl_context": tls_context}) as client:
        assert client.ask("Hello", timeout=HANG).text.startswith("Hello")


def test_repr(client: AzureRealTimeAudio, emulator: Emulator, dialect: str) -> None:
    """The repr says where to, in which dialect, and in what state."""
    shown = repr(client)
    client.close()

    assert shown == f"<AzureRealTimeAudio 127.0.0.1:{emulator.port} {dialect}, open>"
    assert repr(client).endswith("closed>")


# ------------------------------------------------------------ asking


def test_ask(client: AzureRealTimeAudio) -> None:
    """A question is put into the conversation and answered."""
    response = client.ask("please say: the tallest tree is a redwood", timeout=HANG)

    assert (response.status, response.text) == ("completed", "the tallest tree is a redwood")
    assert [(entry.role, entry.text) for entry in client.conversation.entries] == [
        ("user", "please say: the tallest tree is a redwood"),
        ("assistant", "the tallest tree is a redwood"),
    ]


def test_ask_with_sound(connect: Connect, keeping: Emulator) -> None:
    """A question may be sound."""
    client = ready(connect, service=keeping)

    response = client.ask(TONE, timeout=HANG)

    (created,) = keeping.received("conversation.item.create")
    assert created["item"]["content"] == [{"type": "input_audio", "audio": base64.b64encode(TONE).decode()}]
    assert response.is_completed


def test_ask_with_changes(client: AzureRealTimeAudio) -> None:
    """What to change for the response is passed on."""
    response = client.ask("Hello", response={"modalities": ["text"]}, timeout=HANG)

    assert response.output
    assert isinstance(response.output[0], MessageItem)
    assert [part.type for part in response.output[0].content or ()] == ["text"]


def test_ask_has_patience(clock: ManualClock, connect: Connect, slow: Emulator) -> None:
    """If the answer takes too long, it is cancelled, because nobody else could."""
    client = ready(connect, service=slow)
    created, done = Probe(), Probe()
    client.on("response.created", created)
    client.on("response.done", done)
    aside = Aside(lambda: client.ask("please say: " + "and so on " * 300, timeout=60.0))
    request = client._engine.response_queue.begun[created.next().response.id]
    pending = request.handle and request.handle()
    assert pending
    clock.advance(60.0, pending._condition)

    with pytest.raises(TimeoutError, match=r"took longer than 60\.0 seconds and was cancelled"):
        aside.result()

    assert done.next().response.reason == "client_cancelled"


def test_ask_that_is_refused() -> None:
    """If the question is refused, that is raised, and the answer to nothing is cancelled."""
    done, complete = Probe(), Probe()
    # Azure's refusal of an id that is taken does not say which command it is of.
    with Emulator(profile="documented") as emulator, AzureRealTimeAudio(emulator.options()) as client:
        client.on("response.done", done)
        client.on("conversation.item.done", complete)
        client.create_conversation_item({**message("a"), "id": "twice"}).result(HANG)
        complete.next()  # a later one would be taken for that of the question, whose id is new otherwise
        client._engine.sender.new_item_id = lambda: "twice"  # type: ignore[method-assign]

        with pytest.raises(ServiceError, match="already exists"):
            client.ask("b", timeout=HANG)

        done.next()
        assert len(emulator.received("response.create")) == 1


def test_stream_text_and_audio(client: AzureRealTimeAudio) -> None:
    """A response can be taken piece by piece, as text, as sound, or as events."""
    client.create_conversation_item(message("please say: one two three"))
    pending = client.create_response()

    text = "".join(pending.text(HANG))
    sound = b"".join(pending.audio(HANG))

    assert text == "one two three"
    assert (len(sound) > 24_000, len(sound) % 2) == (True, 0)
    assert [event.type for event in pending][:: len(list(pending)) - 1] == [
        "response.created",
        "response.done",
    ]


# ------------------------------------------------------------ responses


def test_the_second_response_waits_its_turn(connect: Connect, emulator: Emulator) -> None:
    """Two requests at once are answered one after the other, without an error."""
    client, errors = ready(connect), Probe()
    client.on("error", errors)

    handles = [client.create_response() for _ in range(3)]

    assert [handle.result(HANG).status for handle in handles] == ["completed"] * 3
    assert len({handle.id for handle in handles}) == 3
    assert errors.told == []
    events = [
        event["type"] for event in emulator.sent() if event["type"] in ("response.created", "response.done")
    ]
    assert events == ["response.created", "response.done"] * 3


def test_it_can_raise_instead(connect: Connect, slow: Emulator) -> None:
    """Who does not want to wait for a turn is told so."""
    client = ready(connect, service=slow)
    long_speech(client)
    pending = client.create_response()

    with pytest.raises(ResponseActiveError):
        client.create_response(if_active="raise")
    with pytest.raises(ValueError, match="if_active"):
        client.create_response(if_active="never")  # type: ignore[arg-type]

    pending.cancel()
    assert pending.result(HANG).reason == "client_cancelled"


def test_out_of_band_runs_beside(connect: Connect, slow: Emulator) -> None:
    """An out-of-band response is not held up by the conversation's, and leaves no trace in it."""
    client = ready(connect, service=slow)
    long_speech(client)
    speech = client.create_response()

    beside = client.create_response(
        ResponseConfig(
            conversation="none",
            input=[MessageItem(role="user", content=[ContentPart(type="input_text", text="Say: aside")])],
            modalities=["text"],
            metadata={"topic": "aside"},
        )
    )

    response = beside.result(HANG)
    assert (response.text, response.conversation_id, speech.done) == ("aside", None, False)
    assert (response.metadata or {})["topic"] == "aside"
    assert all(entry.text != "aside" for entry in client.conversation.entries)
    client.cancel_response()
    assert speech.result(HANG).status == "cancelled"


def test_cancel_before_it_begins(connect: Connect, emulator: Emulator) -> None:
    """A cancel that overtakes response.created takes effect when that comes."""
    client = ready(connect, service=(service := Emulator(pace=1).start()))
    try:
        long_speech(client)
        pending = client.create_response()
        client.cancel_response()

        assert pending.result(HANG).status == "cancelled"
        (cancel,) = service.received("response.cancel")
        assert cancel["response_id"] == pending.id
    finally:
        client.close()
        service.stop()


def test_cancel_of_nothing_is_benign(connect: Connect) -> None:
    """Cancelling when nothing is in progress is an error that ends nothing."""
    client, errors = ready(connect), Probe()
    client.on("error", errors)

    client.cancel_response()

    error = errors.next()
    assert (error.code, error.is_benign) == ("response_cancel_not_active", True)
    assert client.ask("Hello", timeout=HANG).is_completed


def test_a_wrong_request_does_not_block_the_queue(client: AzureRealTimeAudio) -> None:
    """A request that cannot be right is refused where it is written, also if it would have to wait."""
    first = client.create_response()

    with pytest.raises(ValueError, match=r"response\.max_output_tokens"):
        client.create_response({"max_output_tokens": 0})

    following = client.create_response()
    assert (first.result(HANG).status, following.result(HANG).status) == ("completed", "completed")


@pytest.mark.parametrize(
    ("reply", "status", "reason", "kind"),
    [
        (Reply("so", incomplete="content_filter"), "incomplete", "content_filter", None),
        (Reply("so", incomplete="max_output_tokens"), "incomplete", "max_output_tokens", None),
        (
            Reply(failure=Failure("slow down", "inference_rate_limit_exceeded", "invalid_request_error")),
            "failed",
            "inference_rate_limit_exceeded",
            "rate_limit_error",
        ),
        (Reply(failure=Failure()), "failed", Failure().message, "server_error"),
    ],
    ids=["filter", "tokens", "rate limit", "server"],
)
def test_how_a_response_ended(
    connect: Connect,
    reply: Reply,
    status: str,
    reason: str,
    kind: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that failed raises; one that was cut short is returned, with its reason, which the log has too."""
    caplog.set_level(logging.WARNING, "azure_rt_audio._session")
    with Emulator(pace=0, responder=lambda *_: reply) as service:
        client, errors = ready(connect, service=service), Probe()
        client.on("error", errors)
        pending = client.create_response()

        response = pending.result(HANG, check=False)

        assert (response.status, response.reason) == (status, reason)
        assert pending.error is not None
        assert pending.error.code == (None if reason == Failure().message else reason)
        if kind is not None:
            assert errors.next().type == pending.error.type == kind
            with pytest.raises(ServiceError) as raised:
                client.ask("And now?", timeout=HANG)
            assert raised.value.response.status == "failed"
            assert client.ask("And now?", timeout=HANG, check=False).status == "failed"
        else:
            assert client.ask("And now?", timeout=HANG).error is not None
        client.close()
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == (0 if kind else 2)
    assert all(response.id in line for line in warned[:1])


def test_a_failure_the_caller_knows_is_not_logged_as_unheard(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """What a future or a handle was told is no warning; what nobody was told is one."""
    caplog.set_level(logging.WARNING, "azure_rt_audio._session")
    with Emulator(pace=0, responder=lambda *_: Reply(failure=Failure("oh"))) as service:
        client = ready(connect, service=service, session_config=NO_VAD)
        pending = client.create_response()
        pending.result(HANG, check=False)
        commit = client.commit_audio()
        commit.exception(HANG)
        told = [record.getMessage() for record in caplog.records]
        service.inject(Silence())
        client.commit_audio()
        commit_id = service.wait_for_command("input_audio_buffer.commit", count=2)["event_id"]
        service.resume()
        nobodys = {"id": "r", "status": "failed", "output": []}
        refusal = {"type": "invalid_request_error", "message": "nobody cares", "event_id": commit_id}
        with client.events("test.marker", timeout=HANG) as markers:
            service.say({"type": "error", "error": refusal})
            service.say({"type": "response.done", "response": nobodys})
            service.say(MARKER)
            next(markers)
        client.close()

    assert told == []
    logged = [record.getMessage() for record in caplog.records]
    # The service may yet come to say what it really thinks of the second commit.
    assert [text for text in logged if "buffer too small" not in text] == [
        "! the service refused: nobody cares",
        "! response r failed: the service gave no reason",
    ]


# ------------------------------------------------------------ commands and their futures


def test_acknowledged_commands(connect: Connect) -> None:
    """Each command's future has the event that acknowledges it."""
    client = ready(connect, session_config=NO_VAD)
    client.append_audio(bytes(9600))

    futures = [
        client.commit_audio(),
        client.clear_audio_buffer(),
        client.create_conversation_item(message("a")),
        client.update_session({"instructions": "x"}),
    ]

    assert [future.result(HANG).type for future in futures] == [
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "conversation.item.added",
        "session.updated",
    ]


def test_items_find_their_own_acknowledgement(client: AzureRealTimeAudio) -> None:
    """Many items at once are told apart by their ids."""
    futures = [client.create_conversation_item(message(str(number))) for number in range(20)]

    texts = [future.result(HANG).item.text for future in futures]

    assert texts == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda c: c.commit_audio(), "input_audio_buffer_commit_empty"),
        (lambda c: c.delete_item("nobody"), "item_delete_invalid_item_id"),
        (lambda c: c.retrieve_item("nobody"), "item_retrieve_invalid_item_id"),
        (lambda c: c.truncate_item("nobody", 0, 0), "item_truncate_invalid_item_id"),
        (
            lambda c: c.create_conversation_item(message("a"), "nobody"),
            "item_create_invalid_previous_item_id",
        ),
        (
            lambda c: c.create_conversation_item(
                {"type": "function_call_output", "call_id": "nobody", "output": ""}
            ),
            "invalid_tool_call_id",
        ),
        (lambda c: c.update_session({"extra": {"colour": 1}}), "unknown_parameter"),
    ],
)
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "unnamed"])
def test_a_refused_command_fails_its_future(
    connect: Connect, emulator: Emulator, command: Callable[[Any], Any], code: str, is_named: bool
) -> None:
    """A refusal reaches the future of its command, whether or not the service says which it means."""
    client = ready(connect, session_config=NO_VAD)
    if not is_named:
        client._engine.sender.new_event_id = lambda: None  # type: ignore[assignment,method-assign,return-value]

    error = command(client).exception(HANG)

    assert (type(error), error.code) == (ServiceError, code)
    assert error.message.startswith("the service refused: ")
    assert client.ask("Hello", timeout=HANG).is_completed


def test_null_and_unset(connect: Connect, emulator: Emulator) -> None:
    """``None`` is sent as null and clears; what is left out is not sent and stays."""
    client = ready(connect)

    client.update_session({"input_audio_transcription": {"model": "w"}}).result(HANG)
    client.update_session({"turn_detection": None}).result(HANG)
    client.update_session(SessionConfig(instructions="x")).result(HANG)

    assert client.session is not None
    assert (client.session.turn_detection, client.session.voice) == (None, "alloy")
    assert client.session.input_audio_transcription is not None
    first, second = (command["session"] for command in emulator.received("session.update")[2:])
    flat = first.get("audio", {}).get("input", first)
    assert flat["turn_detection"] is None
    assert "turn_detection" not in str(second)


def test_a_partial_session_updates_what_it_names(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """If the service reports a part of the session, the rest is as it was; an explicit null is null."""
    with client.events("session.updated", timeout=HANG) as updates:
        emulator.say({"type": "session.updated", "session": {"instructions": "new", "turn_detection": None}})
        next(updates)

    session = client.session
    assert session is not None
    assert (session.instructions, session.turn_detection, session.voice) == ("new", None, "alloy")
    assert session.input_audio_format == "pcm16"


def test_completion_offers_what_programs_use(client: AzureRealTimeAudio) -> None:
    """Methods by which the I/O thread feeds the user's objects are not offered."""
    offered = [
        {name for name in dir(thing) if name[0] != "_"}
        for thing in (client.conversation, client.create_response(), client.events(), Response())
    ]

    assert offered[0] == {"entries", "get", "lost", "mcp_tools", "shortened", "to_dict", "to_json"}
    assert not set().union(*offered) & {"apply", "feed", "finish", "end", "keep_sound", "offer"}
