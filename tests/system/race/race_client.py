"""
This library's end of a race: connections with four writers each, those who close them, and the accounts.

:func:`race` runs many, some at a time, against a :class:`~race_service.Service`, and compares what each end
has sent with what the other received.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final

import attrs
import websocket
from fake_servers import Recorder
from race_plan import ABORTED, CLOSED, REASON, SERVICE, WRITERS, Ledger, Plan, make_frame
from race_service import HANG, Service

from azure_rt_audio.errors import ConnectError, ConnectionClosedError

AT_A_TIME: Final = 10
"""Connections open at the same time."""


_WRITING: Final = frozenset({"write", "send", "sendall"})


class Watch:
    """
    Who used one TLS connection, and whether two ever did so at once.

    Attributes:
        owners: Names of the threads that did anything else than write.
        overlaps: Calls that began while another thread's was not over.
    """

    def __init__(self) -> None:
        self.owners: set[str] = set()
        self.overlaps: list[str] = []
        self._inside = threading.RLock()  # only ever tried: nobody waits for it

    @contextlib.contextmanager
    def using(self, what: str) -> Iterator[None]:
        """Note a call that lasts as long as the context."""
        name = threading.current_thread().name
        if what not in _WRITING:
            self.owners.add(name)
        alone = self._inside.acquire(blocking=False)
        if not alone:
            self.overlaps.append(f"{what} on {name}")
        try:
            yield
        finally:
            if alone:
                self._inside.release()


class _Watched:
    """What is watched; the watch is made at the first call, which is the handshake's."""

    watches: ClassVar[list[Watch]] = []

    @property
    def watch(self) -> Watch:
        fresh = Watch()
        found: Watch = self.__dict__.setdefault("_watch", fresh)
        if found is fresh:
            self.watches.append(found)
        return found


class _WatchedSocket(_Watched, ssl.SSLSocket):
    pass


class _WatchedObject(_Watched, ssl.SSLObject):
    pass


