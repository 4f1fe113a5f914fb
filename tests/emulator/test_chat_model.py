"""A chat endpoint that answers for the emulator: a real HTTP server, obedient or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_runner import Background, run

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import ChatModel, Emulator

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello!"}]}


class Endpoint:
    """Serves chat completions; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.message: dict[str, Any] = {"role": "assistant", "content": "It is sunny."}
        self.finish_reason = "stop"
        self.status = 200
        self.raw: bytes | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.has_been_asked = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, json.dumps({"data": [{"id": "small-model"}]}).encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                endpoint.asked.append(json.loads(self.rfile.read(length)))
                endpoint.has_been_asked.set()
                endpoint.may_answer.wait(10)
                choice = {"message": endpoint.message, "finish_reason": endpoint.finish_reason}
                content = endpoint.raw or json.dumps({"choices": [choice]}).encode()
                self._answer(endpoint.status, content)

            def _answer(self, status: int, content: bytes) -> None:
                endpoint.paths.append(self.path)
                endpoint.keys.append(self.headers["Authorization"])
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", endpoint.url + "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        """Stop serving."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that answers."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def talk(dialect: str) -> Iterator[Callable[..., AzureRealTimeAudio]]:
    """A function that connects to an emulator with a chat model for its mind."""
    made: list[AzureRealTimeAudio | Emulator] = []

    def talk(model: ChatModel, **session: Any) -> AzureRealTimeAudio:
        service = Emulator(responder=model, pace=0).start()
        made.append(service)
        client = AzureRealTimeAudio({**service.options(dialect), "session_config": session})
        made.append(client)
        return client

    yield talk
    for one in reversed(made):
        one.stop() if isinstance(one, Emulator) else one.close()


def test_a_model_answers(endpoint: Endpoint, talk: Callable[..., AzureRealTimeAudio]) -> None:
    """Instructions and the whole conversation go to the first model there is; its words come back."""
    client = talk(ChatModel(endpoint.url + "/", key="secret"), instructions="Be kind.", modalities=["text"])

    assert client.ask("Hello!").text == "It is sunny."
    assert client.ask("Really?").text == "It is sunny."
    assert endpoint.asked[1] == {
        "model": "small-model",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": "It is sunny."},
            {"role": "user", "content": "Really?"},
        ],
    }
    assert endpoint.paths == ["/v1/models", "/v1/chat/completions"] * 2
    assert set(endpoint.keys) == {"Bearer secret"}


def test_a_model_calls_functions(endpoint: Endpoint, talk: Callable[..., AzureRealTimeAudio]) -> None:
    """Tools go there, calls come back, and so do their results."""
    client = talk(ChatModel(endpoint.url, model="m"), tools=[WEATHER], modalities=["text"])
    function = {"name": "get_weather", "arguments": '{"city": "Porto"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    endpoint.message = {"role": "assistant", "content": None, "tool_calls": [call]}
    [asked] = client.ask("The weather?").function_calls
    endpoint.message = {"role": "assistant", "content": "Sunny."}
    client.create_conversation_item({"type": "function_call_output", "call_id": "call_1", "output": "sun"})
    answer = client.create_response().result(5)

    assert (asked.name, asked.arguments, answer.text) == ("get_weather", '{"city": "Porto"}', "Sunny.")
    assert endpoint.asked[1]["tools"][0]["function"]["name"] == "get_weather"
    assert endpoint.asked[1]["tool_choice"] == "auto"
    assert endpoint.asked[1]["messages"][-2:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": 500, "raw": b"out of memory"}, "it answers 500 Internal Server Error: out of memory"),
        ({"status": 302}, "it answers 302 Found"),
        ({"raw": b"no JSON"}, "its answer is not understood"),
        ({"raw": b'{"choices": []}'}, "its answer is not understood"),
        ({"raw": b" " * 5_000_000}, "it is longer than 4 MiB"),
    ],
)
def test_a_failure_is_the_service_s(
    changes: dict[str, Any], reason: str, endpoint: Endpoint, talk: Callable[..., AzureRealTimeAudio]
) -> None:
    """Whatever goes wrong there is a failed response with the reason, and the session goes on."""
    client = talk(ChatModel(endpoint.url, model="m", key="secret"), modalities=["text"])
    for name, value in changes.items():
        setattr(endpoint, name, value)
    client.create_conversation_item(HELLO)
    response = client.create_response().result(10, check=False)

    assert response.status == "failed"
    assert f"The chat endpoint gave no answer: {reason}" in (response.reason or "")
    assert "secret" not in (response.reason or "")
    endpoint.status, endpoint.raw = 200, None
    assert client.ask("Hello!").text == "It is sunny."


def test_nobody_there(talk: Callable[..., AzureRealTimeAudio]) -> None:
    """An endpoint that is not there, and one that says nothing in time, are failed responses."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        client = talk(ChatModel(f"http://127.0.0.1:{port}/v1", model="m", timeout=0.2), modalities=["text"])
        late = client.ask("Hello!", check=False)
    nobody = client.ask("Hello!", check=False)

    assert (late.status, nobody.status) == ("failed", "failed")
    assert "timed out" in (late.reason or "")
    assert "gave no answer" in (nobody.reason or "")


