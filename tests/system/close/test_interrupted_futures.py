"""
Ctrl-C at every step of what a program does with futures and responses: the client goes on.

So no lock is left taken that the I/O thread needs, no acknowledgement is given to another command, and
listeners and callbacks are called.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future
from typing import Any

import pytest
from interrupt_storm import INTERRUPTS, Storm
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, PendingResponse
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.thorough

Client = AzureRealTimeAudio


def clear(client: Client) -> Future[Any]:
    """Return a future of an acknowledgement."""
    return client.clear_audio_buffer()


def poll(future: Future[Any]) -> None:
    """Ask whether it is done until it is."""
    while not future.done():
        pass


def as_completed(*futures: Future[Any]) -> None:
    """Take them as they are completed."""
    for future in concurrent.futures.as_completed(futures, HANG):
        future.result(0)


def call_back(future: Future[Any]) -> None:
    """Be called when it is done, before and after it is."""
    future.add_done_callback(lambda done: None)
    future.result(HANG)
    future.add_done_callback(lambda done: None)


def cancel(future: Future[Any]) -> None:
    """Cancel what somebody waits for in other ways too."""
    future.add_done_callback(lambda done: None)
    future.cancel()
    concurrent.futures.wait([future], HANG)


FUTURES: dict[str, Callable[[Future[Any], Future[Any]], object]] = {
    "result": lambda first, second: (first.result(HANG), second.result(HANG)),
    "exception": lambda first, second: (first.exception(HANG), second.exception(HANG)),
    "done": lambda first, second: (poll(first), poll(second)),
    "wait": lambda first, second: concurrent.futures.wait([first, second], HANG),
    "wait for the first": lambda first, second: concurrent.futures.wait(
        [first, second], HANG, FIRST_COMPLETED
    ),
    "as_completed": as_completed,
    "add_done_callback": lambda first, second: (call_back(first), call_back(second)),
    "cancel": lambda first, second: (cancel(first), cancel(second)),
}
"""What is done with the futures of acknowledgements."""


def poll_response(pending: PendingResponse) -> None:
    """Ask whether it is done until it is."""
    while not pending.done and pending.error is None:
        pending.status  # noqa: B018


def cancel_responses(first: PendingResponse, second: PendingResponse) -> None:
    """Cancel one that has been asked for, and one that waits its turn."""
    second.cancel()
    first.cancel()
    second.result(HANG)
    first.result(HANG)


RESPONSES: dict[str, Callable[[PendingResponse, PendingResponse], object]] = {
    "result": lambda first, second: (first.result(HANG), second.result(HANG)),
    "done, error, status": lambda first, second: (poll_response(first), poll_response(second)),
    "text": lambda first, second: (list(first.text(HANG)), list(second.text(HANG))),
    "audio": lambda first, second: (list(first.audio(HANG)), list(second.audio(HANG))),
    "iteration": lambda first, second: (list(first), list(second)),
    "cancel": cancel_responses,
}
"""What is done with the handles of responses, one of which waits for the other."""


def storm(
    service: Emulator,
    make: Callable[[Client], Any],
    call: Callable[[Any, Any], object],
    interrupts: int,
    times: int = 1,
) -> int:
    """
    Interrupt a call so many times, and look whether the client is well; 200 times one client.

    Returns:
        How many second interrupts struck in what cleans up after a first.
    """
    each = [min(200, interrupts - done) for done in range(0, interrupts, 200)]
    return sum(storm_over_one(service, make, call, number, times) for number in each)


def storm_over_one(
    service: Emulator,
    make: Callable[[Client], Any],
    call: Callable[[Any, Any], object],
    interrupts: int,
    times: int,
) -> int:
    blowing = Storm(times)
    struck = 0
    with Client(service.options(session_config={"modalities": ["text"]})) as client:
        probe = Probe()
        client.on("conversation.item.added", probe)
        with blowing.blowing():
            while struck < interrupts:
                first, second = make(client), make(client)
                struck += blowing.strikes(lambda: call(first, second))  # noqa: B023 - called at once
                with contextlib.suppress(CancelledError):
                    second.result(HANG)
        item = client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )

        assert item.result(HANG).item.id in [event.item.id for event in probe.until(is_last(item))]
        assert client.ask("Hello", timeout=HANG).text
        assert client.close()
    forget_unstarted_threads()
    return blowing.in_cleanup


def forget_unstarted_threads() -> None:
    """Forget those that Ctrl-C struck in ``Thread.start``: Python lists them for ever as about to start."""
    for thread in threading.enumerate():
        if thread.ident is None:
            threading._limbo.pop(thread, None)  # type: ignore[attr-defined]


def is_last(future: Future[Any]) -> Callable[[Any], bool]:
    """Return whether an event is the one a future was resolved with."""
    wanted = future.result(HANG)
    return lambda event: bool(event.item.id == wanted.item.id)


@pytest.mark.parametrize("name", FUTURES)
def test_interrupts_in_futures(name: str, emulator: Emulator, effort: float) -> None:
    """Each call that a future has, and those of ``concurrent.futures`` that take it."""
    storm(emulator, clear, FUTURES[name], round(INTERRUPTS * min(1.0, effort / 10)))


@pytest.mark.parametrize("name", RESPONSES)
def test_interrupts_in_responses(name: str, emulator: Emulator, effort: float) -> None:
    """Each call that the handle of a response has."""
    storm(emulator, Client.create_response, RESPONSES[name], round(INTERRUPTS * min(1.0, effort / 20)))


@pytest.mark.parametrize("name", FUTURES)
def test_second_interrupts_in_futures(name: str, emulator: Emulator, effort: float) -> None:
    """A second one strikes while a first is cleaned up after; whoever is impatient presses twice."""
    storm(emulator, clear, FUTURES[name], round(INTERRUPTS * min(1.0, effort / 20)), times=2)


@pytest.mark.parametrize("name", RESPONSES)
def test_second_interrupts_in_responses(name: str, emulator: Emulator, effort: float) -> None:
    """The same with the handle of a response."""
    storm(
        emulator, Client.create_response, RESPONSES[name], round(INTERRUPTS * min(1.0, effort / 40)), times=2
    )


def test_second_interrupts_strike_in_cleanup(emulator: Emulator) -> None:
    """They do: in a wait that has a handler, most of them."""

    def wait(first: Future[Any], second: Future[Any]) -> None:
        concurrent.futures.wait([first, second], HANG)

    assert storm(emulator, clear, wait, 100, times=2) > 0


def test_second_interrupts_in_questions(emulator: Emulator, effort: float) -> None:
    """Who stops a question, and stops what takes it back, can ask the next one."""
    blowing, struck = Storm(times=2), 0
    with Client(emulator.options(session_config={"modalities": ["text"]})) as client:
        with blowing.blowing():
            while struck < max(10, round(INTERRUPTS * min(1.0, effort / 40))):
                struck += blowing.strikes(lambda: client.ask("Hello", timeout=HANG))

        assert client.ask("Hello", timeout=HANG).text
        assert client.close()
    forget_unstarted_threads()


def test_second_interrupts_in_close(emulator: Emulator, effort: float) -> None:
    """Who stops the end of a ``with`` block twice leaves a client that ends all the same."""
    blowing, struck = Storm(times=2), 0

    def leave() -> None:
        with client:
            pass

    while struck < max(5, round(INTERRUPTS * min(1.0, effort / 100))):
        client = Client(emulator.options())
        client.wait_until_ready(HANG)
        with blowing.blowing():
            struck += blowing.strikes(leave)

        assert client.close()
    forget_unstarted_threads()
