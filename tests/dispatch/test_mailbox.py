"""The queue of a window's event loop: how the loop is woken, and that its end waits for that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from azure_rt_audio.dispatch.mailbox import Mailbox

HANG = 20


class Loop:
    """An event loop that runs a function whenever it is woken."""

    def __init__(self) -> None:
        self.on_wake: Callable[[], object] = lambda: None
        self.wakes = 0

    def is_running(self) -> bool:
        return False

    def ask_for_turn(self) -> None:
        self.wakes += 1
        self.on_wake()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def mailbox(loop: Loop) -> Mailbox:
    return Mailbox(1_000_000, loop)


def test_the_loop_is_woken_without_a_lock(mailbox: Mailbox, loop: Loop) -> None:
    """While the toolkit is called, other threads put and run, and wake nothing a second time."""
    calls: list[Any] = []

    def use_elsewhere() -> None:
        thread = threading.Thread(target=lambda: (mailbox.put(calls.append, 2), mailbox.run()), daemon=True)
        thread.start()
        thread.join(HANG)

    loop.on_wake = use_elsewhere
    mailbox.put(calls.append, 1)

    assert calls == [1, 2]
    assert loop.wakes == 1


def test_the_end_waits_for_a_thread_that_wakes_the_loop(mailbox: Mailbox, loop: Loop) -> None:
    """What is woken is not destroyed before the call has returned; after the end nothing is woken."""
    is_waking, may_return = threading.Event(), threading.Event()
    was_disposable: list[bool] = []

    def wake() -> None:
        is_waking.set()
        may_return.wait(HANG)
        was_disposable.append(mailbox.is_disposable)

    loop.on_wake = wake
    putting = threading.Thread(target=mailbox.put, args=(print, 1), daemon=True)
    putting.start()
    assert is_waking.wait(HANG)
    threading.Timer(0.1, may_return.set).start()
    mailbox.mute()
    assert was_disposable == [False]
    assert mailbox.is_disposable
    putting.join(HANG)

    mailbox.put(print, 2)
    assert loop.wakes == 1
    assert mailbox.run() == (False, False)


def test_an_end_inside_of_the_wake_does_not_hang(mailbox: Mailbox, loop: Loop) -> None:
    """A finalizer may destroy the window while its thread wakes the loop."""
    loop.on_wake = mailbox.mute
    mailbox.put(print, 1)
    assert mailbox.is_disposable


def test_a_toolkit_that_fails_leaves_nothing_behind(mailbox: Mailbox, loop: Loop) -> None:
    """An exception reaches the caller, and the end does not wait for that call."""

    def fail() -> None:
        raise RuntimeError("wrapped C/C++ object has been deleted")

    loop.on_wake = fail
    with pytest.raises(RuntimeError, match="deleted"):
        mailbox.put(print, 1)
    mailbox.mute()
    assert mailbox.is_disposable


def test_it_knows_its_thread(mailbox: Mailbox) -> None:
    """That on which it was made, until the loop turns on another one."""
    assert mailbox.serves(threading.get_ident())
    thread = threading.Thread(target=mailbox.run)
    thread.start()
    other = thread.ident
    thread.join(HANG)

    assert other is not None
    assert mailbox.serves(other)
