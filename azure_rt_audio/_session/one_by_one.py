"""
Steps that several threads bring, run one by one without a lock across I/O.

**Threads and locks.** Any thread. Whoever finds nobody at work runs its own step and then those of the
others, who return at once. ``OneByOne._lock`` is a leaf, not held while a step runs. Ctrl-C may end the one
at work anywhere: what it leaves undone is done by the next one, or by :meth:`OneByOne.run_rest`.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable

from attrs import frozen

from ..errors import RealtimeError

__all__ = ["OneByOne", "Step"]


@frozen(eq=False)
class Step:
    """
    What is to be done without another step between.

    Attributes:
        fail: Called with the exception if another thread runs it.
    """

    run: Callable[[], None]
    fail: Callable[[Exception], None]


class OneByOne:
    """Runs steps in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf; guards what follows
        self._steps: collections.deque[Step] = collections.deque()
        self._worker: threading.Lock | None = None  # locked as long as somebody is at work

    def run(self, own: Step) -> None:
        """Run a step, now or after those before it. Its exception is raised if it ran on this thread."""
        self._work(own)

    def run_rest(self) -> None:
        """Run what was left undone."""
        if self._steps:
            self._work(None)

    def _work(self, own: Step | None) -> None:
        failure: Exception | None = None
        me = threading.Lock()
        with me:  # is released in one step of the interpreter, whatever happens
            with self._lock:
                if own is not None:
                    self._steps.append(own)
                if self._worker is not None and self._worker.locked():
                    return
                self._worker = me
            failure = self._run_all(own)
        if failure is not None:
            raise failure

    def _run_all(self, own: Step | None) -> Exception | None:
        """
        Run what waits; return what a step of this thread's own raised.

        A method of its own: the jump back of a loop in a ``with`` is outside of it for Python 3.13, which
        would not release the lock if Ctrl-C struck there.
        """
        failure: Exception | None = None
        while (step := self._next()) is not None:
            try:
                step.run()
            except (RealtimeError, TimeoutError) as exc:
                if step is own:
                    failure = exc
                else:
                    step.fail(exc)
        return failure

    def _next(self) -> Step | None:
        with self._lock:
            if self._steps:
                return self._steps.popleft()
            self._worker = None
            return None
