# ruff: noqa: T201 - a program, which prints
"""
The Autobahn cases, run against this library's connection: how well it speaks WebSocket.

By hand, not in CI, because the test suite runs on Python 2.7 only. Once::

    python2.7 -m virtualenv wst        # or: virtualenv -p python2.7 wst, with virtualenv<20.22
    wst/bin/pip install autobahntestsuite

and then ``python tests/system/autobahn/run.py --wstest wst/bin/wstest``, less than a minute. It prints a
table by section and behaviour, and every case that is not simply OK, with the reason. The exit code is 0 if
none failed. Compression (12.*, 13.*) does not apply: it is never offered.

``wstest`` is the service and drives the cases; what it talks to is a real :class:`Connection` that sends
everything back. Two things are added from outside, for the cases' sake only: messages are sent back as
text or binary as they came, and text is checked to be UTF-8, which in production the JSON decoder does.

``--frames theirs`` takes the other path through the transport, the one for a WebSocket class of the
user's own that wants to see every frame.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import websocket

from azure_rt_audio import ConnectionClosedError
from azure_rt_audio._transport import Connection, Payload, Target
from azure_rt_audio._transport.frames import TEXT
from azure_rt_audio._transport.handshake import open_transport
from azure_rt_audio._transport.websocket import Transport
from azure_rt_audio.options import WebSocketOptions

AGENT: Final = "azure-rt-audio"
START_SECONDS: Final = 30.0
CASE_SECONDS: Final = 120.0
"""After that long a case counts as hanging; the largest take a second or two."""

SECTIONS: Final = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8 (*)",
    "7": "closing",
    "9": "limits, performance",
    "10": "miscellaneous",
}
BEHAVIOURS: Final = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")

FOOTNOTE: Final = """\
(*) Text that is not UTF-8 is found here by the harness, which decodes each whole message and ends the
    connection with 1007. In production the JSON decoder finds it: listeners of "error" are told a
    DecodeError, and the connection goes on, since one bad event is no reason to lose a conversation. So
    this section judges fragments and close frames of ours, and the check of the harness."""
REASONS: Final = {
    ("3", "NON-STRICT"): "the breach came in one read with the message before it, whose echo was not out yet",
    ("4", "NON-STRICT"): "the breach came in one read with the message before it, whose echo was not out yet",
    ("5", "NON-STRICT"): "the breach came in one read with the message before it, whose echo was not out yet",
    ("6", "NON-STRICT"): "text is checked when the message is whole, not in the middle of it",
    ("7", "INFORMATIONAL"): "the specification leaves it open",
}
"""What is known of those that are not plainly OK; of others the suite's own words are shown."""


class Binary(bytes):
    """A payload to be sent as a binary message."""


class EchoSocket(websocket.WebSocket):
    """Sends :class:`Binary` as what it is; :class:`Connection` itself sends text only."""

    def send(self, payload: Any, opcode: int = websocket.ABNF.OPCODE_TEXT) -> int:
        """Send one message."""
        kind = websocket.ABNF.OPCODE_BINARY if isinstance(payload, Binary) else opcode
        return super().send(payload, kind)


class CuriousSocket(EchoSocket):
    """Wants to see what arrives, so websocket-client's own methods are called for every message."""

    def recv_data_frame(self, control_frame: bool = False) -> Any:
        """Receive one message."""
        return super().recv_data_frame(control_frame)


class Client:
    """
    A connection to the suite, which sends everything back unless it has other orders.

    **Threads.** The callbacks run on the connection's I/O thread; :meth:`run` waits on another one.
    """

    def __init__(self, url: str, frames: str, on_message: Callable[[bytes], None] | None = None) -> None:
        self.outcome: Any = None
        self._ended = threading.Event()
        self._opcode = TEXT
        self._on_message = on_message or self._echo
        self._connection = Connection(
            lambda: Target(url),
            WebSocketOptions(ping_interval=None),  # the cases count frames
            websocket_impl=EchoSocket if frames == "ours" else CuriousSocket,
            on_open=lambda: None,
            on_message=lambda payload: self._on_message(bytes(payload)),
            on_end=self._end,
            opener=self._open,
        )

    def run(self, seconds: float) -> bool:
        """Connect and wait for the end, whoever brings it about; return whether it came."""
        self._connection.start()
        has_ended = self._ended.wait(seconds)
        self._connection.close(1.0)
        return has_ended

    def _open(self, *how: Any) -> Transport:
        """Make the usual transport, and look over its shoulder at opcodes, nobody else's concern."""
        transport = open_transport(*how)
        take = transport._next

        def take_and_note() -> tuple[int, Payload] | None:
            found = take()
            if found is not None:
                self._opcode = found[0]
            return found

        transport._next = take_and_note
        return transport

    def _echo(self, message: bytes) -> None:
        if self._opcode != TEXT:
            self._connection.send(Binary(message), None)
            return
        try:
            message.decode()
        except UnicodeDecodeError:
            self._connection.abort(ConnectionClosedError("Text that is not UTF-8.", close_code=1007))
        else:
            self._connection.send(message, None)

    def _end(self, outcome: Any) -> None:
        self.outcome = outcome
        self._ended.set()


