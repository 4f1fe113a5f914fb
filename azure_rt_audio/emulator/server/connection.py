"""
One client's connection: frames between its socket and its session, with injected faults in between.

Threads and locks: the thread that ``websockets`` starts for a connection runs :meth:`Connection.run` and is
the only one that uses the session. Other threads may perform actions (close, drop, say); those go to the
socket, which serialises its writers. Flags are plain attributes, read in the next iteration of the loop. No
lock of the emulator is held across I/O.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from ..._log import get_logger
from ..._repr import also_half_made
from ..dialects.names import canonical
from ..session.engine import Close
from . import faults as fault
from .arguments import check_seconds
from .latency import Line

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

    from .clock import Clock
    from .handshake import Accepted

__all__ = ["Connection", "Engine", "abridged"]

log: logging.Logger = get_logger(__name__)

_PING_SECONDS: Final = 20.0
_LONGEST_TYPE: Final = 64
_FLAG_POLL_SECONDS: Final = 0.05
# The longest wait: faults that another thread adds or removes are noticed after that.
_LONGEST_WAIT_SECONDS: Final = 0.25
_PONG: Final = b"\x8a"  # the first byte of an unmasked pong frame
_LOST: Final = 1006
_WITH_AUDIO: Final = frozenset(
    {
        "input_audio_buffer.append",
        "response.audio.delta",
        "response.output_audio.delta",
        "conversation.item.create",
        "conversation.item.retrieved",
        "response.create",
    }
)


class Engine(Protocol):
    """What answers a connection: a session, or a recording of one."""

    def receive(self, frame: str | bytes, now: float) -> dict[str, Any] | None:
        """Take a message; return the command that it is."""

    def pull(self, now: float) -> dict[str, Any] | Close | str | bytes | None:
        """Return what is to be sent next, if anything is: an event, a message as it is, the end."""

    def next_due(self) -> float | None:
        """When to call :meth:`pull` again."""

    def fail(self) -> None:
        """A command could not be carried out."""

    def abandon(self) -> None:
        """The connection has ended."""

    def drop_audio(self) -> None:
        """It has ended, and nobody will look at its sound."""


class Connection:
    """
    An accepted client's connection.

    Attributes:
        number: 1 for the first.
        dialect: ``"ga"`` or ``"preview"``.
        target: Path and query of the request, credentials redacted.
        headers: Of the request, names in lower case, credentials redacted.
        received: Commands as decoded, oldest first, audio abridged unless the emulator keeps it.
        sent: Events as sent, likewise.
        audio_bytes: Bytes of audio received in ``input_audio_buffer.append``, base64 removed.

    **Threads**: logs may be read and actions performed from any thread.
    """

    def __init__(
        self,
        socket_: ServerConnection,
        engine: Engine,
        faults: fault.Faults,
        *,
        number: int,
        accepted: Accepted,
        target: str,
        headers: Mapping[str, str],
        keep_audio: bool,
        log_limit: int,
        latency: tuple[float, float],
        clock: Clock,
        on_change: Callable[[], None],
        on_log: Callable[[str], None],
    ) -> None:
        self.number = number
        self.dialect: str = accepted.dialect.name
        self.deployment: str = accepted.deployment
        self.target = target
        self.headers: dict[str, str] = dict(headers)
        self.received: deque[dict[str, Any]] = deque(maxlen=log_limit)
        self.sent: deque[dict[str, Any]] = deque(maxlen=log_limit)
        self.audio_bytes: int = 0
        self.close_code: int | None = None
        self.close_reason: str = ""
        self._socket = socket_
        self._engine = engine
        self._faults = faults
        self._clock = clock
        self._keep_audio = keep_audio
        self._on_change = on_change
        self._on_log = on_log
        self._fault_counts: fault.Counts = {}
        self._gone = threading.Event()
        self._ended = threading.Event()
        self._resumed = threading.Event()
        self._resumed.set()
        self._is_silent = False
        self._ignores_pings = False
        self._paused_until = 0.0
        # By number: a rule may be added twice, and the id() of one that was removed may be another's.
        self._timed_performed: set[int] = set()
        self._held: dict[str, Any] | None = None  # the event before which it fell silent
        chance = random.Random(number)
        self._arriving: Line[str | bytes] = Line(*latency, chance)
        self._leaving: Line[dict[str, Any] | Close | str | bytes] = Line(*latency, chance)
        self._filter_pongs()

    @also_half_made
    def __repr__(self) -> str:
        state = "open" if self.is_open else f"closed {self.close_code}"
        return f"<Connection {self.number} {self.dialect} {self.target} {state}>"

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return not self._ended.is_set()

    def wait_closed(self, timeout: float = 5.0) -> bool:
        """Block until it is closed; ``False`` if it is not within *timeout* seconds."""
        check_seconds("timeout", timeout)
        return self._ended.wait(timeout)

    # The loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve the client until the connection ends; called on the connection's own thread."""
        from websockets.exceptions import ConnectionClosed

        threading.current_thread().name = f"azure-rt-emulator-{self.number}"
        began = self._clock.monotonic()
        next_ping = began + _PING_SECONDS
        try:
            while not self._gone.is_set():
                self._sit_out_delay()
                now = self._clock.monotonic()
                if now >= next_ping:
                    self._socket.ping()
                    next_ping = now + _PING_SECONDS
                next_timed = self._perform_timed(now - began)
                has_moved = self._take_arrived(now)
                has_moved |= not self._is_silent and self._send_next(now)
                waits = [next_ping, now + (_FLAG_POLL_SECONDS if self._is_silent else _LONGEST_WAIT_SECONDS)]
                if next_timed is not None:
                    waits.append(began + next_timed)
                due = None if self._is_silent else self._engine.next_due()
                waits += [one for one in (due, self._arriving.due, self._leaving.due) if one is not None]
                self._receive(0.0 if has_moved else self._clock.limit(min(waits) - self._clock.monotonic()))
            self._receive_rest()
        except ConnectionClosed:
            self._receive_rest()
        except OSError as exc:
            # A dropped socket may also show as an error of the operating system.
            log.debug("= #%d ended by the network: %s", self.number, exc)
        except Exception:  # such as a listener of the log that raised: say so and end
            log.exception("! #%d failed", self.number)
            with contextlib.suppress(ConnectionClosed, OSError):
                self._socket.close(1011, "internal error")
        finally:
            self._note_end()

    def _receive(self, timeout: float) -> None:
        if not self._resumed.is_set():
            # A close is not noticed while nothing is read, so look for it.
            self._resumed.wait(min(timeout, _FLAG_POLL_SECONDS) or 0.001)
            if self._socket.protocol.state.name == "CLOSED":
                self._gone.set()
            return
        try:
            frame = self._socket.recv(timeout)
        except TimeoutError:
            return
        self._arriving.put(frame, self._clock.monotonic())

    def _take_arrived(self, now: float) -> bool:
        frame = self._arriving.take(now)
        if frame is None:
            return False
        self._handle(frame)
        return True

    def _receive_rest(self) -> None:
        """Take what the client sent before its close frame, although no answer can be written any more."""
        from websockets.exceptions import ConnectionClosed

        for frame in self._arriving.take_all():
            self._handle(frame)
        with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
            while self._resumed.is_set():
                self._handle(self._socket.recv(_LONGEST_WAIT_SECONDS))

    def _handle(self, frame: str | bytes) -> None:
        kind = _kind_of(frame)
        self._note(f"< {kind} ({len(frame)} bytes)")
        for action in self._faults.due("command", kind, self._fault_counts):
            self.perform(action)
        self._sit_out_delay()
        try:
            command = self._engine.receive(frame, self._clock.monotonic())
        except Exception:
            log.exception("! #%d: a command was not understood; it is answered with an error", self.number)
            self._engine.fail()
            return
        if command is None:
            return
        if kind == "input_audio_buffer.append" and isinstance(command.get("audio"), str):
            self.audio_bytes += _decoded_length(command["audio"])
        self.received.append(command if self._keep_audio else abridged(command))
        self._on_change()

    def _send_next(self, now: float) -> bool:
        if self._held is not None:
            self.say(self._held)
            self._held = None
        made = self._engine.pull(now)
        if made is not None:
            self._leaving.put(made, now)
        out = self._leaving.take(now)
        if out is None:
            return made is not None
        if isinstance(out, Close):
            self.perform(_end_with(out))
            return False
        if not isinstance(out, dict):
            self.perform(fault.SendRaw(out))
            return True
        kind = canonical(out["type"])
        latest = self._faults.latest  # who adds a rule when this event arrives means the next one
        actions = self._faults.due("before", kind, self._fault_counts)
        for action in actions:
            self.perform(action)
        self._sit_out_delay()
        if self._is_silent:
            self._held = out
        elif not any(isinstance(action, fault.Swallow) for action in actions):
            self.say(out)
        for action in self._faults.due("after", kind, self._fault_counts, until=latest):
            self.perform(action)
        return True

    def _sit_out_delay(self) -> None:
        while (left := self._paused_until - self._clock.monotonic()) > 0:
            if self._gone.wait(self._clock.limit(left)):
                return

    def _perform_timed(self, age: float) -> float | None:
        """Perform the timed faults due at this age; return the age at which the next is due."""
        upcoming: list[float] = []
        for number, rule in self._faults.timed():
            if number in self._timed_performed:
                continue
            if age < rule.seconds:
                upcoming.append(rule.seconds)
            elif self._faults.book(number):
                self._timed_performed.add(number)
                for action in rule.actions:
                    self.perform(action)
        return min(upcoming, default=None)

    # Actions --------------------------------------------------------------------------------

    def perform(self, action: fault.Action) -> None:
        """
        Perform an action now; without effect on a closed connection.

        Raises:
            TypeError: It is no action.
            ValueError: It is one of handshakes, or closes with what no close frame can have.
        """
        from websockets.exceptions import ConnectionClosed

        fault.check_action(action, (*fault.ANY_TIME, fault.Swallow), "perform()")
        self._note(f"! {type(action).__name__}")
        with contextlib.suppress(ConnectionClosed, OSError):
            # _gone stays unset: a loop that ends by itself would first send a close with 1000.
            if isinstance(action, Close):
                self._socket.close(action.code, action.reason)
            elif isinstance(action, fault.Drop):
                self._drop(is_reset=action.is_reset)
            elif isinstance(action, fault.StopReading):
                self._resumed.clear()
            elif isinstance(action, fault.IgnorePings):
                self._ignores_pings = True
            elif isinstance(action, fault.Silence):
                self._is_silent = True
            elif isinstance(action, fault.Delay):
                self._paused_until = self._clock.monotonic() + action.seconds
            elif isinstance(action, fault.Say):
                self.say(action.event)
            elif isinstance(action, fault.SendRaw):
                self._socket.send(action.data)
            elif isinstance(action, fault.BadFrame):
                with self._socket.protocol_mutex:
                    self._socket.socket.sendall(action.data)

    def resume(self) -> None:
        """Read, answer pings and send again after a fault stopped that."""
        self._ignores_pings = False
        self._is_silent = False
        self._resumed.set()

    def say(self, event: Mapping[str, Any]) -> None:
        """Send one event as it is."""
        text = orjson.dumps(dict(event)).decode()
        # Recorded first, so that a test which received it finds it here.
        self.sent.append(dict(event) if self._keep_audio else abridged(event))
        self._note(f"> {event.get('type')} ({len(text)} bytes)")
        self._socket.send(text)

    def close_going_away(self) -> None:
        """Close with 1001 and end the loop; blocks for as long as the client is slow."""
        from websockets.exceptions import ConnectionClosed

        self._resumed.set()
        with contextlib.suppress(ConnectionClosed, OSError):
            self._socket.close(1001)
        self._gone.set()

    def abort(self) -> None:
        """End the connection without a close frame, waking all that block on it."""
        self._drop(is_reset=False)
        self._gone.set()
        self._resumed.set()

    def _drop(self, *, is_reset: bool) -> None:
        with contextlib.suppress(OSError):
            if is_reset:
                self._socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.socket.shutdown(socket.SHUT_RDWR)

    def _filter_pongs(self) -> None:
        """Leave pongs out of the protocol's output while pings are ignored."""
        protocol = self._socket.protocol
        wanted = protocol.data_to_send

        def data_to_send() -> list[bytes]:
            return [data for data in wanted() if not (self._ignores_pings and data[:1] == _PONG)]

        protocol.data_to_send = data_to_send  # type: ignore[method-assign]

    # Records ----------------------------------------------------------------------------------

    def _note(self, line: str) -> None:
        log.debug("#%d %s", self.number, line)
        self._on_log(f"#{self.number} {line}")

    def _note_end(self) -> None:
        self._gone.set()
        received = self._socket.protocol.close_rcvd
        sent = self._socket.protocol.close_sent
        final = received or sent
        self.close_code = final.code if final is not None else 1006
        self.close_reason = final.reason if final is not None else ""
        # An ended connection is remembered, for its log; what it has not sent, and its sound, would stay too.
        self._held = None
        self._arriving.take_all()
        self._leaving.take_all()
        if not self._keep_audio:
            self._engine.drop_audio()
        self._ended.set()
        self._note(f"= closed {self.close_code}")
        self._on_change()
        self._engine.abandon()


