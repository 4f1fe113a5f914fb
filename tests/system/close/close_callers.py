"""Callers who are blocked in a client, ways to close it, and a look at what is left afterwards."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from listeners import HANG, Aside

from azure_rt_audio import AzureRealTimeAudio, RealtimeError, WebSocketState

TIMEOUT = 0.3
"""Seconds that close() is given."""

LIMIT = TIMEOUT + 1.0
"""Seconds within which it must have returned."""

Client = AzureRealTimeAudio
Call = Callable[[Client], object]


def append_for_ever(client: Client) -> None:
    """Append audio until that is no longer possible."""
    while True:
        client.append_audio(bytes(96_000))


OPEN_CALLS: dict[str, Call] = {
    "wait_for": lambda client: client.wait_for("response.done", timeout=None),
    "future": lambda client: client.commit_audio().result(None),
    "response": lambda client: client.create_response().result(None),
    "text": lambda client: "".join(client.create_response().text(None)),
    "events": lambda client: list(client.events("response.done")),
    "ask": lambda client: client.ask("Hello", timeout=None),
}
EARLY_CALLS: dict[str, Call] = {
    "wait_until_ready": lambda client: client.wait_until_ready(None),
    "append_audio": lambda client: client.append_audio(bytes(4800)),
    "create_response": lambda client: client.create_response(),
    "update_session": lambda client: client.update_session({}),
    "wait_for": OPEN_CALLS["wait_for"],
    "events": OPEN_CALLS["events"],
    "ask": OPEN_CALLS["ask"],
}
STALLED_CALLS: dict[str, Call] = {
    "append": append_for_ever,
    "append, too": append_for_ever,
    "wait_for": OPEN_CALLS["wait_for"],
    "events": OPEN_CALLS["events"],
}


class Caller:
    """A thread that is blocked in a call, and how it came out of it."""

    def __init__(self, call: Call, client: Client) -> None:
        self.error: Exception | None = None
        self.woke = 0.0
        self._thread = threading.Thread(target=self._run, args=(call, client), name="caller")
        self._thread.start()

    def _run(self, call: Call, client: Client) -> None:
        try:
            call(client)
        except Exception as exc:  # noqa: BLE001 - looked at by who started it
            self.error = exc.with_traceback(None)  # whose frames hold the client
        self.woke = time.monotonic()

    def wait_until_blocked(self) -> None:
        """Return when the thread is waiting and stays so."""
        deadline = time.monotonic() + HANG
        before, looks = None, 0
        while looks < 3:
            assert time.monotonic() < deadline
            assert self._thread.is_alive(), self.error
            now = position(self._thread)
            before, looks = now, looks + 1 if now == before else 0
            threading.Event().wait(0.005)

    def join(self) -> None:
        """Wait for the end of the call."""
        self._thread.join(HANG)
        assert not self._thread.is_alive()


def position(thread: threading.Thread) -> tuple[object, int] | None:
    """Return where in its program a thread is; one that waits does not move."""
    found = sys._current_frames().get(thread.ident or 0)
    return None if found is None else (found.f_code, found.f_lasti)


def blocked(calls: Mapping[str, Call], client: Client) -> dict[str, Caller]:
    """Start callers, and return them when all are blocked."""
    callers = {name: Caller(call, client) for name, call in calls.items()}
    for caller in callers.values():
        caller.wait_until_blocked()
    return callers


def check_callers(callers: Mapping[str, Caller], outcome: RealtimeError, *, is_ours: bool) -> float:
    """
    Check that everybody was told the recorded outcome, and return when the last one was.

    Args:
        is_ours: Whether this side wanted the end: then loops over events are simply over, and who waited
            for room was told before there was an outcome.
    """
    for name, caller in callers.items():
        caller.join()
        if is_ours and name == "events":
            assert caller.error is None
        elif is_ours and name.startswith("append"):
            assert isinstance(caller.error, RealtimeError)
            assert "clos" in str(caller.error), caller.error
        else:
            assert isinstance(caller.error, type(outcome)), (name, caller.error)
            assert caller.error.__cause__ is outcome
            assert str(caller.error) == str(outcome)
    return max((caller.woke for caller in callers.values()), default=0.0)


def outcome_of(client: Client) -> RealtimeError:
    """Return the recorded reason for the end, which is due."""
    deadline = time.monotonic() + LIMIT
    while client.state is not WebSocketState.CLOSED:
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)
    outcome = client._engine.connection.outcome
    assert outcome is not None
    return outcome


# ------------------------------------------------------------ what is left


def descriptors() -> int:
    """Return how many descriptors this process has; 0 where the system does not say."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def threads() -> set[threading.Thread]:
    """Return the library's threads."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("azure-rt-")}


# ------------------------------------------------------------ ways to close


@dataclass(frozen=True)
class Closing:
    """What one call of close came to: what it returned, and after how many seconds."""

    ended: bool
    seconds: float


Close = Callable[[Client], Closing]


def straight(client: Client) -> Closing:
    """Close here and now."""
    began = time.monotonic()
    return Closing(client.close(TIMEOUT), time.monotonic() - began)


def from_two_threads(client: Client) -> Closing:
    """Close twice at the same time; the slower one counts."""
    closings = [one.result() for one in [Aside(lambda: straight(client)) for _ in range(2)]]
    return Closing(all(closing.ended for closing in closings), max(c.seconds for c in closings))


def beside_a_patient_one(client: Client) -> Closing:
    """Close while another thread closes, too, and is ready to wait for a minute."""
    patient = Caller(lambda client: client.close(60), client)
    closing = straight(client)
    patient.join()
    return closing


def from_exit(client: Client) -> Closing:
    """Leave a ``with`` statement by an exception."""
    began = 0.0
    try:
        with client:
            began = time.monotonic()
            raise LookupError
    except LookupError:
        return Closing(client.state is WebSocketState.CLOSED, time.monotonic() - began)
