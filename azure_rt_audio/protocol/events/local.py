"""Events that this side makes: they never travel, but are listened to like the others."""

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
    """The session is configured and ready; a listener by name receives ``session`` itself."""

    TYPE: ClassVar[str] = "init"
    session: Session

    @property
    def type(self) -> str:
        """Name to listen by."""
        return self.TYPE


@frozen(kw_only=True)
class StatusChanged:
    """The model does something else now."""

    TYPE: ClassVar[str] = "status_changed"
    status: ModelStatusEnum
    previous: ModelStatusEnum

    @property
    def type(self) -> str:
        """Name to listen by."""
        return self.TYPE


@frozen(kw_only=True)
class Closed:
    """
    The connection is over, or was never made; the last event of a client.

    Attributes:
        error: How it ended.
    """

    TYPE: ClassVar[str] = "closed"
    error: ConnectError | ConnectionClosedError

    @property
    def is_clean(self) -> bool:
        """Whether both sides said goodbye."""
        return isinstance(self.error, ConnectionClosedError) and self.error.is_clean

    @property
    def type(self) -> str:
        """Name to listen by."""
        return self.TYPE
