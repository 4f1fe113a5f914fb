"""
Injected faults.

A rule is an action at a moment. Declared when the emulator is made::

    Emulator(faults=Faults(
        at_handshake(Refuse(429, retry_after_ms=1500)),
        after("response.output_audio.delta", Drop(), count=3),
        on_command("response.create", Close(1011, "internal error")),
    ))

added while it runs (``service.faults.add(...)``), or performed at once (``service.inject(Drop())``
and its shorthands ``service.drop()``, ``service.close(1011)``, ``service.say({...})``).

A name of either dialect means the event in both; one that the emulator does not know is refused. A rule
happens once, on the first connection that reaches it, unless *times* says otherwise; *count* is counted on
each connection, from when the rule was added.

Threads and locks: rules may be added from any thread; one leaf lock guards the list. What a connection has
counted is its thread's own.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from ..dialects.names import canonical, check_name
from ..session.engine import Close
from .arguments import (
    check_bytes,
    check_count,
    check_flag,
    check_header,
    check_json,
    check_seconds,
    check_text,
    check_whole,
)
from .handshake import TOKEN_EXPIRED, Refused

__all__ = [
    "ANY_TIME",
    "Action",
    "BadFrame",
    "Close",
    "Counts",
    "Delay",
    "Drop",
    "Faults",
    "IgnorePings",
    "Redirect",
    "Refuse",
    "Rule",
    "Say",
    "SendRaw",
    "Silence",
    "StopReading",
    "Swallow",
    "after",
    "after_seconds",
    "at_handshake",
    "before",
    "check_action",
    "on_command",
]

_BODIES: Final[Mapping[int, Mapping[str, Any]]] = {
    401: TOKEN_EXPIRED,
    403: {
        "error": {
            "code": "AuthenticationTypeDisabled",
            "message": "Key based authentication is disabled for this resource.",
        }
    },
    404: {"error": {"code": "404", "message": "Resource not found"}},
    429: {
        "error": {
            "code": "429",
            "message": (
                "Requests to the Realtime API have exceeded the call rate limit of your current pricing "
                "tier. Please retry after a while."
            ),
        }
    },
    500: {"error": {"code": "InternalServerError", "message": "The server had an error."}},
    503: {"error": {"code": "ServiceUnavailable", "message": "The service is temporarily unavailable."}},
}

_STATUSES: Final = frozenset(map(int, HTTPStatus))  # those that websockets can answer with
_MOST_RETRY_MS: Final = 366 * 24 * 3600 * 1000


def _check_status(status: int, low: int, high: int) -> None:
    check_whole("status", status, low, high)
    if status not in _STATUSES:
        raise ValueError(f"status is {status}: give one that HTTP has, such as 503")


@dataclass(frozen=True)
class Refuse:
    """
    Answer the handshake with an HTTP status.

    Attributes:
        status: HTTP status, such as 401 or 429.
        body: JSON; by default the service's body for that status.
        headers: Further headers of the answer.
        retry_after_ms: Sent as ``retry-after-ms`` and, in seconds, as ``retry-after``.
        has_body: ``False`` sends none, and no ``content-type``.
    """

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_ms: int | None = None
    has_body: bool = True

    def __post_init__(self) -> None:
        """Refuse a status that refuses nothing, and what cannot be sent."""
        _check_status(self.status, 300, 599)
        if self.body is not None:
            check_json("body", self.body)
        check_json("headers", self.headers)
        for name, value in self.headers.items():
            check_header("headers: a name", name)
            check_header(f"headers: {name}", value)
        if self.retry_after_ms is not None:
            check_whole("retry_after_ms", self.retry_after_ms, 0, _MOST_RETRY_MS)
        check_flag("has_body", self.has_body)

    def as_refused(self) -> Refused:
        """The HTTP answer."""
        headers = dict(self.headers)
        if self.retry_after_ms is not None:
            headers["retry-after-ms"] = str(self.retry_after_ms)
            headers["retry-after"] = str(-(-self.retry_after_ms // 1000))
        if not self.has_body:
            return Refused(self.status, {}, headers)
        unnamed = {"error": {"code": str(self.status), "message": "The request was refused."}}
        body = self.body if self.body is not None else _BODIES.get(self.status, unnamed)
        return Refused(self.status, body, headers)


@dataclass(frozen=True)
class Redirect:
    """Answer the handshake with a redirect to *location*, with the HTTP *status*."""

    location: str
    status: int = 307

    def __post_init__(self) -> None:
        """Refuse what is no redirect."""
        check_header("location", self.location)
        _check_status(self.status, 300, 308)

    def as_refused(self) -> Refused:
        """The HTTP answer."""
        return Refused(self.status, {}, {"Location": self.location})


@dataclass(frozen=True)
class Drop:
    """
    Drop the connection without a close frame.

    Attributes:
        is_reset: Send a TCP reset instead of an orderly end of stream.
    """

    is_reset: bool = False

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        check_flag("is_reset", self.is_reset)


@dataclass(frozen=True)
class StopReading:
    """
    Read nothing more from the client, until resumed.

    Its messages fill the network's buffers first; then its sends stall.
    """


@dataclass(frozen=True)
class IgnorePings:
    """Answer no more pings; everything else goes on."""


@dataclass(frozen=True)
class Silence:
    """Send no more events, as if the model had stopped; pings are still answered."""


@dataclass(frozen=True)
class Delay:
    """Pause this connection, both ways, for *seconds*."""

    seconds: float

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        check_seconds("seconds", self.seconds)


@dataclass(frozen=True)
class Swallow:
    """With :func:`before`: the event is never sent."""


@dataclass(frozen=True)
class Say:
    """Send a further event, as it is: an unknown one, an error."""

    event: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse what is no JSON object."""
        check_json("event", self.event)


