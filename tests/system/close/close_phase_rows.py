"""
Every kind of caller that closes a client, or forgets it, in each phase of ``close_phases.py``.

Built as ``close_rows.py`` and ``close_scripts.py`` are, whose rows and programs these are, but for the phase.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import re
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from close_callers import (
    OPEN_CALLS,
    TIMEOUT,
    Client,
    Closing,
    beside_a_patient_one,
    blocked,
    from_two_threads,
    straight,
)
from close_interrupts import interrupt_calls
from close_phase_kinds import KIND_ROWS
from close_phase_peers import phased
from close_phases import HANG, LOSSES, PHASES, QUICK, reach
from close_rows import Obstacle, Place, Places, Row
from close_scripts import HANG_SECONDS, SCRIPTS, Script

from azure_rt_audio import InlineDispatcher, WebSocketState

_OUTCOMES = {
    "waiting": "closed by this side before it was open",
    "connecting": "closed by this side before it was open",
    "restoring": r"did not answer the close frame within 0\.3 s",
    "standby": r"did not answer the close frame within 0\.3 s",
    "holding": r"did not answer the close frame within 0\.3 s",
}


_HELD_UP = "held up in a callback"


@contextlib.contextmanager
def _there(phase: str, **more: Any) -> Iterator[Place]:
    """A client in a phase."""
    with phased(phase, HANG) as (host, _):
        yield Place(host, lambda client: reach(client, phase), reconnect=QUICK, **more)


@contextlib.contextmanager
def _stuck(phase: str) -> Iterator[Place]:
    """A listener was called before, and does not return."""
    obstacle = Obstacle()

    def get_there(client: Client) -> None:
        client.once("conversation.item.added", obstacle)
        reach(client, phase)
        assert obstacle.entered.wait(HANG)

    with phased(phase, HANG) as (host, _):
        yield Place(host, get_there, obstacle.go_on.set, reconnect=QUICK)


@contextlib.contextmanager
def _closed_beneath(phase: str, place: Callable[[Client, Callable[[Any], Any]], object]) -> Iterator[Place]:
    """The client is closed by a function of the program's that was called before, and has waited for that."""
    told: queue.Queue[Closing] = queue.Queue()
    entered, is_there = threading.Event(), threading.Event()
    clients: list[Client] = []

    def act(_: object) -> None:
        entered.set()
        assert is_there.wait(HANG)
        told.put(straight(clients[0]))

    def get_there(client: Client) -> None:
        clients.append(client)
        place(client, act)
        reach(client, phase)
        assert entered.wait(HANG)

    def close(_: Client) -> Closing:
        is_there.set()
        try:
            return told.get(timeout=HANG)
        finally:
            clients.clear()

    with phased(phase, HANG) as (host, _):
        yield Place(host, get_there, is_there.set, reconnect=QUICK, close=close)


def _from_exit(client: Client) -> Closing:
    """Leave a ``with`` statement by an exception; to enter one would wait for the session."""
    began = time.monotonic()
    client.__exit__(LookupError, LookupError(), None)
    return Closing(client.state is WebSocketState.CLOSED, time.monotonic() - began)


def _in_a_listener(client: Client, act: Callable[[Any], Any]) -> None:
    client.once("conversation.item.added", act)


def _in_a_callback(client: Client, act: Callable[[Any], Any]) -> None:
    client.wait_until_ready(HANG)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "first"}]}
    client.create_conversation_item(item).add_done_callback(act)


_Act = Callable[[Any], Any]


def _in_an_inline_listener(client: Client, subject: str, act: _Act) -> None:
    client.once(subject, act)


def _in_a_predicate(client: Client, subject: str, act: _Act) -> None:
    blocked({"wait_for": lambda client: client.wait_for(subject, act, timeout=None)}, client)


@contextlib.contextmanager
def _on_the_io_thread(
    phase: str, place: Callable[[Client, str, _Act], object], act: _Act, **more: Any
) -> Iterator[Place]:
    """A function of the program's is called on the I/O thread, with an event that comes in that phase."""
    entered = threading.Event()

    def called(event: object) -> None:
        entered.set()
        act(event)

    def get_there(client: Client) -> None:
        if phase in LOSSES:
            client.wait_until_ready(HANG)
            place(client, "reconnecting", called)
            client.clear_audio_buffer()
        else:
            reach(client, phase)
            place(client, "input_audio_buffer.cleared", called)
            prompt.set()
        assert entered.wait(HANG)

    with phased(phase, HANG) as (host, prompt):
        yield Place(host, get_there, dispatcher=InlineDispatcher(), reconnect=QUICK, **more)


@contextlib.contextmanager
def _stuck_inline(phase: str, place: Callable[[Client, str, _Act], object]) -> Iterator[Place]:
    """That function does not return."""
    obstacle = Obstacle()
    with _on_the_io_thread(phase, place, obstacle, lift=obstacle.go_on.set) as there:
        yield there


@contextlib.contextmanager
def _closed_inline(phase: str, place: Callable[[Client, str, _Act], object]) -> Iterator[Place]:
    """That function closes the client."""
    told: queue.Queue[Closing] = queue.Queue()
    clients: queue.Queue[Client] = queue.Queue()

    def act(_: object) -> None:
        told.put(straight(clients.get(timeout=HANG)))

    def close(client: Client) -> Closing:
        clients.put(client)
        return told.get(timeout=HANG)

    with _on_the_io_thread(phase, place, act, close=close) as there:
        yield there


