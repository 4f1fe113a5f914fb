"""Events made by the client itself; never on the wire."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ...errors import ConnectError, ConnectionClosedError
from ..session import Session
from ..turn import ModelStatusEnum

__all__ = [
    "Closed",
    "Init",
    "StatusChanged",
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
