"""
A recogniser of English: PocketSphinx, with the model of its package.

Needs the ``speech`` extra. It runs in a process of its own, because it works in pieces of many
milliseconds in which no other thread of its process could do anything. Of the words of flite's voices it
gets about one in ten wrong, of espeak-ng's three in four.

Threads and locks: ``azure-rt-emulator-recogniser`` feeds the process and waits for its words, one utterance
after the other; it starts with the first one and ends with :meth:`Recogniser.close`. The leaf lock
``_lock`` guards what the two share; it is never held across I/O. A process that takes too long is killed
by a timer, which ends the thread's wait.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ...audio import resample
from ...audio.resample import import_now
from ...errors import BrokenExtraError, MissingExtraError
from ..model.background import settle
from ..model.pcm import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from ..model.session import Session

__all__ = ["Recogniser"]

_MODEL_HZ: Final = 16_000
_LONGEST_SECONDS: Final = 60
_LONGEST_WAIT_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 5.0
_MOST_WAITING: Final = 32
_PROGRAM: Final = Path(__file__).with_name("recogniser_process.py")
_NEEDED: Final = ("pocketsphinx", "soxr", "numpy")


class Recogniser:
    """
    A recogniser for an emulator, or for several.

    ::

        with Recogniser() as recogniser, Emulator(recogniser=recogniser, detector=SileroDetector) as service:
            ...

    Of an utterance the first minute is listened to. What comes back is in lower case, without
    punctuation.

    Raises:
        MissingExtraError: The ``speech`` extra is not installed.

    **Threads**: may be called, and closed, from any thread.
    """

    def __init__(self) -> None:
        if not all(map(importlib.util.find_spec, _NEEDED)):
            raise MissingExtraError("Understanding speech", "speech")
        import_now()
        self._lock = threading.Lock()  # leaf; guards _waiting, _thread, _is_closed and _process
        self._waiting: deque[tuple[bytes, Future[str]]] = deque()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._process: _Process | None = None
        self._changed = threading.Event()  # something waits, or all is over

    def __call__(self, pcm: bytes, session: Session | None = None) -> Future[str]:
        """
        Begin to listen to a whole utterance; returns at once.

        Args:
            pcm: PCM16: int16, little-endian, mono, 24 000 Hz.
            session: Of the emulator; makes no difference.

        Raises:
            RuntimeError: It is closed, or so much waits that this would take minutes.
        """
        future: Future[str] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("this recogniser is closed; make another one")
            if len(self._waiting) >= _MOST_WAITING:
                raise RuntimeError(f"{_MOST_WAITING} utterances wait to be understood; speak less at once")
            self._waiting.append((pcm[: _LONGEST_SECONDS * SAMPLE_RATE_HZ * 2], future))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="azure-rt-emulator-recogniser", daemon=True
                )
                self._thread.start()
        self._changed.set()
        return future

    def warm_up(self) -> None:
        """Start the process now, so that the first utterance does not wait for its model; returns at once."""
        self(b"")

    def close(self) -> None:
        """Stop listening; what waits is cancelled. Returns once the process is gone. Idempotent."""
        with self._lock:
            self._is_closed = True
            waiting, thread, process = list(self._waiting), self._thread, self._process
            self._waiting.clear()
        for _, future in waiting:
            future.cancel()
        if process is not None:
            process.kill()
        self._changed.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)

    def __enter__(self) -> Recogniser:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # On azure-rt-emulator-recogniser -----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            self._changed.wait()  # until close() at the latest
            self._changed.clear()
            while (next_up := self._next()) is not None:
                pcm, future = next_up
                if not future.cancelled():
                    settle(future, partial(self._understand, pcm))
            with self._lock:
                if self._is_closed:
                    return

    def _next(self) -> tuple[bytes, Future[str]] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _understand(self, pcm: bytes) -> str:
        process = self._living_process()
        if len(pcm) < 2:
            return ""
        return process.ask(resample(pcm[: len(pcm) & ~1], SAMPLE_RATE_HZ, _MODEL_HZ))

    def _living_process(self) -> _Process:
        process = self._process
        if process is not None and process.is_alive:
            return process
        process = _Process()
        with self._lock:
            self._process = process
            is_too_late = self._is_closed
        if is_too_late:
            process.kill()
        return process


class _Process:
    """
    A recogniser's process.

    **Threads**: one asks; any may kill.
    """

    def __init__(self) -> None:
        # It finds its modules where this process does.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-c", f"import runpy; runpy.run_path({str(_PROGRAM)!r}, run_name='__main__')"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        # Without close() it ends with its input; this reaps it.
        self._end = weakref.finalize(self, _end, self._process)
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, pcm: bytes) -> str:
        """
        Wait for what is said in *pcm*, PCM16 16 000 Hz; for a minute at most.

        Raises:
            RuntimeError: The process ended, or took too long.
            BrokenExtraError: It cannot import the recogniser.
        """
        timer = threading.Timer(_LONGEST_WAIT_SECONDS, self._process.kill)
        timer.name = "azure-rt-emulator-recogniser-timeout"
        timer.daemon = True
        timer.start()
        try:
            if not self._is_ready:
                self._read()
                self._is_ready = True
            assert self._process.stdin is not None
            self._process.stdin.write(len(pcm).to_bytes(4, "little") + pcm)
            self._process.stdin.flush()
            return self._read()
        except (OSError, ValueError) as exc:
            self.kill()  # it may be dying still, and must not get the next utterance
            raise RuntimeError(f"the speech recogniser's process ended: {exc}") from exc
        finally:
            timer.cancel()

    def _read(self) -> str:
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, dict):
            raise BrokenExtraError("Understanding speech", "speech", "pocketsphinx", answer["broken"])
        return str(answer)

    def kill(self) -> None:
        """End it, whatever it is doing; returns once it is gone."""
        self._end()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    # The asking thread may be reading; its read ends with the process, and then the pipes are free.
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # the last write was not read
                pipe.close()
