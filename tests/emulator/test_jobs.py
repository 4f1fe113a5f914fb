"""Work beside a connection: futures that replies, ears and voices return."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from emulator_session import DIALECTS, Bench, joined, kinds, only, sound

from azure_rt_audio.emulator import Emulator, speak
from azure_rt_audio.emulator.model.background import in_background, settle, when_done

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def test_work_is_done_on_a_thread_of_its_own() -> None:
    """The result, or the exception, arrives in the future; the thread bears the name that was given."""
    assert in_background("some-work", lambda: threading.current_thread().name).result(5) == "some-work"
    with pytest.raises(ZeroDivisionError):
        in_background("some-work", lambda: 1 // 0).result(5)


def test_what_is_cancelled_is_done_for_nobody() -> None:
    """A future can be cancelled while its work goes on; the result is dropped."""
    future: Future[str] = Future()

    def work() -> str:
        assert future.cancel()
        return "done"

    settle(future, work)
    assert future.cancelled()


def test_steps_that_are_given_up_cancel_their_work() -> None:
    """Whoever closes the steps does not want the result any more."""
    future: Future[str] = Future()
    steps = when_done(future)

    assert next(steps) > 0
    steps.close()
    assert future.cancelled()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_waits_for_the_words(dialect: str) -> None:
    """Ears may take long: everything else goes on, and the answer is to the words when they come."""
    heard: Future[str] = Future()
    bench = Bench(
        dialect,
        recogniser=lambda pcm, session: heard,
        responder=lambda conversation, session: f"You said {conversation.last_user_text}",
    )
    bench.configure(input_audio_transcription={"model": "gpt-4o-transcribe"}, modalities=["text"])
    bench.append(speak("Hello") + bytes(48_000))
    early = bench.drain(2.0)
    assert kinds(early)[-1] == "response.created"
    bench.user("and this")  # other things go on
    heard.set_result("something long")
    late = bench.drain(1.0)

    assert only(late, TRANSCRIBED)["transcript"] == "something long"
    assert only(late, "response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ears_that_fail_late(dialect: str, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in the future is a failed transcription, and the answer comes all the same."""
    heard: Future[str] = Future()
    bench = Bench(dialect, recogniser=lambda pcm, session: heard)
    bench.configure(input_audio_transcription={"model": "gpt-4o-transcribe"})
    bench.append(speak("Hello") + bytes(48_000))
    bench.drain()
    heard.set_exception(RuntimeError("deaf"))
    events = bench.drain(1.0)

    failed = only(events, "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["message"] == f"Input transcription failed for item '{failed['item_id']}'."
    assert only(events, "response.done")["response"]["status"] == "completed"
    assert "the recogniser failed" in caplog.text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reply_and_a_voice_that_take_long(dialect: str) -> None:
    """A future reply and a voice of futures are an answer like any other, once they are there."""
    reply: Future[str] = Future()
    pieces: list[Future[bytes]] = [Future(), Future()]
    bench = Bench(dialect, responder=lambda *_: reply, synthesiser=lambda *_: iter(pieces))
    bench.send("response.create")
    assert kinds(bench.drain(1.0)) == ["response.created"]
    reply.set_result("Two sentences. Like these.")
    begun = bench.drain(1.0)
    assert sound(begun) == b""
    pieces[0].set_result(b"\1\0" * 2_400)
    assert len(sound(bench.drain(1.0))) == 4_800
    pieces[1].set_result(b"\2\0" * 2_400)
    events = bench.drain(1.0)

    assert len(sound(events)) == 4_800
    assert joined([*begun, *bench.heard], "response.audio_transcript.delta")
    assert only(events, "response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_interruption_cancels_the_work(dialect: str) -> None:
    """A cancelled response waits for nobody: neither its reply nor its voice is wanted any more."""
    reply: Future[str] = Future()
    piece: Future[bytes] = Future()
    asked: list[Any] = [reply, "said"]
    bench = Bench(dialect, responder=lambda *_: asked.pop(0), synthesiser=lambda *_: iter([piece]))
    for _ in range(2):
        bench.send("response.create")
        bench.drain(0.5)
        events = bench.tell("response.cancel")
        assert only(events, "response.done")["response"]["status"] == "cancelled"

    assert (reply.cancelled(), piece.cancelled()) == (True, True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_end_cancels_the_work(dialect: str) -> None:
    """A client that leaves takes with it what was being done for it."""
    from azure_rt_audio import AzureRealTimeAudio

    heard: Future[str] = Future()
    is_cancelled = threading.Event()
    heard.add_done_callback(lambda _: is_cancelled.set())
    with Emulator(recogniser=lambda pcm, session: heard) as service:
        with AzureRealTimeAudio(service.options(dialect)) as client:
            client.append_audio(speak("Hello") + bytes(48_000))
            client.wait_for("response.created", timeout=5)
        assert is_cancelled.wait(5)
        assert heard.cancelled()


def test_a_voice_that_is_closed_hears_of_it() -> None:
    """A voice made of a generator may clean up when nobody listens any more."""
    is_closed = threading.Event()

    def voice(text: str, session: object) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(4_800)
        finally:
            is_closed.set()

    bench = Bench(synthesiser=voice, pace=1.0)
    bench.send("response.create")
    bench.drain(0.5)
    bench.tell("response.cancel")

    assert is_closed.is_set()
