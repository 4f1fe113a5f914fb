"""What a voice session needs of a client: a part of :class:`~azure_rt_audio.AzureRealTimeAudio`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..dispatch import Dispatcher
from ..protocol.session import Session

__all__ = ["Client", "Engine", "Interruption", "Recorder", "Taps", "TurnTaking", "Waiters"]


class Interruption(Protocol):
    """Cancels and truncates responses."""

    def stop_response(self) -> str | None:
        """Cancel the response in progress; its id, ``""`` if it has none yet, ``None`` if there is none."""

    def cancel(self, response_id: str, /) -> None:
        """Cancel a response."""

    def truncate_unheard(self, item_id: str, heard_ms: int) -> None:
        """Truncate an item at the position that was played; delete it at 0."""

    def is_unplayed(self, response_id: str) -> bool:
        """Whether what still comes of a response is not to be played, since it was given up."""


class TurnTaking(Protocol):
    """Push to talk."""

    def press(self) -> None:
        """The user takes the turn."""

    def answer_user(self, owner: object) -> object:
        """Ask for the answer to that turn, which comes before all requests that wait."""


class Taps(Protocol):
    """Observers of a client's session."""

    @property
    def active(self) -> tuple[object, ...]:
        """Those that there are."""

    def heard(self, item_id: str, ms: float, end: str | None) -> None:
        """Report how much of an item the speaker has played."""

    def levels(self, microphone_db: float, speaker_db: float) -> None:
        """Report the levels."""


class Recorder(Protocol):
    """Records the client."""

    def close(self, timeout: float, /) -> bool:
        """End the recording."""


class Waiters(Protocol):
    """Blocked callers."""

    def told_of_end(self) -> AbstractContextManager[None]:
        """Within the block a caller waits for the session's end, and raises why it came."""


class Engine(Protocol):
    """The session behind a client."""

    @property
    def voice(self) -> dict[str, object]:
        """The voice session that goes on, as ``"session"``."""

    @property
    def is_closing(self) -> bool:
        """Whether this side wants the end."""

    @property
    def waiters(self) -> Waiters:
        """Blocked callers."""

    @property
    def taps(self) -> Taps:
        """Observers."""

    @property
    def session(self) -> Session | None:
        """The session's configuration, as the service last described it."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Where the client's listeners run."""

    @property
    def interruption(self) -> Interruption:
        """Cancels and truncates responses."""

    @property
    def turns(self) -> TurnTaking:
        """Push to talk."""

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> None:
        """Set the status from what the speaker plays."""


class Client(Protocol):
    """The methods that a voice session calls; see :class:`~azure_rt_audio.AzureRealTimeAudio`."""

    @property
    def _engine(self) -> Engine: ...

    @property
    def is_initialized(self) -> bool: ...

    def on(self, name: Any, callback: Callable[..., object], /, *, dispatcher: Dispatcher) -> Any: ...

    def append_audio(self, audio: bytes, /, *, sample_rate_hz: int) -> object: ...

    def commit_audio(self) -> object: ...

    def clear_audio_buffer(self) -> object: ...

    def update_session(self, config: dict[str, Any], /) -> object: ...
