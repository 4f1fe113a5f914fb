"""What goes wrong in a conversation is said where a program looks, and once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from listeners import HANG, MARKER, NO_VAD, TONE, Aside, Connect, Probe, ready

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectError,
    ConnectionClosedError,
    ServiceError,
    TranscriptionFailedError,
)
from azure_rt_audio._session.rate_limits import RateLimits
from azure_rt_audio.emulator import (
    Close,
    Emulator,
    Failure,
    Faults,
    Refuse,
    Reply,
    Say,
    at_handshake,
    before,
)
from azure_rt_audio.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    RateLimitsUpdated,
    ResponseDone,
)
from azure_rt_audio.protocol.events.session import RateLimit
from azure_rt_audio.protocol.responses import Response

COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"
TRANSCRIBED = {**NO_VAD, "input_audio_transcription": {"model": "gpt-4o-transcribe"}}


@pytest.fixture
def dialect() -> str:
    """One dialect is enough: what is tested here does not know of it."""
    return "ga"


class Warnings:
    """What the log warns of."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def new(self) -> list[str]:
        """Return and forget the warnings until now."""
        found = [r.getMessage() for r in self._caplog.records if r.levelno >= logging.WARNING]
        self._caplog.clear()
        return found


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warnings:
    """The warnings of the client's log."""
    caplog.set_level(logging.WARNING, "azure_rt_audio")
    return Warnings(caplog)


@pytest.fixture
def untranscribed() -> Iterator[Emulator]:
    """A service without a deployment that transcribes."""
    with Emulator(pace=0, deployments=["gpt-realtime"]) as service:
        yield service


def speak(client: AzureRealTimeAudio) -> None:
    """Say something, as a turn of the user."""
    client.append_audio(TONE)
    client.commit_audio().result(HANG)


def settle(client: AzureRealTimeAudio, service: Emulator) -> None:
    """Wait until all that the service has said has been taken."""
    with client.events("test.marker", timeout=HANG) as markers:
        service.say(MARKER)
        next(markers)


# ------------------------------------------------------------ transcriptions


def test_a_failed_transcription_is_an_error(
    connect: Connect, untranscribed: Emulator, warned: Warnings
) -> None:
    """The listeners of errors are told, with the code and the deployment to make."""
    client, errors = ready(connect, service=untranscribed, session_config=TRANSCRIBED), Probe()
    client.on("error", errors)
    speak(client)

    error = errors.next()

    assert type(error) is TranscriptionFailedError
    assert (error.code, error.item_id) == ("DeploymentNotFound", client.conversation.entries[0].item.id)
    assert 'no deployment "gpt-4o-transcribe"' in error.message
    assert warned.new == []


@pytest.mark.parametrize("listens", [False, True])
def test_a_failed_transcription_is_logged_once(
    connect: Connect, untranscribed: Emulator, warned: Warnings, listens: bool
) -> None:
    """Where nobody listens for errors, unless the program listens for the event itself."""
    client = ready(connect, service=untranscribed, session_config=TRANSCRIBED)
    if listens:
        client.on(FAILED, lambda event: None)
    with client.events(FAILED if listens else "*", timeout=HANG) as events:
        for _ in range(2):
            speak(client)
            assert any(event.type == FAILED for event in events)
    settle(client, untranscribed)

    lines = warned.new
    assert len(lines) == (0 if listens else 1)
    assert all("DeploymentNotFound" in line for line in lines)


@pytest.mark.parametrize("way", ["listener", "class", "stream", "wait_for"])
def test_who_listens_while_transcription_is_off_is_told(
    connect: Connect, emulator: Emulator, warned: Warnings, way: str
) -> None:
    """Once, with the remedy, however the program listens."""
    client = ready(connect, session_config=NO_VAD)
    streams = []
    if way == "listener":
        client.on(COMPLETED, lambda event: None)
    elif way == "class":
        client.once(ConversationItemInputAudioTranscriptionCompleted, lambda event: None)
    elif way == "stream":
        streams.append(client.events(COMPLETED, "response.done"))
    else:
        with pytest.raises(TimeoutError):
            client.wait_for(COMPLETED, timeout=0.01)
    for _ in range(2):
        speak(client)
    settle(client, emulator)

    lines = warned.new
    assert len(lines) == 1
    assert "transcription is off" in lines[0]
    assert "input_audio_transcription" in lines[0]