def _wrapped(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    def call(self: _Watched, *args: Any, **options: Any) -> Any:
        with self.watch.using(name):
            return original(self, *args, **options)

    return call


for _class, _base in ((_WatchedSocket, ssl.SSLSocket), (_WatchedObject, ssl.SSLObject)):
    for _name in (
        *("do_handshake", "read", "recv", "recv_into", "write", "send", "sendall", "pending"),
        *("unwrap", "shutdown", "close", "getpeercert", "cipher", "version"),
    ):
        if hasattr(_base, _name):
            setattr(_class, _name, _wrapped(getattr(_base, _name), _name))


def watch_over(context: ssl.SSLContext) -> list[Watch]:
    """Have everything that *context* makes watched, and return the list into which the watches go."""
    context.sslsocket_class, context.sslobject_class = _WatchedSocket, _WatchedObject
    _Watched.watches = []
    return _Watched.watches


class _OwnClass(websocket.WebSocket):
    """A user's own, which wants to see each frame."""

    def recv_frame(self) -> Any:
        return super().recv_frame()


class Racer:
    """One connection of a race, which follows its plan."""

    def __init__(self, url: str, plan: Plan, context: ssl.SSLContext) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.queued = [0] * WRITERS
        """Frames that ``send`` took, by writer."""
        self.problems: list[str] = []
        self._there = threading.Event()  # as much has been received as the plan says
        buffers = (
            [] if plan.send_buffer is None else [(socket.SOL_SOCKET, socket.SO_SNDBUF, plan.send_buffer)]
        )
        self._recorder = Recorder(
            url,
            ssl_context=context,
            ping_interval=0.02,
            ping_timeout=HANG,
            connect_timeout=HANG,
            close_timeout=HANG,
            max_send_backlog_bytes=plan.backlog,
            sockopt=buffers,
            websocket_impl=_OwnClass if plan.own_class else None,
        )
        self._recorder.react = self._take
        self._connection = self._recorder.connection
        self._aborted = ConnectionClosedError("The race was aborted.", close_code=ABORTED)

    def run(self) -> None:
        """Race, and note what did not go by the plan. Blocks until it is over."""
        writers = [threading.Thread(target=self._write, args=(name,)) for name in range(WRITERS)]
        self._connection.start()
        for writer in writers:
            writer.start()
        if self.plan.end == "service":
            self._expect(self._recorder.ended.wait(HANG), "the service's close did not arrive")
        else:
            deadline = time.monotonic() + HANG
            while not self._there.wait(0.05) and time.monotonic() < deadline:
                if self._recorder.ended.is_set():
                    break
            self._expect(self._there.is_set(), f"only {self.ledger.counts[SERVICE]} frames arrived")
        if self.plan.end == "nobody":
            for writer in writers:
                writer.join(HANG)
        elif self.plan.end in ("client", "aborts"):
            self._finish()
        self._expect(self._connection.close(HANG, CLOSED), "close() left the thread running")
        self._expect(self._recorder.ended.wait(HANG), "on_end was not called")
        for writer in writers:
            writer.join(HANG)
            self._expect(not writer.is_alive(), f"{writer.name} hangs in {self.plan}")
        self._check_outcome()

    def _take(self, frame: bytes) -> None:
        self.ledger.enter(frame)
        if self.ledger.counts[SERVICE] == self.plan.frames:
            self._there.set()
            if self.plan.closer == "callback" and self.plan.end in ("client", "aborts"):
                self._finish()

    def _write(self, name: int) -> None:
        """Send frames until there have been enough or the connection is over."""
        dice = self.plan.dice(f"writer {name}")
        enough = self.plan.frames_per_writer
        while self.queued[name] != enough:
            frame = make_frame(name, self.queued[name], dice)
            try:
                self._connection.send(frame, timeout=HANG)
            except ConnectionClosedError:
                return
            except (ConnectError, TimeoutError) as exc:
                self._expect(False, f"send raised {exc!r}")
                return
            self.queued[name] += 1
            while WRITERS * self.queued[name] > self.ledger.counts[SERVICE] + 40:
                # At the service's pace, which is the slower one: so both directions are busy to the end.
                if self._recorder.ended.wait(0.02):
                    break
            if enough is None and self.plan.closer == "writers" and self._there.is_set():
                if self.plan.end != "service":
                    self._finish()
                return

    def _finish(self) -> None:
        if self.plan.end == "aborts":
            self._connection.abort(self._aborted)
        else:
            self._connection.close(HANG, CLOSED)

    def _expect(self, claim: bool, otherwise: str) -> None:
        if not claim:
            self.problems.append(f"{otherwise}; outcome {self._connection.outcome}")

    def _check_outcome(self) -> None:
        outcome: Any = self._recorder.outcomes[0] if self._recorder.outcomes else None
        if self.plan.end == "aborts":
            self._expect(outcome is self._aborted, "not aborted")
        else:
            code, reason = (1000, REASON) if self.plan.end == "service" else (CLOSED, "")
            found = (getattr(outcome, name, None) for name in ("close_code", "reason", "is_clean"))
            self._expect(tuple(found) == (code, reason, True), "not closed as planned")
        names = self._recorder.threads
        self._expect(len(names) == 1 and min(names).startswith("azure-rt-reader-"), f"callbacks on {names}")

    def compare(self, report: dict[str, Any]) -> None:
        """Compare with what the service saw."""
        self.problems += [f"to the service: {text}" for text in report["lost"] + report["corrupted"]]
        self.problems += [f"to the client: {text}" for text in self.ledger.lost + self.ledger.corrupted]
        aborted = self.plan.end == "aborts"
        arrived, sent = self.ledger.counts[SERVICE], report["frames"]
        self._expect(arrived <= sent if aborted else arrived == sent, f"{arrived} of {sent} frames arrived")
        for name, queued in enumerate(self.queued):
            taken = report["received"][name]
            # After the service's goodbye nothing is written any more.
            whole = self.plan.end in ("client", "nobody")
            self._expect(
                taken == queued if whole else taken <= queued,
                f"{taken} of the {queued} frames of writer {name} came to the service",
            )
        self._expect(report["answers"] <= report["update_and_ask"], "more key updates than asked for")
        if aborted:
            self._expect(not report["trouble"].startswith(("Broken:", "hangs")), report["trouble"])
            return
        self._expect(not report["trouble"], report["trouble"])
        code = 1000 if self.plan.end == "service" else CLOSED
        self._expect(report["close_code"] == code, f"close code {report['close_code']} came to the service")
        if self.plan.end != "client":  # after its own goodbye a client answers no more pings
            self._expect(report["pongs"] == report["pings"], f"{report['pongs']} of {report['pings']} pongs")


@attrs.define
class Result:
    """
    What became of a race.

    Attributes:
        run: Its number, by which it can be repeated.
        connections: How many there were.
        out: Frames that the service received.
        back: Frames that came from the service.
        megabytes: Of both.
        pings: How often the client asked for a sign of life.
        updates: Key updates that the service sent.
        answers: Key updates that the client sent, because it was asked to.
        tickets: Session tickets that the service sent.
        lost: Gaps in the numbers of frames.
        corrupted: Frames whose checksum was wrong.
        problems: All that did not go by the plan, with the number of the connection.
    """

    run: int
    connections: int = 0
    out: int = 0
    back: int = 0
    megabytes: float = 0.0
    pings: int = 0
    updates: int = 0
    answers: int = 0
    tickets: int = 0
    lost: int = 0
    corrupted: int = 0
    problems: list[str] = attrs.field(factory=list)

    def add(self, racer: Racer, report: dict[str, Any]) -> None:
        """Add a connection."""
        self.connections += 1
        self.out += sum(report["received"])
        self.back += racer.ledger.total
        self.megabytes += (racer.ledger.bytes + report["bytes"]) / 1e6
        self.pings += report["asked_for_life"]
        self.updates += report["update"] + report["update_and_ask"]
        self.answers += report["answers"]
        self.tickets += report["ticket"]
        self.lost += len(racer.ledger.lost) + len(report["lost"])
        self.corrupted += len(racer.ledger.corrupted) + len(report["corrupted"])


def race(service: Service, context: ssl.SSLContext, run: int, count: int) -> Result:
    """
    Run *count* connections, some at a time, and end the service.

    Args:
        service: Started with the same *run*.
        context: Trusts the service.
        run: What everything is drawn from.
        count: How many connections.
    """
    result = Result(run)
    racers = [Racer(service.url(plan), plan, context) for plan in (Plan.draw(run, n) for n in range(count))]
    failed = threading.Event()

    def run_one(racer: Racer) -> None:
        if not failed.is_set():
            racer.run()
            if racer.problems:
                failed.set()  # a hang takes its time, and three hundred would take too much

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(run_one, racers))
    reports = service.report()
    for racer in racers:
        report = reports.get(racer.plan.number)
        if report is not None:
            racer.compare(report)
            result.add(racer, report)
        result.problems += [f"{racer.plan}: {problem}" for problem in racer.problems]
    return result
