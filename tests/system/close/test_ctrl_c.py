"""Ctrl-C at every step of a call that takes a turn: whoever is interrupted leaves the turn to the next."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from interrupt_storm import INTERRUPTS, Storm, count_stuck
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._session.audio_input import AudioInput
from azure_rt_audio._session.one_by_one import OneByOne, Step
from azure_rt_audio._session.response_queue import ResponseQueue
from azure_rt_audio._session.user_turn import TurnLimits, UserTurn
from azure_rt_audio._transport import send_queue as _send_queue
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.thorough


def test_a_request_that_was_not_sent_is_not_waited_for() -> None:
    """Whoever is stopped while asking for a response leaves the conversation free for the next one."""
    sent: list[bytes] = []
    gate = ResponseQueue(lambda command: b"", lambda payload, _: sent.append(payload), carries_metadata=True)
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
        unsent = given = acknowledged = 0

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