def test_who_listens_before_it_is_turned_on_is_not_told(
    connect: Connect, emulator: Emulator, warned: Warnings
) -> None:
    """Nor is a program that has it on, or does not listen."""
    client, heard = ready(connect, session_config=NO_VAD), Probe()
    speak(client)
    client.on(COMPLETED, heard)
    client.update_session({"input_audio_transcription": {"model": "gpt-4o-transcribe"}})
    with client.events(COMPLETED):
        speak(client)
        heard.next()
    settle(client, emulator)

    assert warned.new == []


def test_a_recording_that_is_asked_with_is_not_transcribed(
    connect: Connect, emulator: Emulator, warned: Warnings
) -> None:
    """It is an item of its own; who listens for its words is told how to have them."""
    client = ready(connect, session_config=TRANSCRIBED)
    client.on(COMPLETED, lambda event: None)
    for _ in range(2):
        client.ask(TONE, timeout=HANG)

    (line,) = warned.new
    assert "ask()" in line
    assert "append_audio()" in line


# ------------------------------------------------------------ configurations


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"output": {"voice": "marin"}}, "voice is 'marin', not 'alloy'"),
        ({"output": {"voice": {"name": "ALLOY", "type": "standard"}}}, None),
        ({"output": {"format": {"type": "audio/pcmu"}}}, "output_audio_format is 'g711_ulaw', not 'pcm16'"),
        ({"input": {"format": {"type": "audio/pcma"}}}, "input_audio_format is 'g711_alaw', not 'pcm16'"),
        ({"output_modalities": ["text"]}, "modalities is ['text'], not ['text', 'audio']"),
        ({"output": {"speed": 1.5}}, None),
    ],
)
def test_a_configuration_that_came_back_different(
    connect: Connect, warned: Warnings, changed: dict[str, Any], says: str | None
) -> None:
    """What is heard otherwise than it was asked for is told once."""
    rest = {name: part for name, part in changed.items() if name == "output_modalities"}
    audio = {name: part for name, part in changed.items() if name not in rest}
    session = {"type": "realtime", "object": "realtime.session", **rest, "audio": audio}
    other = before(
        "session.updated", Say({"type": "session.updated", "session": session}), count=None, times=None
    )
    asked = {"voice": "alloy", "modalities": ["text", "audio"], "input_audio_format": "pcm16"}
    with Emulator(pace=0, faults=Faults(other)) as service:
        client = ready(connect, service=service, session_config=asked)
        with client.events("session.updated", timeout=HANG) as updates:
            client.update_session(asked)
            next(updates)
        settle(client, service)
        client.close()

    lines = warned.new
    assert len(lines) == (0 if says is None else 1)
    assert all(str(says) in line for line in lines)


# ------------------------------------------------------------ limits


def test_a_limit_that_was_told_of_says_how_long_to_wait() -> None:
    """If the error itself does not; the time since counts."""
    now = 100.0
    limits = RateLimits(lambda: now)
    limit = RateLimit(name="tokens", limit=100, remaining=0, reset_seconds=8.5)
    beside = RateLimit(name="requests", limit=100, remaining=3, reset_seconds=99.0)
    limits.take(RateLimitsUpdated(rate_limits=[limit, beside]))
    now += 2
    response = Response(id="r", status="failed")
    limits.take(ResponseDone(response=response))
    refusal = ServiceError("slow down", type="rate_limit_error")
    limits.complete(refusal)
    other = ServiceError("no", type="server_error")
    limits.complete(other)

    assert (refusal.retry_after, other.retry_after) == (6.5, None)
    assert response._limit_resets_in == 6.5