def test_an_answer_that_takes_long_can_be_interrupted(
    endpoint: Endpoint, talk: Callable[..., AzureRealTimeAudio]
) -> None:
    """While the model thinks the session goes on, and a cancelled response waits for nothing."""
    endpoint.may_answer.clear()
    client = talk(ChatModel(endpoint.url, model="m"))
    client.create_conversation_item(HELLO)
    response = client.create_response()
    assert endpoint.has_been_asked.wait(5)
    client.clear_audio_buffer().result(5)
    response.cancel()

    assert client.wait_for("response.done", timeout=5).response.status == "cancelled"
    endpoint.may_answer.set()


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://localhost/v1", "http://", "http://x/v1?a=b"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """The error shows how one looks."""
    with pytest.raises(ValueError, match="such as http://localhost:11434/v1"):
        ChatModel(url)


def test_a_key_stays_at_home() -> None:
    """A key goes to this machine, or encrypted; it is not shown."""
    with pytest.raises(ValueError, match="https only"):
        ChatModel("http://example.com/v1", key="secret")
    assert "secret" not in repr(ChatModel("https://example.com/v1", key="secret"))


@pytest.mark.parametrize("key", ["secret\n", "secret\N{HORIZONTAL ELLIPSIS}"])
def test_a_key_that_no_header_takes_is_refused_unseen(key: str) -> None:
    """It is refused at once: later a failed response would quote it."""
    with pytest.raises(ValueError, match="key has a line break") as caught:
        ChatModel("http://localhost:11434/v1", key=key)
    assert "secret" not in str(caught.value)


def test_the_command_has_a_model_answer(endpoint: Endpoint, tmp_path: Path) -> None:
    """``emulator --chat-url URL`` answers with a model, whose key comes from the environment."""
    arguments = ("--port", "0", "--chat-url", endpoint.url, "--chat-model", "m", "--quiet")
    with Background("emulator", *arguments, cwd=tmp_path, EMULATOR_CHAT_KEY="secret") as emulator:
        emulator.wait_for(f"It answers with {endpoint.url}")
        address = emulator.wait_for("AZURE_OPENAI_ENDPOINT").partition("=")[2].strip(' "')
        options = {"host_name": address, "deployment": "gpt-realtime", "api_key": "emulator-key"}
        with AzureRealTimeAudio(options) as client:
            assert client.ask("Hello!").text == "It is sunny."

    assert endpoint.keys == ["Bearer secret"]
    assert "secret" not in "".join((*emulator.out, *emulator.err))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chat-url", "localhost"), "such as http://localhost:11434/v1"),
        (("--chat-model", "m"), "--chat-model chooses a model of --chat-url URL"),
    ],
)
def test_the_command_refuses_what_is_no_endpoint(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    """The error says what to give, with exit code 2."""
    done = run("emulator", "--port", "0", *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
