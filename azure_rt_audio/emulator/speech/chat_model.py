"""
Replies by a language model: any endpoint that speaks the chat completions protocol of OpenAI.

Threads: a request is made on a short-lived thread ``azure-rt-emulator-chat``; the connection goes on
meanwhile.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..._repr import also_half_made
from ..._secret import Secret, forgets_locals
from ..model.background import in_background
from ..model.replies import Answer, Failure, FunctionCall, Reply

if TYPE_CHECKING:
    from ..model.conversation import Conversation, Item
    from ..model.session import Session

__all__ = ["ChatModel"]

_LARGEST_ANSWER: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 65_536
_SPOKEN: Final = "Your words are spoken aloud: answer briefly, in plain sentences, without markup."


class ChatModel:
    """
    A responder that asks a chat endpoint.

    ::

        Emulator(responder=ChatModel("http://localhost:11434/v1"))

    Instructions, the whole conversation and the session's function tools go there. A request that fails
    makes the response fail, as the service's do: status ``failed``, ``server_error``.

    Args:
        url: The prefix of ``/chat/completions``.
        model: The model to ask for; ``None`` takes the first that the endpoint lists.
        key: Sent as a bearer token.
        timeout: Seconds after which a request has failed.

    Raises:
        ValueError: The URL is none, or the key would travel unencrypted to another machine, or is none.

    **Threads**: may be shared by any number.
    """

    @forgets_locals
    def __init__(
        self, url: str, *, model: str | None = None, key: str | None = None, timeout: float = 60.0
    ) -> None:
        import encodings.idna  # noqa: F401 - here, because the thread that asks must not import

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url is {url!r}: give one such as http://localhost:11434/v1")
        if key and parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(
                f"url is {url!r}: a key goes to another machine over https only; or leave the key out"
            )
        if key and not (key.isascii() and key.isprintable()):
            # Later it would be refused with a message that shows it.
            raise ValueError("key has a line break, or another character that no key has: strip it")
        self._url = url.rstrip("/")
        self._model = model
        self._key = Secret(key) if key else None
        self._timeout = timeout
        # Programs on this machine are reached without the proxy that leads to others.
        proxies = [urllib.request.ProxyHandler({})] if _is_loopback(parts.hostname) else []
        self._opener = urllib.request.build_opener(_NoRedirect, *proxies)

    @also_half_made
    def __repr__(self) -> str:
        return f"<ChatModel {self._url} {self._model or '(its first model)'}>"

    def __call__(self, conversation: Conversation, session: Session) -> Future[Answer]:
        """Ask for the next answer of *conversation*; see :mod:`~..model.replies`."""
        request = _request_of(conversation, session)  # now: the conversation goes on

        def ask() -> Answer:
            return self._ask(request)

        return in_background("azure-rt-emulator-chat", ask)

    def _ask(self, request: dict[str, Any]) -> Reply:
        try:
            model = self._model or self._first_model()
            found = self._exchange("/chat/completions", {"model": model, **request})
            return _reply_of(found["choices"][0])
        except urllib.error.HTTPError as exc:
            with exc:
                detail = exc.read(2_000).decode(errors="replace").strip()
            return _failed(f"it answers {exc.code} {exc.reason}: {detail}" if detail else f"{exc}")
        except (OSError, http.client.HTTPException) as exc:
            return _failed(str(getattr(exc, "reason", exc)) or type(exc).__name__)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            return _failed(f"its answer is not understood ({type(exc).__name__}: {exc})")

    def _first_model(self) -> str:
        return str(self._exchange("/models", None)["data"][0]["id"])

    def _exchange(self, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(self._url + path, data=data, headers=headers)
        deadline = time.monotonic() + self._timeout
        content = bytearray()
        with self._opener.open(asked, timeout=self._timeout) as answer:
            while piece := answer.read1(_PIECE_BYTES):
                content += piece
                if len(content) > _LARGEST_ANSWER:
                    raise http.client.HTTPException("it is longer than 4 MiB")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it was not complete after {self._timeout:g} seconds")
        return json.loads(content)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the host that was named, and to no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _failed(why: str) -> Reply:
    return Reply(failure=Failure(f"The chat endpoint gave no answer: {why}"))


def _request_of(conversation: Conversation, session: Session) -> dict[str, Any]:
    instructions = f"{session.instructions}\n\n{_SPOKEN}" if session.speaks else session.instructions
    messages: list[dict[str, Any]] = [{"role": "system", "content": instructions}]
    for item in conversation:
        messages.extend(_messages_of(item))
    request: dict[str, Any] = {"messages": messages}
    tools = [_tool_of(tool) for tool in session.tools if tool.get("type", "function") == "function"]
    if tools:
        request["tools"] = tools
        choice = session.tool_choice
        if isinstance(choice, Mapping):
            name = choice.get("name") or choice.get("function", {}).get("name")
            choice = {"type": "function", "function": {"name": name}}
        request["tool_choice"] = choice
    return request


def _messages_of(item: Item) -> list[dict[str, Any]]:
    if item.type == "function_call":
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]
    if item.type == "function_call_output":
        return [{"role": "tool", "tool_call_id": item.call_id, "content": item.output}]
    if item.type == "message" and item.text:
        return [{"role": item.role, "content": item.text}]
    return []


def _tool_of(tool: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name) is not None}
    return {"type": "function", "function": kept}


def _reply_of(choice: Mapping[str, Any]) -> Reply:
    message = choice["message"]
    calls = tuple(
        FunctionCall(call["function"]["name"], call["function"]["arguments"], call["id"])
        for call in message.get("tool_calls") or ()
    )
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
    return Reply(message.get("content") or "", calls, cut.get(choice.get("finish_reason") or ""))
