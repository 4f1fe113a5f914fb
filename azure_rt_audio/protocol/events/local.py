"""
Events made by the client itself; never on the wire.

``_TEXTS`` of a class names what a program or the model has written in it, as much as it likes: that counts
while the event waits for a listener. The others are few and small, and always get through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from attrs import field, frozen

from ..._printable import encodable, one_line
from ...errors import ConnectError, ConnectionClosedError
from ..call_text import call_text
from ..session import Session
from ..turn import ModelStatusEnum

__all__ = [
    "LOCAL_EVENTS",
    "Closed",
    "GuardTripped",
    "Init",
    "LocalEvent",
    "Reconnected",
    "Reconnecting",
    "SendLag",
    "StatusChanged",
    "ToolApprovalRequested",
    "ToolEnded",
    "ToolProgress",
    "ToolStarted",
]


@frozen(kw_only=True)
class Init:
    """The session is configured and ready; a listener on ``"init"`` receives ``session`` itself."""

    TYPE: ClassVar[str] = "init"
    session: Session

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class StatusChanged:
    """The model's status changed."""

    TYPE: ClassVar[str] = "status_changed"
    status: ModelStatusEnum
    previous: ModelStatusEnum

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class SendLag:
    """
    Sound waits to be sent: the line takes less than is spoken. Or it has caught up.

    Told when live sound has waited for ``lag_limit`` of the WebSocket's options, then once a second, and when
    the line has caught up.

    Attributes:
        lag_s: Seconds that the oldest sound or command has waited that the far end does not have yet; the
            length of the sound that waits, if it is sent as it is spoken.
        unsent_bytes: What waits, in bytes of JSON.
        dropped_s: Seconds of sound that were dropped since the last of these events; 0 with ``lag="keep"``.
        is_behind: False if the line has caught up.
    """

    TYPE: ClassVar[str] = "send_lag"
    lag_s: float
    unsent_bytes: int
    dropped_s: float
    is_behind: bool

    @property
    def message(self) -> str:
        """All of it in words."""
        if not self.is_behind:
            words = "sound is sent without delay again"
        else:
            words = (
                f"sound waits {self.lag_s:.1f} s to be sent: the line takes less than is spoken, and the "
                "service hears it as much later"
            )
        if self.dropped_s:
            words += f"; {self.dropped_s:.1f} s of the oldest were dropped"
        return words

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class Reconnecting:
    """
    The connection was lost, and another attempt will be made. Its ``str()`` is a line to show.

    Attributes:
        attempt: Number of the attempt since the loss, from 1.
        delay_s: Seconds until it is made.
        reason: Why the connection, or the attempt before, ended.
    """

    TYPE: ClassVar[str] = "reconnecting"
    attempt: int
    delay_s: float
    reason: str

    def __str__(self) -> str:
        return (
            f"reconnecting in {self.delay_s:.1f} s (attempt {self.attempt}): {_without_remedy(self.reason)}"
        )

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class Reconnected:
    """
    The conversation goes on over another connection; what became of its items, each by its id.

    Its ``str()`` is a line to show.

    Attributes:
        gap_s: Seconds without a connection; 0 if the new one was there before the old one ended.
        reason: Why the old connection ended or was replaced.
        is_planned: Whether the new connection took over before the old one ended.
        restored: Ids of the items that the new session has, in order.
        shortened: Those of them that this reconnection has shortened, each with what is missing. What an
            earlier one has told is not told again.
        lost: Ids of the items that this reconnection has lost, each with the reason. They stay in
            ``client.conversation``; later ones do not name them again. ``"sound"`` stands for sound that was
            appended, is no item, and that no session was given; its reason has the seconds.
            ``"session.voice"`` and the like stand for a field of the configuration that the service refuses
            now, ``"session"`` for all of it.
        responses: Ids of the responses that were under way, each with what became of it.
    """

    TYPE: ClassVar[str] = "reconnected"
    gap_s: float
    reason: str
    is_planned: bool = False
    restored: tuple[str, ...] = ()
    shortened: Mapping[str, str] = field(factory=dict)
    lost: Mapping[str, str] = field(factory=dict)
    responses: Mapping[str, str] = field(factory=dict)

    def __str__(self) -> str:
        if self.is_planned:
            what = f"went over to another connection ({_without_remedy(self.reason)})"
        else:
            what = f"connected again after {self.gap_s:.1f} s"
        counts = [f"{len(self.restored)} restored"]
        if self.shortened:
            counts.append(f"{len(self.shortened)} of them shortened")
        items = len(self.lost.keys() - {"sound"})
        if items or "sound" not in self.lost:
            counts.append(f"{items} lost" if items else "nothing lost")
        if "sound" in self.lost:
            counts.append(self.lost["sound"])
        lost = sum(outcome == "lost" for outcome in self.responses.values())
        if lost:
            counts.append(f"{lost} {'answers' if lost > 1 else 'answer'} cut off")
        return f"{what}: {', '.join(counts)}"

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class Closed:
    """
    The connection has ended or was not established; the last event of a client.

    Attributes:
        error: The reason.
    """

    TYPE: ClassVar[str] = "closed"
    error: ConnectError | ConnectionClosedError

    @property
    def is_clean(self) -> bool:
        """Whether both sides completed the close handshake."""
        return isinstance(self.error, ConnectionClosedError) and self.error.is_clean

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