@dataclass(frozen=True)
class SendRaw:
    """Send a message as it is: text that is no JSON, or bytes as a binary message."""

    data: str | bytes

    def __post_init__(self) -> None:
        """Refuse what is no message."""
        check_bytes("data", self.data, or_text=True)


@dataclass(frozen=True)
class BadFrame:
    """
    Send bytes that are no WebSocket frame.

    The default has reserved bits and a reserved opcode set.
    """

    data: bytes = b"\xff\x03bad"

    def __post_init__(self) -> None:
        """Refuse what are no bytes."""
        check_bytes("data", self.data)


Action: TypeAlias = (
    Refuse
    | Redirect
    | Close
    | Drop
    | StopReading
    | IgnorePings
    | Silence
    | Delay
    | Swallow
    | Say
    | SendRaw
    | BadFrame
)


@dataclass(frozen=True)
class Rule:
    """
    Actions at a moment; make one with the functions of this module.

    Attributes:
        actions: What is done, in this order.
        moment: ``handshake``, ``before``, ``after``, ``command`` or ``seconds``.
        name: Event or command type; ``"*"`` for any.
        count: Which occurrence on a connection since the rule was added; ``None`` for each.
        times: How often in all; ``None`` for ever.
    """

    moment: str
    actions: tuple[Action, ...]
    name: str = "*"
    count: int | None = 1
    seconds: float = 0.0
    times: int | None = 1

    def __post_init__(self) -> None:
        """Check everything that can be checked before the moment."""
        if self.moment not in _ALLOWED:
            raise ValueError(f"moment is {self.moment!r}: use one of {', '.join(map(repr, _ALLOWED))}")
        if not self.actions:
            raise ValueError(f"{self._where} has no action: give one, such as Drop()")
        for action in self.actions:
            check_action(action, _ALLOWED[self.moment], self._where)
        if self.moment in ("before", "after", "command"):
            check_name(self.name, is_command=self.moment == "command")
        for name, value in (("count", self.count), ("times", self.times)):
            if value is not None:
                check_count(name, value)
        check_seconds("seconds", self.seconds)

    @property
    def _where(self) -> str:
        return _FUNCTIONS[self.moment] + (f"({self.name!r})" if self.name != "*" else "()")


ANY_TIME: Final = (Close, Drop, StopReading, IgnorePings, Silence, Delay, Say, SendRaw, BadFrame)
"""The actions on an open connection."""

_ALLOWED: Final[Mapping[str, tuple[type, ...]]] = {
    "handshake": (Refuse, Redirect, Delay, Drop),
    "before": (*ANY_TIME, Swallow),
    "after": ANY_TIME,
    "command": ANY_TIME,
    "seconds": ANY_TIME,
}
_FUNCTIONS: Final = {
    "handshake": "at_handshake",
    "before": "before",
    "after": "after",
    "command": "on_command",
    "seconds": "after_seconds",
}


def check_action(action: Any, allowed: tuple[type, ...], where: str) -> None:
    """
    Check an action.

    Raises:
        TypeError: It is none.
        ValueError: It is not one of those *allowed*, or closes with what no close frame can have.
    """
    if isinstance(action, allowed):
        if isinstance(action, Close):
            _check_close(action)
        return
    names = ", ".join(kind.__name__ for kind in allowed)
    if isinstance(action, (*ANY_TIME, Swallow, Refuse, Redirect)):
        raise ValueError(f"{where} cannot {type(action).__name__}: use one of {names}")
    remedy = f"give {action.__name__}(...)" if action in allowed else f"give one of {names}"
    raise TypeError(f"{where}: {action!r} is no action; {remedy}")


def _check_close(close: Close) -> None:
    check_whole("code", close.code, 1000, 4999)
    if not close.has_code_of_a_frame:
        raise ValueError(f"code is {close.code}: no close frame has it; Drop() ends without a close frame")
    check_text("reason", close.reason)
    if len(close.reason.encode()) > Close.LONGEST_REASON:
        raise ValueError(f"reason is {close.reason!r}: give {Close.LONGEST_REASON} bytes of UTF-8 at most")


def at_handshake(*actions: Action, times: int | None = 1) -> Rule:
    """Answer the next *times* handshakes with *actions*: a refusal, a redirect, a delay, a drop."""
    return Rule("handshake", actions, count=None, times=times)


