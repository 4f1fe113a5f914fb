"""
``openai``: its clients for both protocols, made to look as strictly as they can.

Every message is parsed by the model class of its own ``type``, in pydantic's strict mode, not by the lenient
constructor that the package uses for itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import typing
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from foreign_service import CHUNK, KEY, LONG, Serve, cuts, ended, interrupted, silence, speech

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.foreign

DIALECTS = ("ga", "preview")
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
}


def models(dialect: str) -> dict[str, Any]:
    """The package's model class of each server event, by the type it is for."""
    if dialect == "ga":
        from openai.types.realtime.realtime_server_event import RealtimeServerEvent
    else:
        from openai.types.beta.realtime.realtime_server_event import RealtimeServerEvent
    union = typing.get_args(RealtimeServerEvent)[0]
    return {
        typing.get_args(model.model_fields["type"].annotation)[0]: model for model in typing.get_args(union)
    }


class Talk:
    """A conversation held by the foreign client, everything it hears judged strictly."""

    def __init__(self, service: Emulator, connection: Any, dialect: str) -> None:
        self.service = service
        self.connection = connection
        self.dialect = dialect
        self.heard: list[Any] = []
        self._models = models(dialect)

    def hear(self) -> Any:
        """The next event, validated by its own model."""
        raw = self.connection.recv_bytes()
        kind = json.loads(raw)["type"]
        event = self._models[kind].model_validate_json(raw, strict=True)
        self.heard.append(event)
        return event

    def until(self, kind: str) -> Any:
        """Hear up to an event, named as in preview."""
        wanted = self.wire(kind)
        while True:
            event = self.hear()
            assert event.type != "error" or wanted == "error", event
            if event.type == wanted:
                return event

    def wire(self, kind: str) -> str:
        """A name of the preview dialect in this one."""
        if self.dialect == "preview":
            return kind
        if kind == "conversation.item.created":
            return "conversation.item.added"
        for old in ("text", "audio", "audio_transcript"):
            if kind.startswith(f"response.{old}."):
                return kind.replace(f"response.{old}.", f"response.output_{old}.")
        return kind

    def say(self, text: str) -> None:
        """A user's message in writing, and the wish for an answer."""
        self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )
        self.connection.response.create()

    def speak(self, chunks: list[bytes]) -> None:
        """Send sound."""
        for chunk in chunks:
            self.connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())

    def configure(self, **flat: Any) -> Any:
        """Update the session, given in preview's flat names; return it as acknowledged."""
        self.connection.session.update(session=self.session(**flat))
        return self.until("session.updated").session

    def session(self, **flat: Any) -> dict[str, Any]:
        """A session in this dialect's shape."""
        if self.dialect == "preview":
            return flat
        session: dict[str, Any] = {"type": "realtime"}
        for name, value in flat.items():
            if name == "modalities":
                session["output_modalities"] = value
            elif name == "turn_detection":
                session.setdefault("audio", {}).setdefault("input", {})[name] = value
            elif name == "input_audio_transcription":
                session.setdefault("audio", {}).setdefault("input", {})["transcription"] = value
            elif name == "voice":
                session.setdefault("audio", {}).setdefault("output", {})[name] = value
            else:
                session[name] = value
        return session

    def text(self, kind: str) -> str:
        """All deltas heard of a kind, together."""
        return "".join(event.delta for event in self.heard if event.type == self.wire(kind))

    def order(self) -> list[str]:
        """The types heard, repetitions of deltas left out."""
        seen: list[str] = []
        for event in self.heard:
            if not event.type.endswith(".delta") or event.type not in seen:
                seen.append(event.type)
        return seen


Opener = Callable[..., Talk]


@pytest.fixture
def talk(serve: Serve) -> Iterator[Opener]:
    """Opens a talk in a dialect with an emulator of its own."""
    with contextlib.ExitStack() as stack:

        def opened(dialect: str, **settings: Any) -> Talk:
            service = stack.enter_context(serve(**settings))
            base = f"127.0.0.1:{service.port}/openai"
            client: Any
            if dialect == "ga":
                client = stack.enter_context(openai.OpenAI(api_key=KEY, base_url=f"http://{base}/v1"))
                manager = client.realtime.connect(model="gpt-realtime")
            else:
                client = stack.enter_context(
                    openai.AzureOpenAI(
                        api_key=KEY,
                        azure_endpoint=f"http://127.0.0.1:{service.port}",
                        api_version="2025-04-01-preview",
                        websocket_base_url=f"ws://{base}",
                    )
                )
                manager = client.beta.realtime.connect(model="gpt-4o-realtime-preview")
            held = Talk(service, stack.enter_context(manager), dialect)
            assert held.hear().type == "session.created"
            return held

        yield opened


