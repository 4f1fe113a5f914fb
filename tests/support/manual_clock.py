"""Time that passes when the test says so."""

from __future__ import annotations

import threading

from azure_rt_audio._concurrency.condition import Condition

_SECONDS = 5.0


class ManualClock:
    """A clock for what takes one, and the end of the waits that go by it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float, condition: Condition) -> None:
        """Let time pass as soon as somebody waits on *condition*, and have him look at the clock."""
        pause = threading.Event()
        for _ in range(int(_SECONDS / 0.001)):
            with condition.lock:
                if condition._waiters:
                    self.now += seconds
                    condition.notify_all()
                    return
            pause.wait(0.001)
        raise AssertionError("nobody waits")
