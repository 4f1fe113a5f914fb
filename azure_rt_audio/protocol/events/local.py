"""Events made by the client itself; never on the wire."""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import frozen

from ...errors import ConnectError, ConnectionClosedError
from ..session import Session
from ..turn import ModelStatusEnum

__all__ = [
    "LOCAL_EVENTS",
    "Closed",
    "Init",
    "LocalEvent",
    "StatusChanged",
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


@frozen(kw_only=True)
class ToolStarted:
    """
    The model has called a tool of the client, which is about to run.

    Attributes:
        call_id: The service's id of the call.
        name: Name of the tool.
        arguments: As the model wrote them: JSON, which may not fit.
        response_id: The response that called it.
    """

    TYPE: ClassVar[str] = "tool_started"
    call_id: str
    name: str
    arguments: str
    response_id: str

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


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
    """

    TYPE: ClassVar[str] = "tool_ended"
    call_id: str
    name: str
    output: str
    error: BaseException | None
    seconds: float

    @property
    def type(self) -> str:
        """Name for ``on`` and ``wait_for``."""
        return self.TYPE


LocalEvent = Init | StatusChanged | Closed | ToolStarted | ToolProgress | ToolEnded
"""Any of them."""

LOCAL_EVENTS: Final = (Init, StatusChanged, Closed, ToolStarted, ToolProgress, ToolEnded)
"""All of them."""