@pytest.mark.parametrize("dialect", DIALECTS)
def test_text_turn(talk: Opener, dialect: str) -> None:
    """A question in writing is answered in writing, in the documented order."""
    held = talk(dialect, responder=lambda conversation, session: f"Echo: {conversation.last_user_text}")
    held.configure(modalities=["text"])
    held.heard.clear()
    held.say("good morning")
    done = held.until("response.done")
    if dialect == "preview":
        assert held.hear().type == "rate_limits.updated"

    assert held.text("response.text.delta") == "Echo: good morning"
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].text == "Echo: good morning"
    assert (
        done.response.usage.total_tokens
        == done.response.usage.input_tokens + done.response.usage.output_tokens
    )
    asked = ["conversation.item.added", "conversation.item.done"]
    begun, ended = ["conversation.item.added"], ["conversation.item.done"]
    if dialect == "preview":
        asked, begun, ended = ["conversation.item.created"], ["conversation.item.created"], []
    assert held.order() == [
        *asked,
        "response.created",
        "response.output_item.added",
        *begun,
        "response.content_part.added",
        held.wire("response.text.delta"),
        held.wire("response.text.done"),
        "response.content_part.done",
        *ended,
        "response.output_item.done",
        "response.done",
        *(["rate_limits.updated"] if dialect == "preview" else []),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_voice_turn(talk: Opener, dialect: str) -> None:
    """Speech is detected by its level, transcribed, and answered in sound."""
    held = talk(dialect, recogniser=["what time is it"])
    held.configure(
        input_audio_transcription={"model": "gpt-4o-transcribe"},
        turn_detection={"type": "server_vad", "silence_duration_ms": 300},
    )
    held.heard.clear()
    held.speak(sound := [*speech(), *silence()])
    done = held.until("response.done")
    kinds = [event.type for event in held.heard]
    started = next(e for e in held.heard if e.type == "input_audio_buffer.speech_started")
    stopped = next(e for e in held.heard if e.type == "input_audio_buffer.speech_stopped")
    committed = next(e for e in held.heard if e.type == "input_audio_buffer.committed")
    completed = next(e for e in held.heard if e.type.endswith("input_audio_transcription.completed"))
    answer = b"".join(
        base64.b64decode(e.delta) for e in held.heard if e.type == held.wire("response.audio.delta")
    )

    assert kinds[:3] == [started.type, stopped.type, committed.type]
    assert started.item_id == stopped.item_id == committed.item_id == completed.item_id
    assert 0 <= started.audio_start_ms <= 400 < stopped.audio_end_ms <= len(sound) * CHUNK // 48
    assert completed.transcript == "what time is it"
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].transcript == held.text("response.audio_transcript.delta")
    assert len(answer) > 24_000 * 2 // 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tool_turn(talk: Opener, dialect: str) -> None:
    """A declared function is called with fitting arguments, and its result is spoken about."""
    held = talk(dialect)
    held.configure(modalities=["text"], tools=[WEATHER], tool_choice="auto")
    held.say("What is the weather in Oslo?")
    arguments = held.until("response.function_call_arguments.done")
    call = held.until("response.done").response.output[0]

    assert json.loads(arguments.arguments) == {"city": "Oslo"}
    assert held.text("response.function_call_arguments.delta") == arguments.arguments
    assert (call.type, call.name, call.call_id) == ("function_call", "get_weather", arguments.call_id)

    held.connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 7}'}
    )
    held.connection.response.create()
    spoken = held.until("response.done").response.output[0].content[0].text

    assert "7" in spoken


@pytest.mark.parametrize("dialect", DIALECTS)
def test_interruption_by_voice(talk: Opener, dialect: str) -> None:
    """An answer ends where the user speaks, is cut to what was played, and the next one comes."""
    held = talk(dialect, responder=interrupted, recogniser=["wait"], pace=2)
    held.configure(turn_detection={"type": "server_vad", "silence_duration_ms": 300})
    held.say("go on")
    item = held.until("response.audio.delta").item_id
    held.speak(speech())
    held.until("input_audio_buffer.speech_started")
    held.connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=60)
    held.until("conversation.item.truncated")
    held.speak(silence())
    while (answer := held.until("response.done").response).status == "cancelled":
        assert answer.status_details.reason == "turn_detected"

    assert answer.output[0].content[0].transcript == "Yes?"
    assert ended(held.service) == [("cancelled", "turn_detected"), ("completed", None)]
    assert cuts(held.service) == [(item, 60)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cancel(talk: Opener, dialect: str) -> None:
    """An answer that is broken off ends its parts and says who did it."""
    held = talk(dialect, responder=lambda conversation, session: LONG, pace=2)
    held.say("go on")
    held.until("response.audio.delta")
    held.connection.response.cancel()
    done = held.until("response.done").response
    ended = [e.type for e in held.heard if e.type.endswith(".done")]

    assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
    assert done.output[0].status == "incomplete"
    assert LONG.startswith(done.output[0].content[0].transcript)
    assert held.wire("response.audio.done") in ended
    held.connection.response.cancel()
    assert held.until("error").error.code == "response_cancel_not_active"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_truncate(talk: Opener, dialect: str) -> None:
    """Spoken answers can be cut to what was heard, and to no more than there is."""
    held = talk(dialect)
    held.say("hello")
    item = held.until("response.done").response.output[0]
    held.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=200)
    cut = held.until("conversation.item.truncated")
    held.connection.conversation.item.retrieve(item_id=item.id)
    kept = held.until("conversation.item.retrieved").item.content[0]
    held.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=5_000)
    refused = held.until("error").error

    assert (cut.item_id, cut.audio_end_ms) == (item.id, 200)
    assert len(base64.b64decode(kept.audio)) == 200 * 48
    assert refused.message == "Audio content of 200ms is already shorter than 5000ms"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_wrong_key(dialect: str) -> None:
    """A wrong key is refused at the handshake."""
    from websockets.exceptions import InvalidStatus

    with Emulator(api_key=KEY) as service:
        base = f"127.0.0.1:{service.port}/openai"
        client: Any = openai.OpenAI(
            api_key="another key",
            base_url=f"http://{base}/v1",
            websocket_base_url=f"ws://{base}" if dialect == "preview" else None,
        )
        query = {"api-version": "2025-04-01-preview", "deployment": "gpt-realtime"}
        if dialect == "ga":
            manager = client.realtime.connect(model="gpt-realtime")
        else:
            manager = client.beta.realtime.connect(model="gpt-realtime", extra_query=query)
        with client, pytest.raises(InvalidStatus) as caught:
            manager.enter()

    assert caught.value.response.status_code == 401
