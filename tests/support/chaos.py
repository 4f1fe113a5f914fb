"""Runs the scripted conversation over connections that are cut, many at a time, and counts the outcomes."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trustme
from cutting_proxy import Cut, CuttingProxy
from scripted_conversation import BOUND, SESSION, Outcome, Program, recognise, respond, synthesise

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Close, Emulator, Faults, Say

__all__ = ["KINDS", "Case", "Network", "Table", "boundaries", "draw", "draw_one", "run_all"]

KINDS: Final = ("reset", "end", "silence", "1001", "1011", "1012", "session_expired")
BOUNDARIES: Final = {"up": range(3, 34), "down": range(3, 240)}
"""Messages of an uncut run, after those that make the session ready."""

_BYTES: Final = {"up": (1_000, 90_000), "down": (3_000, 420_000)}
_NUMBERS: Final = itertools.count(1)
_MAX_AGE: Final = "Your session hit the maximum duration of 60 minutes."
_EXPIRED: Final = {
    "type": "error",
    "event_id": "event_expired",
    "error": {
        "type": "invalid_request_error",
        "code": "session_expired",
        "message": _MAX_AGE,
        "param": None,
        "event_id": None,
    },
}


@dataclass(frozen=True)
class Case:
    """
    One run.

    Attributes:
        cuts: Of the first connection, the second and so on.
        seed: Of the network's delays.
        shows_deltas: Whether the program listens to deltas, so that what was cut off was heard.
        faults: Arguments of the emulator's :class:`Faults`, as pairs.
        swaps: Whether it goes over to another connection before each turn, or amid it.
    """

    cuts: tuple[Cut, ...]
    dialect: str = "ga"
    is_secure: bool = False
    seed: int = 0
    shows_deltas: bool = False
    faults: tuple[tuple[str, Any], ...] = ()
    swaps: bool = False

    def __str__(self) -> str:
        cuts = ", ".join(f"{cut.how} {cut.direction} {cut.unit} {cut.position}" for cut in self.cuts)
        extras = "".join(f" {name}" for name, _ in self.faults) + (" deltas" if self.shows_deltas else "")
        extras += " swaps" if self.swaps else ""
        return f"[{cuts}] {self.dialect} {'tls' if self.is_secure else 'plain'} seed {self.seed}{extras}"


class Network:
    """The certificates of a run, which take long to make, and where recordings of failed cases are left."""

    def __init__(self, recordings: Path) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        self.recordings = recordings

    def run(self, case: Case, **options: Any) -> Outcome:
        """Run one case; *options* are further arguments of the client."""
        recording = self.recordings / f"chaos-{next(_NUMBERS)}.rta"
        faults = Faults(**dict(case.faults))
        with Emulator(
            responder=respond, recogniser=recognise, synthesiser=synthesise, faults=faults
        ) as service:

            def on_cut(how: str, number: int) -> None:
                connection = service.connections[-1]
                if how == "session_expired":
                    connection.perform(Say(_EXPIRED))
                is_age = how in ("session_expired", "1001")
                connection.perform(
                    Close(1001 if is_age else int(how), _MAX_AGE if how == "session_expired" else "")
                )

            with CuttingProxy(
                service.port,
                *case.cuts,
                on_cut=on_cut,
                ssl_context=self.server if case.is_secure else None,
                seed=case.seed,
            ) as proxy:
                address = f"{'wss' if case.is_secure else 'ws'}://localhost:{proxy.port}"
                is_silent = any(cut.how == "silence" for cut in case.cuts)
                websocket_options: dict[str, Any] = {"ssl_context": self.client}
                if is_silent:
                    websocket_options |= {"ping_interval": 0.5, "ping_timeout": 2.0}
                client = AzureRealTimeAudio(
                    service.options(case.dialect, host_name=address, session_config=SESSION),
                    websocket_options,
                    record=str(recording),
                    **options,
                )
                chance, pause = random.Random(case.seed), threading.Event()

                def swap() -> None:
                    client.reconnect()
                    pause.wait(chance.uniform(0.0, 0.8))  # or it would not be quiet for long enough

                program = Program(
                    client,
                    has_delta_listener=case.shows_deltas,
                    between=swap if case.swaps else lambda: None,
                )
                try:
                    client.wait_until_ready(BOUND)
                    outcome = program.run()
                except Exception as exc:  # noqa: BLE001 - an outcome
                    outcome = program.outcome
                    outcome.failures.append(f"it did not begin: {exc!r}")
                if not client.close():
                    outcome.failures.append("close() did not end everything in time")
            if client.session is not None:  # else it did not begin, which is a failure already
                program.check(service)
            outcome.cuts = len(proxy.happened)
        if outcome.failures:
            outcome.failures.append(f"recorded in {recording}")
        else:
            with contextlib.suppress(OSError):
                recording.unlink()
        return outcome


def boundaries(seed: int) -> list[Case]:
    """Return a case for each boundary between messages; kind of cut, dialect and TLS rotate."""
    chance = random.Random(seed)
    places = [(direction, position) for direction, range_ in BOUNDARIES.items() for position in range_]
    first = chance.randrange(len(KINDS))
    return [
        Case(
            (Cut(KINDS[(index + first) % len(KINDS)], direction, position),),
            ("ga", "preview")[(index // len(KINDS) + index) % 2],
            (index // 2 + index // len(KINDS)) % 2 == 0,
            chance.randrange(10**6),
        )
        for index, (direction, position) in enumerate(places)
    ]


def draw(seed: int) -> Iterator[Case]:
    """Return endless random cases: bytes and messages, one cut or more, restoring included, every fault."""
    chance = random.Random(seed)
    while True:
        yield draw_one(chance)


def draw_one(chance: random.Random) -> Case:
    """Return a random case."""

    def cut(is_first: bool) -> Cut:
        direction = chance.choice(("up", "down"))
        if chance.random() < 0.5:
            place = chance.choice(BOUNDARIES[direction]) if is_first else chance.randrange(1, 25)
            return Cut(chance.choice(KINDS), direction, place)
        low, high = _BYTES[direction] if is_first else (1, 8_000)
        return Cut(chance.choice(KINDS), direction, chance.randrange(low, high), "byte")

    more = chance.choice((0, 0, 1, 2))
    faults = {"renames_items": 0.2, "refuses_calls": 0.2}
    return Case(
        (cut(True), *(cut(False) for _ in range(more))),
        chance.choice(("ga", "preview")),
        chance.random() < 0.5,
        chance.randrange(10**6),
        chance.random() < 0.3,
        tuple((name, True) for name, share in faults.items() if chance.random() < share),
    )


class Table:
    """What became of many runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.uncut = 0
        self.cuts = 0
        self.reconnects = 0
        self.planned = 0
        self.told: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.gaps: list[float] = []
        self.failed = 0
        self.failures: list[str] = []

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count a run."""
        self.runs += 1
        self.cuts += outcome.cuts
        self.uncut += not outcome.cuts
        self.reconnects += outcome.reconnects
        self.planned += outcome.planned
        self.told.update(line.partition(" ")[0] for line in outcome.told)
        for line in outcome.told:
            kind, _, rest = line.partition(" ")
            reason = "an answer, by an error" if kind == "turn" else rest.partition(": ")[2]
            self.reasons[f"{kind}: {re.sub('[0-9]+ of [0-9]+ ms', 'a part', reason)}"] += 1
        self.gaps += outcome.gaps
        self.failed += bool(outcome.failures)
        self.failures += [f"{case}: {failure}" for failure in outcome.failures]

    def __str__(self) -> str:
        told = ", ".join(f"{count} {kind}" for kind, count in self.told.items()) or "nothing"
        return (
            f"{self.runs} runs, {self.cuts} cuts ({self.uncut} not reached), {self.reconnects} reconnects "
            f"({self.planned} planned); lost and told: {told}; gap p50 {self.gap_s(0.5):.2f} s, "
            f"p99 {self.gap_s(0.99):.2f} s; {len(self.failures)} failures"
        )

    def gap_s(self, share: float) -> float:
        """Return the seconds without a connection that so large a share of losses did not exceed."""
        gaps = sorted(self.gaps)
        return gaps[min(len(gaps) - 1, int(len(gaps) * share))] if gaps else 0.0


def run_all(network: Network, cases: Sequence[Case], *, at_once: int = 16, **options: Any) -> Table:
    """Run cases, so many at a time; each begins a little after the one before."""
    table = Table()
    with ThreadPoolExecutor(at_once, "chaos") as pool:
        futures = [pool.submit(network.run, case, **options) for case in cases]
        for case, future in zip(cases, futures, strict=True):
            table.add(case, future.result())
    return table
