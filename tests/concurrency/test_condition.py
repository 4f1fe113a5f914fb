"""Waiting for a change: bounded, woken, and not to be broken by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from fake_servers import HANG

from azure_rt_audio._concurrency.condition import Condition
from azure_rt_audio._concurrency.deadline import Deadline


def test_what_is_so_needs_no_wait() -> None:
    """Who asks for what is the case already is not held up, even without any time."""
    assert Condition().wait_until(lambda: True, Deadline(0))


def test_a_wait_is_bounded() -> None:
    """What never comes is given up, and leaves nothing behind."""
    change = Condition()

    assert not change.wait_until(lambda: False, Deadline(0.01))
    assert change._waiters == []


def test_everybody_is_woken() -> None:
    """One announcement lets all look again."""
    change, news = Condition(), []
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(change.wait_until(lambda: bool(news), Deadline(HANG))))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    with change.lock:
        news.append("it")
        change.notify_all()
    for thread in threads:
        thread.join(HANG)

    assert results == [True] * 5


def test_an_announcement_between_looking_and_waiting_is_not_missed() -> None:
    """The gate is there before the lock is released, so that who comes just then opens it."""
    change, looked = Condition(), threading.Event()
    news: list[str] = []

    def look() -> bool:
        looked.set()
        return bool(news)

    def notify_all() -> None:
        assert looked.wait(HANG)
        with change.lock:  # free only once the other one has looked
            news.append("it")
            change.notify_all()

    other = threading.Thread(target=notify_all)
    other.start()
    assert change.wait_until(look, Deadline(HANG))
    other.join(HANG)


_STORM = """
    import os, signal, sys, threading
    from azure_rt_audio._concurrency.condition import Condition
    from azure_rt_audio._concurrency.deadline import Deadline

    signal.signal(signal.SIGINT, signal.default_int_handler)
    change, stop, go, trouble = Condition(), threading.Event(), threading.Event(), []
    count = [0]

    def notify_all():
        while not stop.is_set():
            try:
                with change.lock:
                    count[0] += 1
                    change.notify_all()
            except BaseException as exc:
                trouble.append(exc)

    def interrupt():
        go.wait()
        while not stop.wait(0.0005):
            os.kill(os.getpid(), signal.SIGINT)

    threads = [threading.Thread(target=f, daemon=True) for f in (notify_all, notify_all, interrupt)]
    for thread in threads:
        thread.start()
    interrupts = 0
    while interrupts < 500 and not trouble:
        try:
            go.set()
            while True:
                with change.lock:
                    seen = count[0]
                change.wait_until(lambda: count[0] > seen + 3, Deadline(10))
        except KeyboardInterrupt:
            interrupts += 1
        except BaseException as exc:
            trouble.append(exc)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert change.lock.acquire(timeout=10), "the lock belongs to nobody"
    print(interrupts, trouble)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
def test_a_storm_of_interrupts_leaves_the_lock_whole() -> None:
    """A thread that is stopped while it waits neither keeps the lock nor takes it from another one."""
    program = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_STORM)], capture_output=True, text=True, timeout=60
    )

    assert program.stdout.strip() == "500 []", program.stdout + program.stderr