def before(event: str, *actions: Action, count: int | None = 1, times: int | None = 1) -> Rule:
    """Do *actions* before a connection's *count*-th such event from now on is sent; *times* in all."""
    return Rule("before", actions, event, count, times=times)


def after(event: str, *actions: Action, count: int | None = 1, times: int | None = 1) -> Rule:
    """Do *actions* when a connection's *count*-th such event from now on has been sent; *times* in all."""
    return Rule("after", actions, event, count, times=times)


def on_command(command: str, *actions: Action, count: int | None = 1, times: int | None = 1) -> Rule:
    """Do *actions* before a connection's *count*-th such command from now on is run; *times* in all."""
    return Rule("command", actions, command, count, times=times)


def after_seconds(seconds: float, *actions: Action, times: int | None = 1) -> Rule:
    """Do *actions* when a connection is *seconds* old; *times* in all."""
    return Rule("seconds", actions, count=None, seconds=seconds, times=times)


Counts: TypeAlias = dict[tuple[int, str], int]
"""How often a connection has met a moment: by the number of the rule and the name of the event."""


class Faults:
    """
    The rules in force.

    Args:
        rules: As made by :func:`after` and the others.
        session_seconds: Maximum duration of new sessions; they end in ``session_expired`` and close 1001.
        renames_items: New sessions give an item that the client creates an id of their own, if its id is one
            that another session has made.
        refuses_calls: New sessions refuse function calls that the client creates.
        writes_on: Where the only answers so far are texts that the client created, as in a conversation that
            was restored, new sessions write the next one too, and do not speak.

    All but the rules are attributes too, and may be changed later.

    **Threads**: every method may be called from any thread.
    """

    def __init__(
        self,
        *rules: Rule,
        session_seconds: float = 3600.0,
        renames_items: bool = False,
        refuses_calls: bool = False,
        writes_on: bool = False,
    ) -> None:
        _check_rules(rules)
        check_seconds("session_seconds", session_seconds, above=True)
        check_flag("renames_items", renames_items)
        check_flag("refuses_calls", refuses_calls)
        check_flag("writes_on", writes_on)
        self.session_seconds = session_seconds
        self.renames_items = renames_items
        self.refuses_calls = refuses_calls
        self.writes_on = writes_on
        self._lock = threading.Lock()  # leaf; guards _rules
        self._numbers = itertools.count(1)  # guarded by _lock
        self._latest = 0  # written under _lock
        self._rules: list[_InForce] = []  # guarded by _lock
        self.add(*rules)

    def add(self, *rules: Rule) -> None:
        """
        Put more rules in force, on open connections too.

        They count from now on: what an open connection has sent and received before, or is just sending,
        does not count. One that was added before is another one, and is performed again.
        """
        _check_rules(rules)
        with self._lock:
            self._rules.extend(_InForce(rule, next(self._numbers)) for rule in rules)
            if rules:
                self._latest = self._rules[-1].number

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    @property
    def latest(self) -> int:
        """The number of the rule that was added last; 0 if there was none."""
        return self._latest

    def due(
        self, moment: str, name: str = "*", counts: Counts | None = None, *, until: int | None = None
    ) -> list[Action]:
        """
        Return the actions due at a *moment*, and count their rules as performed.

        Args:
            counts: The connection's own, which are carried on.
            until: The number of the last rule that takes part; ``None`` for all.
        """
        found: list[Action] = []
        with self._lock:
            for known in self._rules:
                rule = known.rule
                if rule.moment != moment or known.is_spent or (until is not None and known.number > until):
                    continue
                if rule.name != "*" and canonical(rule.name) != canonical(name):
                    continue
                if rule.count is not None and counts is not None:
                    counts[known.number, name] = count = counts.get((known.number, name), 0) + 1
                    if rule.count != count:
                        continue
                known.times += 1
                found.extend(rule.actions)
        return found

    def timed(self) -> list[tuple[int, Rule]]:
        """The rules that wait for a connection's age, with their numbers; :meth:`book` counts them."""
        with self._lock:
            return [
                (known.number, known.rule)
                for known in self._rules
                if known.rule.moment == "seconds" and not known.is_spent
            ]

    def book(self, number: int) -> bool:
        """Count one more performance of the rule of this number; ``False`` if there have been enough."""
        with self._lock:
            for known in self._rules:
                if known.number == number and not known.is_spent:
                    known.times += 1
                    return True
        return False


@dataclass
class _InForce:
    """A rule in force: its number, and how often it was performed."""

    rule: Rule
    number: int
    times: int = 0

    @property
    def is_spent(self) -> bool:
        return self.rule.times is not None and self.times >= self.rule.times


def _check_rules(rules: tuple[Any, ...]) -> None:
    for rule in rules:
        if not isinstance(rule, Rule):
            raise TypeError(
                f"{rule!r} is no rule: make one with at_handshake, before, after, on_command or after_seconds"
            )
