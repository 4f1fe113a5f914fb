"""The laws of the order of events, which hold whatever a client does; checked event by event."""

from __future__ import annotations

from typing import Any

from azure_rt_audio.emulator.dialects.names import canonical

_AFTER_THE_OUTPUT = ("response.output_item.done", "response.mcp_call_arguments.done", "response.done")


class EventOrder:
    """
    What has been announced, opened and closed on one connection.

    :meth:`take` raises :class:`AssertionError` for an event that may not come now; :meth:`end` for what was
    left open. The laws are those of GA, without its ``conversation.item.done`` for the preview.
    """

    def __init__(self, dialect: str) -> None:
        self._has_item_done = dialect == "ga"
        self._items: set[str] = set()  # ever announced
        self._done_items: set[str] = set()
        self._responses: dict[str, _Response] = {}
        self._called: dict[str, _Response] = {}  # calls of MCP servers that have not ended
        self._main: str | None = None  # the active response of the default conversation
        self._turn: str | None = None  # between speech_started and committed

    def take(self, event: dict[str, Any]) -> None:
        """The next event."""
        name = canonical(event["type"])
        if name == "response.created":
            self._created(event["response"])
        elif name == "response.done":
            self._response_done(event["response"])
        elif name.startswith("response.mcp_call."):
            run = self._called[event["item_id"]]
            assert run.is_over or name.endswith("in_progress"), "a call ended before its response"
        elif name.startswith("response."):
            self._within(name, event)
        elif name == "conversation.item.added":
            assert event["item"]["id"] not in self._items - self._done_items, "announced twice"
            assert event["previous_item_id"] in {None, *self._items}, "behind an unknown item"
            self._items.add(event["item"]["id"])
        elif name == "conversation.item.deleted":
            self._done_items.add(event["item_id"])
        elif name == "conversation.item.done":
            assert event["item"]["id"] in self._items, "done before it was added"
            self._done_items.add(event["item"]["id"])
        elif name == "input_audio_buffer.speech_started":
            self._turn = event["item_id"]
        elif name == "input_audio_buffer.speech_stopped":
            assert self._turn in (event["item_id"], None)
            self._turn = event["item_id"]
        elif name == "input_audio_buffer.committed":
            assert self._turn in (event["item_id"], None)
            self._turn = None
        elif name in ("input_audio_buffer.cleared", "session.updated"):  # the latter may change the detection
            self._turn = None
        elif name.startswith("conversation.item.input_audio_transcription"):
            assert event["item_id"] in self._items, "a transcript of an unknown item"

    def end(self) -> None:
        """Nothing more will come."""
        assert all(response.is_over for response in self._responses.values()), "a response never ended"

    def _created(self, response: dict[str, Any]) -> None:
        assert response["id"] not in self._responses, "created twice"
        assert response["status"] == "in_progress"
        self._responses[response["id"]] = _Response()
        if response["conversation_id"] is not None:
            assert self._main is None, "two responses at a time in the conversation"
            self._main = response["id"]

    def _response_done(self, response: dict[str, Any]) -> None:
        run = self._responses[response["id"]]
        assert not run.is_over, "done twice"
        assert run.open_item is None, "done with an open item"
        assert [item["id"] for item in response["output"]] == run.output, "output differs from its events"
        assert response["status"] in ("completed", "cancelled", "failed", "incomplete")
        run.is_over = True
        if self._main == response["id"]:
            self._main = None

    def _within(self, name: str, event: dict[str, Any]) -> None:
        run = self._responses[event["response_id"]]
        if name == "response.output_item.done" and event["item"]["id"] in self._called:
            assert self._called.pop(event["item"]["id"]) is run
            assert event["output_index"] == run.output.index(event["item"]["id"])
            return
        assert not run.is_over, f"{name} after response.done"
        if name == "response.output_item.added":
            assert run.open_item is None, "two items open at a time"
            assert event["output_index"] == len(run.output)
            run.open_item = event["item"]["id"]
            run.output.append(run.open_item)
            run.closed = set()
            return
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        assert item_id == run.open_item, f"{name} of an item that is not open"
        assert event["output_index"] == len(run.output) - 1
        stream, _, moment = name.rpartition(".")
        assert stream not in run.closed, f"{name} after its done"
        if moment == "done":
            run.closed.add(stream)
        if name == "response.mcp_call_arguments.done":
            self._called[item_id] = run
        if name in _AFTER_THE_OUTPUT:
            run.open_item = None


class _Response:
    def __init__(self) -> None:
        self.output: list[str] = []
        self.open_item: str | None = None
        self.closed: set[str] = set()
        self.is_over = False
