"""
What a dialect has to answer.

The rest of the emulator speaks of a neutral :class:`~..model.session.Session`, neutral items, and events by
their GA names. All that differs between dialects is asked of a :class:`Dialect`; nothing else compares
their names.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, TypeAlias

from ..model.conversation import Item, Part
from ..model.session import Session
from .profile import Profile
from .rules import Choice, RefusalError, Rule, missing

__all__ = ["Dialect", "Event", "SecretWish", "without"]

Event: TypeAlias = tuple[str, dict[str, Any]]
"""Canonical name and fields."""

_SERVER_VAD: Final[Mapping[str, Any]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Final[Mapping[str, Any]] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_SETTINGS: Final = {a.name for a in fields(Session)} - {"kind", "id", "model", "expires_at"}


@dataclass(frozen=True)
class SecretWish:
    """
    What a client secret is asked for.

    Attributes:
        kind: Of the session: ``"realtime"`` or ``"transcription"``.
        session: As on the wire.
        seconds: How long the secret is to connect.
    """

    kind: str
    session: Mapping[str, Any]
    seconds: int


class Dialect(ABC):
    """
    One spelling of the protocol.

    Attributes:
        name: As in :class:`~azure_rt_audio.emulator.Emulator`'s ``dialects``.
        path: Of its URL.
        api_version: For a client's ``api_version`` option.
        deployment_parameter: The query parameter that names the deployment.
        voice_path: Of the voice, inside a session or a response.
        secret_paths: Paths at which a POST gives client secrets.
        rate_limits: Names of the quotas that ``rate_limits.updated`` reports.
        requests: Rule of each client event.

    Args:
        profile: The manners of the service that speaks it.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    api_version: ClassVar[str]
    deployment_parameter: ClassVar[str]
    voice_path: ClassVar[str]
    secret_paths: ClassVar[tuple[str, ...]]
    rate_limits: ClassVar[tuple[str, ...]]
    requests: ClassVar[Mapping[str, Rule]]

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    # Requests to connect --------------------------------------------------------------------

    @abstractmethod
    def url(self, host_name: str, deployment: str) -> str:
        """The address of a session."""

    def denies(self, query: Mapping[str, str]) -> bool:
        """Whether the query is answered with 401, whatever the credential."""
        return False

    @abstractmethod
    def serves(self, query: Mapping[str, str]) -> bool:
        """Whether the query is one of this dialect; 404 if not."""

    @abstractmethod
    def deployment_of(self, query: Mapping[str, str]) -> str | None:
        """The deployment that a query names."""

    @abstractmethod
    def model_of(self, deployment: str) -> str:
        """The model behind a deployment, which ``session.model`` shows."""

    def fatal(self, headers: Mapping[str, str]) -> RefusalError | None:
        """An error to send and then close with 4000."""
        return None

    # Client secrets -------------------------------------------------------------------------

    @abstractmethod
    def secret_wish(self, path: str, body: Any) -> SecretWish:
        """
        Read the decoded body of a request for a client secret.

        Raises:
            RefusalError: With the service's code and path.
        """

    @abstractmethod
    def secret_on_wire(self, value: str, expires_at: int, session: dict[str, Any]) -> dict[str, Any]:
        """The answer; *session* is as :meth:`session_on_wire` made it."""

    # Events -----------------------------------------------------------------------------------

    def check_command(self, command: Mapping[str, Any]) -> None:
        """
        Check a decoded client event.

        Raises:
            RefusalError: With the service's code and path.
        """
        if "type" not in command:
            raise missing("type")
        Choice(*self.requests)(command["type"], "type")
        self.requests[command["type"]](command, "")

    @abstractmethod
    def wire_name(self, name: str) -> str:
        """This dialect's name of an event; ``""`` if it has none."""

    @abstractmethod
    def opening(self, wire: dict[str, Any], kind: str, conversation_id: str | None) -> list[Event]:
        """The first events of a session; *wire* is the session as :meth:`session_on_wire` made it."""

    # Sessions ---------------------------------------------------------------------------------

    @abstractmethod
    def modalities(self, kind: str) -> tuple[str, ...]:
        """What a new session of this kind answers in."""

    def vad_defaults(self) -> dict[str, Any]:
        """Server VAD as a new session has it."""
        return dict(_SERVER_VAD)

    def turn_detection(self, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Turn detection as the session reports it: the defaults fill in for what is missing."""
        if given is None or given.get("type") == "none":
            return None
        defaults = _SEMANTIC_VAD if given.get("type") == "semantic_vad" else self.vad_defaults()
        return {**defaults, **given}

    @abstractmethod
    def flat(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """A session from the wire, flat, with its settings under the neutral names."""

    def session_changes(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """
        The settings of an update or of ``response.create``, as fields of :class:`~..model.session.Session`.

        Only fields that are present appear; ``null`` arrives as ``None``.
        """
        changes = {name: value for name, value in self.flat(session).items() if name in _SETTINGS}
        for name in ("modalities", "tools", "include"):
            if changes.get(name) is not None:
                changes[name] = tuple(changes[name])
        if "turn_detection" in changes:
            changes["turn_detection"] = self.turn_detection(changes["turn_detection"])
        return changes

    @abstractmethod
    def wrong_kind(self, asked: str, kind: str) -> RefusalError:
        """The refusal of an update for another kind of session."""

    @abstractmethod
    def session_on_wire(self, session: Session) -> dict[str, Any]:
        """The effective session, as ``session.created`` and ``session.updated`` carry it."""

    # Responses and items --------------------------------------------------------------------

    @abstractmethod
    def response_fields(self, session: Session) -> dict[str, Any]:
        """The settings that a response object reports."""

    def input_token_details(self, image_tokens: int, cached: Mapping[str, int]) -> dict[str, Any]:
        """Further fields of ``usage.input_token_details``; *cached* are tokens by kind."""
        return {}

    def part_type(self, kind: str, role: str | None) -> str:
        """The type of a content part in an item."""
        return kind

    def item_on_wire(self, item: Item, *, with_audio: bool = False) -> dict[str, Any]:
        """
        A conversation item.

        Args:
            with_audio: Include audio, in base64; only ``conversation.item.retrieved`` does.
        """
        wire: dict[str, Any] = {"id": item.id, "type": item.type}
        with_status: tuple[str, ...] = ("message", "function_call")
        if self.profile.marks_objects and item.type in (*with_status, "function_call_output"):
            wire["object"] = "realtime.item"
            with_status = (*with_status, "function_call_output")
        if item.type in with_status:
            wire["status"] = item.status
        if item.type == "message":
            wire["role"] = item.role
            wire["content"] = [self._part_on_wire(part, item.role, with_audio) for part in item.parts]
        elif item.type == "function_call":
            wire |= {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
        elif item.type == "function_call_output":
            wire |= {"call_id": item.call_id, "output": item.output}
        elif item.type == "mcp_call":  # OpenAI's client for JavaScript does without none of these
            wire |= {"approval_request_id": None, "output": None, "error": None}
        return {**wire, **item.extra}

    def _part_on_wire(self, part: Part, role: str | None, with_audio: bool) -> dict[str, Any]:
        wire: dict[str, Any] = {"type": self.part_type(part.kind, role)}
        if part.kind in ("text", "input_text"):
            wire["text"] = part.text
        elif part.kind == "input_image":
            wire["image_url"] = part.image_url
            if part.detail is not None:
                wire["detail"] = part.detail
        else:
            wire["transcript"] = part.transcript
            if with_audio:
                wire["audio"] = base64.b64encode(part.audio).decode()
        return wire


def without(value: Mapping[str, Any] | None, *names: str) -> dict[str, Any] | None:
    """A copy of an object without some of its fields; ``None`` stays."""
    return None if value is None else {k: v for k, v in value.items() if k not in names}