def test_a_session_at_its_limit(connect: Connect) -> None:
    """In words, or by the limits told before."""
    said = Failure("Please try again in 8.21s.", "rate_limit_exceeded", "rate_limit_error")
    silent = Failure("slow down", "rate_limit_exceeded", "rate_limit_error")
    replies = iter((said, silent))
    with Emulator(pace=0, responder=lambda *_: Reply(failure=next(replies))) as service:
        client = ready(connect, service=service)
        client.on("error", lambda error: None)
        waits = []
        for _ in range(2):
            with pytest.raises(ServiceError) as raised:
                client.ask("Hello?", timeout=HANG)
            waits.append(raised.value.retry_after)
            limits = [{"name": "tokens", "limit": 9, "remaining": 0, "reset_seconds": 60.0}]
            service.say({"type": "rate_limits.updated", "rate_limits": limits})
            settle(client, service)
        client.close()

    assert waits[0] == 8.21
    assert waits[1] is not None
    assert 50 < waits[1] <= 60


# ------------------------------------------------------------ what was raised is not warned of


def test_a_refusal_that_was_caught_is_not_warned_of(connect: Connect, warned: Warnings) -> None:
    """The program has it, and tries again."""
    with Emulator(faults=Faults(at_handshake(Refuse(503), times=2))) as service:
        for _ in range(2):
            with pytest.raises(ConnectError), connect(service=service):
                pass
        client = connect(service=service)
        assert client.ask("Hello!", timeout=HANG).is_completed
        client.close()

    assert warned.new == []


@pytest.mark.parametrize("way", ["ask", "wait_for", "events", "handle"])
def test_a_loss_that_was_raised_is_not_warned_of(connect: Connect, warned: Warnings, way: str) -> None:
    """It ended a call, which says why."""
    with Emulator(responder=lambda *_: Reply("And so on. " * 200)) as service:
        client = ready(connect, service=service, reconnect=None)
        calls: dict[str, Callable[[], object]] = {
            "ask": lambda: client.ask("Hello!", timeout=HANG),
            "wait_for": lambda: client.wait_for("mcp_list_tools.failed", timeout=HANG),
            "events": lambda: next(client.events("mcp_list_tools.failed", timeout=HANG)),
            "handle": lambda: list(client.create_response().text(HANG)),
        }
        call = Aside(calls[way])
        if way in ("ask", "handle"):
            service.wait_for_command("response.create")
        else:
            waits_for(client)
        service.inject(Close(1011))
        with pytest.raises(ConnectionClosedError):
            call.result()

    assert warned.new == []


def waits_for(client: AzureRealTimeAudio) -> None:
    """Wait until a call waits for an event."""
    engine, moment = client._engine, threading.Event()
    while not (engine.waiters.waiting or engine.streams.streams):
        moment.wait(0.005)


def test_a_loss_that_nobody_is_told_is_warned_of(connect: Connect, warned: Warnings) -> None:
    """Once."""
    with Emulator() as service:
        client = ready(connect, service=service, reconnect=None)
        ended = Probe()
        client.on("closed", ended)
        service.inject(Close(1011))
        ended.next()
        client.close()

    (line,) = warned.new
    assert "1011" in line


def test_an_ask_that_timed_out_is_not_warned_of(connect: Connect, warned: Warnings) -> None:
    """Nor is that there was nothing left to cancel: nobody has asked for that."""
    with Emulator(pace=0.01, responder=lambda *_: Reply("And so on. " * 200)) as service:
        client = ready(connect, service=service)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                client.ask("Hello!", timeout=0.05)
            service.wait_for_command("response.cancel")
        settle(client, service)
        client.close()

    assert warned.new == []


def test_the_content_of_a_file_is_not_appended(connect: Connect) -> None:
    """Its header would be heard; what to call is said."""
    client = ready(connect)
    content = b"RIFF" + bytes(4) + b"WAVE" + bytes(100)
    for rate in (None, 24_000):
        with pytest.raises(ValueError, match=r"send_audio_file\(path\)"):
            client.append_audio(content, rate)
