"""A network at the other end of a cable that can be pulled; needs root and the program ``ip``."""

from __future__ import annotations

import contextlib
import os
import subprocess
from types import TracebackType

from listeners import HANG

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where these programs are, which users do not always look."""


class Cable:
    """
    A network namespace at the other end of a cable.

    Attributes:
        address: Of the far end.
        within: What runs a command there.
    """

    def __init__(self) -> None:
        number = os.getpid() % 65_000
        self._name, self._ours, self._theirs = f"azrt{number}", f"azrta{number}", f"azrtb{number}"
        subnet = f"10.203.{number // 256}"
        last = number % 64 * 4
        self._here, self.address = f"{subnet}.{last + 1}", f"{subnet}.{last + 2}"
        self.within = ("ip", "netns", "exec", self._name)

    def __enter__(self) -> Cable:
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs)
            _ip("link", "set", self._theirs, "netns", self._name)
            _ip("addr", "add", f"{self._here}/30", "dev", self._ours)
            _ip("link", "set", self._ours, "up")
            _ip("-n", self._name, "addr", "add", f"{self.address}/30", "dev", self._theirs)
            _ip("-n", self._name, "link", "set", "lo", "up")
            self.plug("theirs")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):  # it is gone with the namespace
            _ip("link", "del", self._ours)
        _ip("netns", "del", self._name)

    def pull(self, end: str) -> None:
        """Take the link down, at ``"ours"`` or at ``"theirs"``; connections are not told."""
        _ip(*self._at(end), "down")

    def plug(self, end: str) -> None:
        """Bring it up again."""
        _ip(*self._at(end), "up")

    def shape(self, kbit_per_second: int) -> None:
        """Let no more than so much through from here to there, as a modem does; half a second waits in it."""
        rate = ("rate", f"{kbit_per_second}kbit", "burst", "8kb", "latency", "500ms")
        _run("tc", "qdisc", "replace", "dev", self._ours, "root", "tbf", *rate)

    def _at(self, end: str) -> list[str]:
        if end == "ours":
            return ["link", "set", self._ours]
        return ["-n", self._name, "link", "set", self._theirs]


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=HANG, env={**os.environ, "PATH": _PATH})