def _without_remedy(reason: str) -> str:
    """Leave out what to do about the end of a connection: the client has done it. On one line."""
    return one_line(reason.partition("; connect again")[0].removesuffix("."))


@frozen(kw_only=True)
class ToolStarted:
    """
    The model has called a tool, which is about to run: a function of the client, or of an MCP server.

    ``str(event)`` is the call on one line, fit to be printed.

    Attributes:
        call_id: The service's id of the call.
        name: Name of the tool.
        arguments: As the model wrote them: JSON, which may not fit.
        response_id: The response that called it.
        server_label: The MCP server whose tool it is; ``None`` for a function of the program.
    """

    TYPE: ClassVar[str] = "tool_started"
    _TEXTS: ClassVar[tuple[str, ...]] = ("arguments",)
    call_id: str
    name: str
    arguments: str
    response_id: str
    server_label: str | None = None

    def __str__(self) -> str:
        return call_text(self.name, self.arguments)

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class ToolApprovalRequested:
    """
    The model has called a tool that needs approval: it runs, or does not, once that is decided.

    ``str(event)`` is the call on one line, fit to be printed, to ask a person::

        if input(f"{request}? [y/N] ") == "y":
            request.approve()
        else:
            request.deny("the user has said no")

    Attributes:
        call_id: The service's id of the call; of a call of an MCP server, that of the request.
        name: Name of the tool.
        arguments: As the model wrote them: JSON, which may not fit.
        server_label: The MCP server whose tool it is; ``None`` for a function of the program.
    """

    TYPE: ClassVar[str] = "tool_approval_requested"
    _TEXTS: ClassVar[tuple[str, ...]] = ("arguments",)
    call_id: str
    name: str
    arguments: str
    server_label: str | None = None
    _decide: Callable[[bool, str | None], bool | None] = field(repr=False, eq=False)

    def __str__(self) -> str:
        return call_text(self.name, self.arguments, to_decide=True)

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE

    def approve(self) -> bool:
        """Let the tool run. From any thread; return whether it was still to be decided."""
        return bool(self._decide(True, None))

    def deny(self, reason: str | None = None) -> bool:
        """
        Do not let the tool run. From any thread; return whether it was still to be decided.

        Args:
            reason: Told to the model.
        """
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"reason must be text or None, not {type(reason).__name__}")
        return bool(self._decide(False, None if reason is None else encodable(reason)))


@frozen(kw_only=True)
class ToolProgress:
    """
    A tool that runs has told how far it is.

    Attributes:
        call_id: The service's id of the call.
        name: Name of the tool.
        text: What it said.
    """

    TYPE: ClassVar[str] = "tool_progress"
    _TEXTS: ClassVar[tuple[str, ...]] = ("text",)
    call_id: str
    name: str
    text: str

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class ToolEnded:
    """
    A call was answered: the tool has returned, or failed.

    Attributes:
        call_id: The service's id of the call.
        name: Name of the tool.
        output: What the model is told.
        error: What the tool raised; ``None`` if it did not fail.
        seconds: Since the call came.
        server_label: The MCP server whose tool it is; ``None`` for a function of the program.
    """

    TYPE: ClassVar[str] = "tool_ended"
    _TEXTS: ClassVar[tuple[str, ...]] = ("output",)
    call_id: str
    name: str
    output: str
    error: BaseException | None
    seconds: float
    server_label: str | None = None

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


@frozen(kw_only=True)
class GuardTripped:
    """
    The client's guard has stopped an answer. Its ``str()`` is a line to show.

    Attributes:
        response_id: The response, which is cancelled; a voice session stops playing it.
        reason: What the guard returned; a neutral text if it failed.
        text: What it was called with: the answer as far as it had come.
        error: What the guard raised; ``None`` if it gave the reason.
    """

    TYPE: ClassVar[str] = "guard_tripped"
    _TEXTS: ClassVar[tuple[str, ...]] = ("reason", "text")
    response_id: str
    reason: str
    text: str
    error: BaseException | None = None

    def __str__(self) -> str:
        return f"the answer was stopped: {one_line(self.reason)}"

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


LocalEvent = (
    Init
    | StatusChanged
    | SendLag
    | Reconnecting
    | Reconnected
    | Closed
    | ToolApprovalRequested
    | ToolStarted
    | ToolProgress
    | ToolEnded
    | GuardTripped
)

LOCAL_EVENTS: Final = (
    Init,
    StatusChanged,
    SendLag,
    Reconnecting,
    Reconnected,
    Closed,
    ToolApprovalRequested,
    ToolStarted,
    ToolProgress,
    ToolEnded,
    GuardTripped,
)
"""The classes of them all."""
