"""Listeners that record events, and helpers to observe a client."""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Callable
from typing import Any

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator

HANG = 5.0
"""Seconds after which a wait counts as a hang."""

Connect = Callable[..., AzureRealTimeAudio]


NO_VAD: dict[str, Any] = {"turn_detection": None}
"""A session in which only the client acts."""

TONE = (b"\x00\x40" * 24 + b"\x00\xc0" * 24) * 500
"""One second of 500 Hz, PCM16."""

MARKER = {"type": "test.marker", "event_id": "m"}
"""An event to say, and to wait for, when everything before it must have arrived."""


def ready(connect: Connect, **options: Any) -> AzureRealTimeAudio:
    """Return a client whose session is ready."""
    client = connect(**options)
    client.wait_until_ready(HANG)
    return client


def message(text: str) -> dict[str, Any]:
    """Return a message of the user."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def audio_received(service: Emulator) -> list[str]:
    """Return the audio of the appends that the service received, in base64."""
    return [command["audio"] for command in service.received("input_audio_buffer.append")]


def received(service: Emulator) -> bytes:
    """Return the audio of the appends, decoded and joined."""
    return b"".join(map(base64.b64decode, audio_received(service)))


class Probe:
    """A listener that records its events and the threads that called it."""

    def __init__(self) -> None:
        self._told: queue.Queue[Any] = queue.Queue()
        self.threads: set[str] = set()

    def __call__(self, event: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self._told.put(event)

    def next(self) -> Any:
        """Return the next event."""
        return self._told.get(timeout=HANG)

    def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Return the events up to the first wanted one, inclusive."""
        found = [self.next()]
        while not wanted(found[-1]):
            found.append(self.next())
        return found

    @property
    def told(self) -> list[Any]:
        """Remove and return the recorded events."""
        found = []
        while not self._told.empty():
            found.append(self._told.get_nowait())
        return found


class Stage:
    """A listener that blocks until the test sets ``go_on``."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, event: Any) -> None:
        self.entered.set()
        assert self.go_on.wait(HANG)

    def wait(self) -> None:
        """Wait until the listener has been called."""
        assert self.entered.wait(HANG)


class Aside:
    """A call on a second thread, and its result."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="aside")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as exc:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = exc

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def result(self) -> Any:
        """Wait for the end; return the result or raise the error."""
        self._thread.join(HANG)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        return self._result