@contextlib.contextmanager
def _closed_by_its_credential() -> Iterator[Place]:
    """The client is closed by the function that is to give the token of the next connection."""
    told: queue.Queue[Closing] = queue.Queue()
    clients: list[Client] = []
    asked, is_there = threading.Event(), threading.Event()

    def credential() -> str:
        if not clients:
            return "token"
        asked.set()
        assert is_there.wait(HANG)
        told.put(straight(clients[0]))
        return "token"

    def get_there(client: Client) -> None:
        client.wait_until_ready(HANG)
        clients.append(client)
        client.clear_audio_buffer()
        assert asked.wait(HANG)

    def close(_: Client) -> Closing:
        is_there.set()
        try:
            return told.get(timeout=HANG)
        finally:
            clients.clear()

    with phased("connecting", HANG) as (host, _):
        options = {"credential": credential}
        yield Place(host, get_there, is_there.set, options=options, reconnect=QUICK, close=close)


@contextlib.contextmanager
def _asking_for_a_token() -> Iterator[Place]:
    """The credential does not return when it is asked again."""
    obstacle, is_first = Obstacle(), iter([True])

    def credential() -> Any:
        return "token" if next(is_first, False) else obstacle()

    def get_there(client: Client) -> None:
        client.wait_until_ready(HANG)
        client.clear_audio_buffer()
        assert obstacle.entered.wait(HANG)

    with phased("connecting", HANG) as (host, _):
        yield Place(host, get_there, obstacle.go_on.set, options={"credential": credential}, reconnect=QUICK)


def _rows(phase: str) -> Iterator[tuple[str, Row]]:
    reason = _OUTCOMES[phase]

    def row(place: Callable[[], Places], **more: Any) -> Row:
        return Row(place, reason, OPEN_CALLS, **more)

    there = row(lambda: _there(phase))
    yield "main thread", there
    yield "from two threads", dataclasses.replace(there, close=from_two_threads, is_dropped=False)
    yield "beside a patient close", dataclasses.replace(there, close=beside_a_patient_one, is_dropped=False)
    patience = {"close_timeout": TIMEOUT}
    yield (
        "from __exit__",
        row(lambda: _there(phase, options=patience), close=_from_exit, is_dropped=False),
    )
    yield "listener hangs", row(lambda: _stuck(phase), ends=False)
    yield "from a listener", row(lambda: _closed_beneath(phase, _in_a_listener), ends=False, is_dropped=False)
    yield "from a callback", row(lambda: _closed_beneath(phase, _in_a_callback), ends=False, is_dropped=False)
    if phase not in ("connecting", "restoring"):  # which no event comes in
        places = {"an inline listener": _in_an_inline_listener, "a predicate": _in_a_predicate}
        for name, place in places.items():
            closed, stuck = partial(_closed_inline, phase, place), partial(_stuck_inline, phase, place)
            yield f"from {name}", row(closed, ends=False, is_dropped=False)
            yield (
                f"{name} hangs",
                Row(stuck, _HELD_UP, ends=False, is_dropped=place is _in_an_inline_listener),
            )
    if phase == "connecting":
        yield "from its credential", row(_closed_by_its_credential, ends=False, is_dropped=False)
        yield "credential hangs", row(_asking_for_a_token, ends=False)


PHASE_ROWS = {
    **KIND_ROWS,
    **{f"{phase}: {name}": row for phase in PHASES for name, row in _rows(phase)},
}


# ------------------------------------------------------------ programs

_PRELUDE = """
sys.path.insert(0, {folder!r})
from close_phases import QUICK, reach

def there():
    client = connect("phase", reconnect=QUICK)
    reach(client, {phase!r})
    return client
"""

_CONNECTS = re.compile("""connect\\((["'])mute\\1\\)""")


def _program(script: Script, phase: str) -> Script:
    prelude = _PRELUDE.format(folder=str(Path(__file__).parent), phase=phase)
    body = _CONNECTS.sub("there()", script.source)
    body = body.replace("client.state is WebSocketState.OPEN", "client.state is not WebSocketState.CLOSED")
    return dataclasses.replace(script, source=prelude + textwrap.dedent(body))


PHASE_SCRIPTS = {
    f"{phase}: {name}": (phase, _program(script, phase))
    for phase in PHASES
    for name, script in SCRIPTS.items()
    if _CONNECTS.search(script.source)
}


def run_script(name: str) -> float:
    """Run a program; return the seconds that its close, or its exit, took."""
    phase, script = PHASE_SCRIPTS[name]
    with phased(phase, HANG_SECONDS) as (host, _):
        return script.run_at({"phase": host})


INTERRUPTED_CALLS = {
    "wait_for": "client.wait_for('response.done', timeout=None)",
    "ask": "client.ask('Hello', timeout=None)",
    "response": "client.create_response().result(None)",
    "iteration": "list(client.create_response())",
    "events": "next(client.events('response.done'))",
    "future": "client.commit_audio().result()",
    "future's exception": "client.commit_audio().exception()",
    "reconnect": "client.reconnect().result()",
    "close": "client.close(60)",
}


def interrupt_in(phase: str) -> dict[str, float]:
    """Press Ctrl-C in every blocking call of one program in a phase; return the seconds each took to end."""
    prelude = _PRELUDE.format(folder=str(Path(__file__).parent), phase=phase)
    calls = dict(INTERRUPTED_CALLS)
    if phase in LOSSES:
        calls = {"wait_until_ready": "client.wait_until_ready(None)", **calls}
    if phase in ("waiting", "connecting"):
        del calls["close"]  # which has nothing to wait for
    with phased(phase, HANG_SECONDS) as (host, _):
        return interrupt_calls(prelude + "\nclient = there()\n", calls, "client", {"phase": host})