def _end_with(close: Close) -> fault.Action:
    """Return how to end with a code that was recorded, also one that no close frame may have."""
    if close.code == _LOST:
        return fault.Drop()
    reason = close.reason.encode(errors="ignore")[: Close.LONGEST_REASON].decode(errors="ignore")
    return Close(close.code if close.has_code_of_a_frame else 1011, reason)


def _kind_of(frame: str | bytes) -> str:
    if isinstance(frame, bytes):
        return "(binary)"
    try:
        command = orjson.loads(frame)
    except ValueError:
        return "(not JSON)"
    # Shortened, because it is the client's and goes into logs.
    return str(command.get("type"))[:_LONGEST_TYPE] if isinstance(command, dict) else "(no object)"


def _decoded_length(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def abridged(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with every piece of audio replaced by its size."""
    if str(event.get("type")) not in _WITH_AUDIO:
        return dict(event)
    result = _without_audio(event)
    if canonical(str(event["type"])) == "response.output_audio.delta" and isinstance(event.get("delta"), str):
        result["delta"] = _size(event["delta"])
    assert isinstance(result, dict)
    return result


def _without_audio(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _size(held) if name == "audio" and isinstance(held, str) else _without_audio(held)
            for name, held in value.items()
        }
    return [_without_audio(element) for element in value] if isinstance(value, list) else value


def _size(encoded: str) -> str:
    return f"<{_decoded_length(encoded)} bytes of audio>"