@attrs.frozen
class Result:
    """What the suite says about a case."""

    case: str
    behaviour: str
    close: str
    why: str
    seconds: float

    @property
    def section(self) -> str:
        """The first number."""
        return self.case.partition(".")[0]

    @property
    def reason(self) -> str:
        """Why it is not plainly OK: in a few words of ours where it is known, in the suite's otherwise."""
        return REASONS.get((self.section, self.behaviour), self.why)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say about it."""
        return self.behaviour == "OK" and self.close in ("OK", "INFORMATIONAL")

    @property
    def has_failed(self) -> bool:
        """Whether it broke the protocol, in the case itself or in how the connection ended."""
        fine = ("OK", "NON-STRICT", "INFORMATIONAL")
        return self.behaviour not in fine or self.close not in fine


@contextmanager
def suite(wstest: str, cases: list[str], out: Path) -> Iterator[str]:
    """Run ``wstest`` with a configuration for these cases; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    configuration = {
        "url": url,
        "outdir": str(out),
        "cases": cases,
        "exclude-cases": ["12.*", "13.*"],
        "exclude-agent-cases": {},
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / "fuzzingserver.json"
    path.write_text(json.dumps(configuration), "utf-8")
    command = [wstest, "-m", "fuzzingserver", "-s", str(path), "-u", "0"]
    with (
        (out / "wstest.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _await_listener(process, port, out / "wstest.log")
            yield url
        finally:
            process.kill()


def _await_listener(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            pause.wait(0.1)
        else:
            return
    raise SystemExit(f"wstest does not listen; it says:\n{log.read_text('utf-8')}")


def drive(url: str, frames: str, progress: Callable[[str], None]) -> None:
    """Run all cases, and have the reports written."""
    said: list[bytes] = []
    Client(f"{url}/getCaseCount", frames, said.append).run(START_SECONDS)
    count = int(said[0])
    for number in range(1, count + 1):
        progress(f"case {number} of {count}")
        client = Client(f"{url}/runCase?case={number}&agent={AGENT}", frames)
        if not client.run(CASE_SECONDS):
            print(f"\ncase {number} hung for {CASE_SECONDS:g} s and was closed", file=sys.stderr)
    Client(f"{url}/updateReports?agent={AGENT}", frames, lambda _: None).run(START_SECONDS)
    progress("")


def collect(out: Path) -> list[Result]:
    """Read what the suite has written."""
    index = json.loads((out / "index.json").read_text("utf-8"))[AGENT]
    results = []
    for case, summary in index.items():
        details = json.loads((out / summary["reportfile"]).read_text("utf-8"))
        results.append(
            Result(
                case=case,
                behaviour=summary["behavior"],
                close=summary["behaviorClose"],
                why=" ".join(f"{details['result']} {details['resultClose']} {_expected(details)}".split()),
                seconds=summary["duration"] / 1000,
            )
        )
    return sorted(results, key=lambda result: [int(part) for part in result.case.split(".")])


def _expected(details: dict[str, Any]) -> str:
    text = " ".join(str(details["expectation"]).split())
    return f"(expected: {text})" if text else ""


def show(results: list[Result], title: str) -> None:
    """Print the table, and whatever is not plainly OK."""
    print(title)
    print(f"{'section':24}{'cases':>7}" + "".join(f"{name:>15}" for name in BEHAVIOURS) + f"{'seconds':>9}")
    groups = [(f"{number:>2} {name}", number) for number, name in SECTIONS.items()] + [("all", "")]
    for name, number in groups:
        chosen = [result for result in results if number in ("", result.section)]
        if not chosen:
            continue
        counts = Counter(
            "FAILED" if result.has_failed and result.behaviour != "UNIMPLEMENTED" else result.behaviour
            for result in chosen
        )
        figures = "".join(f"{counts[name]:>15}" for name in BEHAVIOURS)
        print(f"{name:24}{len(chosen):>7}{figures}{sum(result.seconds for result in chosen):>9.1f}")
    print(FOOTNOTE)
    others: dict[str, list[str]] = {}
    for result in results:
        if not result.is_plain:
            verdict = f"{result.behaviour}, closing {result.close}: {result.reason}"
            others.setdefault(verdict, []).append(result.case)
    for verdict, cases in others.items():
        print(textwrap.fill(f"{', '.join(cases)}: {verdict}", 110, subsequent_indent="    "))


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Run the Autobahn cases against this library's connection.")
    parser.add_argument("--wstest", required=True, help="the program of autobahntestsuite, on Python 2.7")
    parser.add_argument("--cases", nargs="+", default=["*"], help='such as "6.*"; all by default')
    parser.add_argument(
        "--frames", choices=["ours", "theirs"], default="ours", help="which path through the transport"
    )
    parser.add_argument("--out", type=Path, help="keep the suite's own reports in this directory")
    arguments = parser.parse_args()
    is_terminal = sys.stderr.isatty()

    def progress(line: str) -> None:
        if is_terminal:
            print(f"\r{line:40}\r", end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        out = (arguments.out or Path(temporary)).resolve()
        began = time.monotonic()
        with suite(arguments.wstest, arguments.cases, out) as url:
            drive(url, arguments.frames, progress)
        results = collect(out)
        show(results, f"frames: {arguments.frames}; {time.monotonic() - began:.0f} s in all")
        failed = [result.case for result in results if result.has_failed]
        print(f"{len(results)} cases, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
        return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
