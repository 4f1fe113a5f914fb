"""
Ctrl-C at every step of a call that takes a turn: whoever is interrupted leaves the turn to the next.

The interrupts come from a thread that competes for the interpreter: each time it gets that away from the
main thread in the middle of a call, the interrupt strikes there. So a few thousand of them strike wherever
one can, and a gap of a single step is found some hundred times.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._session.acknowledgement import Acknowledgement
from azure_rt_audio._session.audio_input import AudioInput
from azure_rt_audio._session.one_by_one import OneByOne, Step
from azure_rt_audio._session.response_queue import ResponseQueue
from azure_rt_audio._session.user_turn import TurnLimits, UserTurn
from azure_rt_audio._transport import send_queue as _send_queue
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.thorough

INTERRUPTS = 2000


class Storm:
    """Presses Ctrl-C all the time; what is called through it may be interrupted anywhere, once."""

    def __init__(self) -> None:
        self._is_armed = False

    @contextlib.contextmanager
    def blowing(self) -> Iterator[None]:
        """Press as long as the block runs, on the main thread."""
        for name in list(logging.root.manager.loggerDict):  # who is stopped in logging's first look locks it
            for level in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger(name).isEnabledFor(level)
        is_over = threading.Event()

        def press() -> None:
            while not is_over.wait(1e-6):  # lets the other thread run, if there is one processor only
                _thread.interrupt_main()

        gc.disable()  # an interrupt in a callback of the collector's is lost, with a warning
        previous, interval = signal.signal(signal.SIGINT, self._strike), sys.getswitchinterval()
        pressing = threading.Thread(target=press, name="pressing")
        sys.setswitchinterval(1e-6)
        pressing.start()
        try:
            yield
        finally:
            is_over.set()
            pressing.join()
            sys.setswitchinterval(interval)
            signal.signal(signal.SIGINT, previous)
            gc.enable()

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed:
            self._is_armed = False
            raise KeyboardInterrupt

    def strikes(self, call: Callable[[], object]) -> bool:
        """Call it, and return whether it was interrupted."""
        try:
            self._is_armed = True
            call()
            self._is_armed = False
        except KeyboardInterrupt:
            return True
        return False


def count_stuck(call: Callable[[], object], *locks: threading.Lock) -> int:
    """Return how many of so many interrupted calls left one of the *locks* taken; they are freed again."""
    storm = Storm()
    struck = stuck = 0
    with storm.blowing():
        while struck < INTERRUPTS:
            struck += storm.strikes(call)
            for lock in locks:
                if lock.locked():
                    lock.release()
                    stuck += 1
    return stuck


def test_a_request_that_was_not_sent_is_not_waited_for() -> None:
    """Whoever is stopped while asking for a response leaves the conversation free for the next one."""
    sent: list[bytes] = []
    gate = ResponseQueue(lambda command: b"", sent.append, carries_metadata=True)
    storm = Storm()
    struck = stuck = 0
    with storm.blowing():
        while struck < INTERRUPTS:
            struck += storm.strikes(lambda: gate.request(None, may_wait=True, owner=None))
            stuck += gate.is_busy and not sent
            sent.clear()
            with gate._lock:
                gate._table.clear()

    assert stuck == 0


def test_a_question_that_was_not_sent_holds_no_other_up() -> None:
    """Whoever is stopped while sending a question with its request leaves the way free for the next one."""
    steps, done = OneByOne(), []
    step = Step(lambda: done.append(1), lambda exc: None)
    storm = Storm()
    struck = stuck = 0
    with storm.blowing():
        while struck < INTERRUPTS:
            struck += storm.strikes(lambda: steps.run(step))
            done.clear()
            stuck += not storm.strikes(lambda: steps.run(step)) and not done

    assert stuck == 0


def test_acknowledgements_stay_in_step() -> None:
    """However often a caller is stopped, later ones get the acknowledgements of their own commands."""
    storm = Storm()
    struck = 0
    with (
        Emulator() as service,
        AzureRealTimeAudio(service.options()) as client,
        storm.blowing(),
    ):
        while struck < INTERRUPTS // 2:
            for _ in range(20):
                struck += storm.strikes(client.clear_audio_buffer)
            client.clear_audio_buffer().result(HANG)


def test_the_storm_finds_a_gap() -> None:
    """The storm does find a gap of one step: between looking whether the lock was got, and its release."""
    lock = threading.Lock()

    def call() -> None:
        got: list[bool] = []
        try:
            got.extend(map(lock.acquire, (False,)))
        finally:
            if any(got):
                lock.release()

    assert count_stuck(call, lock) > 0


def test_sending_releases_its_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that writes its own frame leaves the transport to the I/O thread, wherever it is stopped."""

    class Transport:
        may_write_here = True
        unsent = 0

        def send(self, payload: bytes) -> None:
            pass

        def flush(self) -> bool:
            return True

    monkeypatch.setattr(
        _send_queue, "_IN_A_ROW", 0.0
    )  # so that no frame is queued for coming right after one
    send_queue = _send_queue.SendQueue(1_000_000_000, lambda: None)
    send_queue.attach(cast(Any, Transport()))

    def call() -> None:
        send_queue._queue.clear()  # of a caller that found the lock taken
        send_queue.put(b"x", 10.0, on_io_thread=False)

    assert count_stuck(call, send_queue.write_lock, send_queue._condition.lock) == 0


def test_a_stream_gives_its_turn_back() -> None:
    """Whoever moves a stream of sound on leaves it to the next caller, wherever it is stopped."""
    sender = SimpleNamespace(owns_this_thread=lambda: False, timeout=10.0)
    audio_input = AudioInput(cast(Any, sender), lambda: "pcm16", UserTurn(TurnLimits()))
    storm = Storm()
    struck = stuck = 0
    with storm.blowing():
        while struck < INTERRUPTS:
            audio_input.converter = cast(Any, object())
            struck += storm.strikes(audio_input.drop)
            stuck += audio_input._changed.lock.locked() or any(turn.locked() for turn in audio_input._turns)

    assert stuck == 0


def test_looking_at_an_outcome_takes_no_lock_of_the_future() -> None:
    """Whoever is stopped while looking at a future leaves nothing taken that the I/O thread needs."""
    future = Acknowledgement[int](None, lambda: None, lambda function, argument: None)
    lock = threading.Lock()
    future._condition = threading.Condition(lock)
    future.set_result(1)

    def call() -> None:
        assert future.done()
        assert not future.cancelled()
        assert future.exception(HANG) is None
        assert future.result(HANG) == 1

    assert count_stuck(call, lock, future._settled.lock) == 0
