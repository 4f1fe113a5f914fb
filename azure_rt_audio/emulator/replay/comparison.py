"""How a command differs from the one that was recorded, and which ids of the two mean the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ..._repr import also_half_made

__all__ = ["ABSENT", "Difference", "Ids", "compare"]

_REQUEST: Final = "azure_rt_request"
"""Key of metadata by which the client recognises its responses."""
_NOT_COMPARED: Final = frozenset({"audio", "audio_end_ms"})
"""Sound, and what depends on how fast it was played."""
_TEXTS: Final = frozenset(
    {
        "text",
        "transcript",
        "instructions",
        "output",
        "prompt",
        "arguments",
        "description",
        "server_description",
    }
)
_SECRET: Final = "[secret]"


class _Absent:
    @also_half_made
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()
"""Stands for what is not there."""


@frozen
class Difference:
    """
    Where a client differs from the recording.

    Attributes:
        connection: Counts the connections, from 1.
        command: Counts the commands of the recorded connection, without those of sound, from 1; 0 if it is
            about the connection itself.
        line: Of the recording; 0 if it has none.
        path: What differs, such as ``"$.response.instructions"``.
        expected: What was recorded.
        got: What the client sent; both are shown as ``nothing`` where there is nothing.
    """

    connection: int
    command: int
    line: int
    path: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        where = f"connection {self.connection}"
        if self.command:
            where += f", command {self.command}"
        if self.line:
            where += f" (line {self.line})"
        return f"{where}: {self.path}: expected {_shown(self.expected)}, got {_shown(self.got)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


class Ids:
    """
    Which ids of the client stand for which of the recording.

    Ids that the service gave are sent as they were recorded; those that the client gives are others each
    time.
    """

    def __init__(self) -> None:
        self._by_service: set[str] = set()
        self._actual: dict[str, str] = {}
        self._unnamed: list[str] = []

    def mark(self) -> tuple[int, int]:
        """Return what :meth:`undo` takes, before a comparison that may fail."""
        return len(self._actual), len(self._unnamed)

    def undo(self, mark: tuple[int, int]) -> None:
        """Forget what comparisons have noted since *mark*, which is all that they do."""
        while len(self._actual) > mark[0]:
            self._actual.popitem()  # the last one: it is only added to
        del self._unnamed[mark[1] :]

    def force(self, recorded: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
        """Note the ids of two commands that mean the same, although they differ."""
        for name, value in recorded.items():
            other = actual.get(name)
            if isinstance(value, Mapping) and isinstance(other, Mapping):
                self.force(value, other)
            elif _is_id(name) and isinstance(value, str) and isinstance(other, str):
                self.match(value, other)

    def learn(self, recorded: Any) -> None:
        """Note the ids of an event of the service, which are the same this time."""
        for name, value in _ids(recorded):
            if value not in self._actual and name != "event_id":
                self._by_service.add(value)

    def match(self, recorded: str | None, actual: str) -> bool:
        """Return whether an id of a command may stand for the recorded one, and note it if so."""
        if recorded is None:
            return True
        if recorded in self._by_service and recorded not in self._actual:
            return recorded == actual
        return self._actual.setdefault(recorded, actual) == actual

    def expect_item(self, actual: str) -> None:
        """Note a client's id of an item to which, in the recording, the service gave one."""
        self._unnamed.append(actual)

    def translated(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return an event of the recording with the ids of this time."""
        if self._unnamed and event.get("type") in ("conversation.item.added", "conversation.item.created"):
            item = event.get("item")
            if isinstance(item, Mapping) and isinstance(item.get("id"), str) and _is_of_client(item):
                self._actual.setdefault(item["id"], self._unnamed.pop(0))
        result: dict[str, Any] = self._translate(event)
        return result

    def _translate(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._actual.get(value, value)
        if isinstance(value, Mapping):
            return {name: self._translate(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._translate(inner) for inner in value]
        return value


def _is_of_client(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "function_call_output" or item.get("role") in ("user", "system", "assistant")


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id") or name == _REQUEST


def _ids(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        found = [(name, inner) for name, inner in value.items() if _is_id(name) and isinstance(inner, str)]
        return found + [pair for inner in value.values() for pair in _ids(inner)]
    if isinstance(value, list):
        return [pair for inner in value for pair in _ids(inner)]
    return []


def compare(
    expected: Mapping[str, Any], got: Mapping[str, Any], ids: Ids, *, without_texts: bool
) -> tuple[str, Any, Any] | None:
    """
    Return the first difference of two commands as path, expected and got; ``None`` if they say the same.

    Args:
        without_texts: Whether texts were left out of the recording, so that they cannot be compared.
    """
    return _Comparison(ids, without_texts).objects(expected, got, "$")


class _Comparison:
    def __init__(self, ids: Ids, without_texts: bool) -> None:
        self._ids = ids
        self._without_texts = without_texts

    def objects(
        self, expected: Mapping[str, Any], got: Mapping[str, Any], path: str
    ) -> tuple[str, Any, Any] | None:
        for name in dict.fromkeys([*expected, *got]):
            inner = f"{path}.{name}"
            was, now = expected.get(name, ABSENT), got.get(name, ABSENT)
            if name == "event_id" or was == _SECRET:
                continue
            if name in _NOT_COMPARED and not isinstance(was, Mapping) and not isinstance(now, Mapping):
                continue
            if (
                _is_id(name)
                and isinstance(now, str)
                and (was is ABSENT or was is None or isinstance(was, str))
            ):
                if was is ABSENT and path == "$.item":
                    self._ids.expect_item(now)
                if not self._ids.match(was if isinstance(was, str) else None, now):
                    return inner, was, now
                continue
            if _is_id(name) and now is ABSENT and name in ("id", _REQUEST):
                continue  # the service gives it one
            if self._without_texts and name in _TEXTS and isinstance(was, str):
                continue
            if name in ("metadata", "response") and (was is ABSENT or now is ABSENT):
                was, now = _without_request(was), _without_request(now)
            found = self._values(was, now, inner)
            if found is not None:
                return found
        return None

    def _values(self, was: Any, now: Any, path: str) -> tuple[str, Any, Any] | None:
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            return self.objects(was, now, path)
        if isinstance(was, list) and isinstance(now, list):
            for index in range(max(len(was), len(now))):
                one = was[index] if index < len(was) else ABSENT
                other = now[index] if index < len(now) else ABSENT
                found = self._values(one, other, f"{path}[{index}]")
                if found is not None:
                    return found
            return None
        return (
            None
            if was is now or ((type(was) is type(now) or _are_numbers(was, now)) and was == now)
            else (
                path,
                was,
                now,
            )
        )


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _without_request(metadata: Any) -> Any:
    """Return metadata without the client's own mark, which another client does not make."""
    if not isinstance(metadata, Mapping):
        return metadata
    kept = {name: _without_request(value) for name, value in metadata.items() if name != _REQUEST}
    return {name: value for name, value in kept.items() if value is not ABSENT} or ABSENT
