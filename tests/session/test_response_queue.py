"""One response at a time: the gate by itself, with commands recorded and events made by hand."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from listeners import HANG, Aside
from manual_clock import ManualClock

from azure_rt_audio import (
    ConnectionClosedError,
    RealtimeError,
    Response,
    ResponseActiveError,
    ResponseConfig,
    ResponseIncompleteError,
    ServiceError,
)
from azure_rt_audio._session.pending_response import PendingResponse
from azure_rt_audio._session.response_queue import ResponseQueue
from azure_rt_audio._session.response_request import REQUEST_ID
from azure_rt_audio._session.waiters import Handled
from azure_rt_audio.protocol.commands import Command, ResponseCancel, ResponseCreate
from azure_rt_audio.protocol.events import (
    Event,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from azure_rt_audio.protocol.responses import ResponseError, ResponseStatusDetails

ACTIVE = "conversation_already_has_active_response"
LOST = ConnectionClosedError("lost")
BESIDE = ResponseConfig(conversation="none")


class Desk:
    """A gate, and the service on its other side."""

    def __init__(self, *, marks: bool = True) -> None:
        self.said: list[Any] = []
        self.failure: BaseException | None = None
        self._commands: list[Command] = []
        self._numbers = 0
        self.owner: Any = None
        self.clock = ManualClock()
        self.gate = ResponseQueue(self._encode, self._send, carries_metadata=marks, clock=self.clock)

    def _encode(self, command: Command) -> bytes:
        self._commands.append(command)
        return str(len(self._commands) - 1).encode()

    def _send(self, payload: bytes, seconds: float | None) -> None:
        if self.failure is not None:
            raise self.failure
        self.said.append(self._commands[int(payload)])

    def ask(self, config: ResponseConfig | None = None, *, may_wait: bool = True) -> PendingResponse:
        """Ask for a response."""
        return self.gate.request(config, may_wait=may_wait, owner=self.owner)

    @property
    def creates(self) -> list[ResponseCreate]:
        """The requests that have been sent."""
        return [command for command in self.said if isinstance(command, ResponseCreate)]

    @property
    def cancels(self) -> list[str | None]:
        """The ids of the responses that were to be cancelled."""
        return [command.response_id for command in self.said if isinstance(command, ResponseCancel)]

    def mark(self, index: int = -1) -> dict[str, str]:
        """The metadata of a request that was sent."""
        response = self.creates[index].response
        assert response is not None
        assert isinstance(response.metadata, dict)
        return response.metadata

    def begin(
        self, response_id: str, metadata: dict[str, str] | None = None, *, beside: bool = False
    ) -> bool:
        """The service begins a response."""
        extra = {"conversation_id": None} if beside else {}
        response = Response(
            id=response_id,
            status="in_progress",
            metadata=metadata,
            conversation_id=None if beside else "conv",
            extra=extra,
        )
        return self.gate.on_event(ResponseCreated(response=response))

    def end(self, response_id: str | None, status: str = "completed", **facts: Any) -> bool:
        """The service ends a response."""
        return self.gate.on_event(ResponseDone(response=Response(id=response_id, status=status, **facts)))

    def refuse(self, index: int | None = -1, **facts: Any) -> Handled | None:
        """The service refuses a request, named by its place among those sent, or not at all."""
        event_id = None if index is None else self.creates[index].event_id
        return self.gate.on_error(ServiceError("no", event_id=event_id, **facts))

    def say(self, event: Event) -> bool:
        """The service says something else."""
        return self.gate.on_event(event)


@pytest.fixture
def desk() -> Desk:
    """A gate with marks."""
    return Desk()


def text_delta(response_id: str, delta: str) -> ResponseOutputTextDelta:
    """Return a piece of text."""
    return ResponseOutputTextDelta(
        response_id=response_id, item_id="i", output_index=0, content_index=0, delta=delta
    )


def speech_started() -> InputAudioBufferSpeechStarted:
    """The user begins to speak."""
    return InputAudioBufferSpeechStarted(audio_start_ms=0, item_id="u")


# ------------------------------------------------------------ one at a time


def test_a_request_is_sent_at_once(desk: Desk) -> None:
    """Without a response in progress, asking is sending."""
    pending = desk.ask(ResponseConfig(instructions="be brief", metadata={"mine": "1"}))

    (create,) = desk.creates
    assert create.response is not None
    assert (create.response.instructions, desk.mark()["mine"]) == ("be brief", "1")
    assert (pending.status, pending.id, pending.done, pending.error) == ("pending", None, False, None)


def test_a_response_from_beginning_to_end(desk: Desk) -> None:
    """The handle follows the response that bears its mark."""
    pending = desk.ask()

    assert desk.begin("r", desk.mark())
    begun = (pending.status, pending.id)
    assert desk.say(text_delta("r", "Hello"))
    assert desk.end("r")

    assert begun == ("in_progress", "r")
    assert pending.result(0).id == "r"
    assert (pending.status, pending.done, desk.gate.is_busy) == ("completed", True, False)


def test_the_second_waits_its_turn(desk: Desk) -> None:
    """Requests behind a response in progress are sent one by one, in the order of asking."""
    handles = [desk.ask() for _ in range(3)]
    sent = []

    for number in range(3):
        sent.append(len(desk.creates))
        desk.begin(f"r{number}", desk.mark())
        desk.end(f"r{number}")

    assert sent == [1, 2, 3]
    assert [handle.result(0).id for handle in handles] == ["r0", "r1", "r2"]
    assert not desk.gate.is_busy


@pytest.mark.parametrize("state", ["sent", "begun"])
def test_it_can_be_told_to_raise(desk: Desk, state: str) -> None:
    """Who does not want to wait gets an exception, and nothing is sent or queued."""
    first = desk.ask()
    if state == "begun":
        desk.begin("r", desk.mark())

    with pytest.raises(ResponseActiveError, match="wait for it, cancel it"):
        desk.ask(may_wait=False)

    desk.begin("r", desk.mark())
    desk.end("r")
    assert len(desk.creates) == 1
    assert first.done


def test_a_dropped_handle_is_answered_all_the_same(desk: Desk) -> None:
    """A request is sent in its turn although nobody holds its handle."""
    desk.ask()
    desk.ask()
    gc.collect()

    told = [desk.begin("r0", desk.mark()), desk.end("r0")]

    assert len(desk.creates) == 2
    assert told == [False, False]
    assert not desk.end("r1")


def test_a_response_of_the_services_own_is_respected(desk: Desk) -> None:
    """While the service answers a turn of the user, a request waits."""
    desk.gate.expect_turn()
    desk.begin("vad")
    pending = desk.ask()
    waiting = len(desk.creates)

    desk.end("vad")
    desk.begin("r", desk.mark())

    assert (waiting, pending.id) == (0, "r")


# ------------------------------------------------------------ whose response it is


def test_matched_by_mark_never_by_order(desk: Desk) -> None:
    """Responses that begin in another order than they were asked for find their handles."""
    handles = [desk.ask(BESIDE) for _ in range(3)]

    for index in (2, 0, 1):
        desk.begin(f"r{index}", desk.mark(index), beside=True)
    for index in (1, 2, 0):
        desk.say(text_delta(f"r{index}", str(index)))
        desk.end(f"r{index}")

    assert [list(handle.text(0)) for handle in handles] == [["0"], ["1"], ["2"]]


def test_beside_does_not_wait(desk: Desk) -> None:
    """An out-of-band response neither waits for the conversation nor holds it up."""
    first = desk.ask()
    beside = desk.ask(BESIDE, may_wait=False)
    desk.begin("b", desk.mark(1), beside=True)
    desk.begin("r", desk.mark(0))
    desk.end("r")
    third = desk.ask(may_wait=False)

    assert len(desk.creates) == 3
    desk.end("b")
    assert (first.status, beside.status, third.status) == ("completed", "completed", "pending")


def test_the_services_own_response_is_not_taken_for_ours(desk: Desk) -> None:
    """A response without a mark, where marks come back, is somebody else's."""
    first = desk.ask()
    desk.begin("r0", desk.mark())
    desk.end("r0")
    second = desk.ask()

    desk.begin("vad")

    assert (first.done, second.id) == (True, None)


def test_a_turn_of_the_user_is_answered_first(desk: Desk) -> None:
    """Even before any mark has come back, an answer that is expected for the user is not ours."""
    desk.gate.expect_turn()
    pending = desk.ask()

    desk.begin("vad")

    assert pending.id is None


@pytest.mark.parametrize("marks", [True, False])
def test_without_marks_by_elimination(marks: bool) -> None:
    """Where the mark does not come back, the response after a request is its own."""
    desk = Desk(marks=marks)
    pending = desk.ask()

    desk.begin("r")
    desk.end("r")

    assert pending.result(0).id == "r"


def test_a_dialect_without_metadata_is_sent_none() -> None:
    """The first preview is not sent what it would refuse, nor told which response to cancel."""
    desk = Desk(marks=False)
    desk.ask()
    desk.ask(ResponseConfig(instructions="x"))
    desk.begin("r")
    desk.gate.canceller.cancel()
    desk.end("r")

    assert [create.response for create in desk.creates] == [None, ResponseConfig(instructions="x")]
    assert desk.cancels == [None]


def test_metadata_has_room_for_the_mark(desk: Desk) -> None:
    """Sixteen pairs are the service's limit, and one of them is the mark."""
    with pytest.raises(ValueError, match="at most 15"):
        desk.ask(ResponseConfig(metadata={str(number): "" for number in range(16)}))
    desk.ask(ResponseConfig(metadata={str(number): "" for number in range(15)}))

    assert len(desk.mark()) == 16
    assert REQUEST_ID in desk.mark()


def test_a_response_that_fails_before_it_begins(desk: Desk) -> None:
    """An end without a beginning is matched by its mark and lets the next one in."""
    pending = desk.ask()
    desk.ask()

    assert desk.end("r", "failed", metadata=desk.mark())

    assert (pending.status, pending.id, len(desk.creates)) == ("failed", "r", 2)


def test_an_end_without_id(desk: Desk) -> None:
    """If the service leaves the id out, the end is that of the response in progress."""
    pending = desk.ask()
    desk.begin("r", desk.mark())

    desk.end(None)

    assert pending.done
    assert not desk.gate.is_busy


# ------------------------------------------------------------ cancelling


def test_cancel_in_the_queue(desk: Desk) -> None:
    """A request that waits is never sent; its outcome says that it was cancelled by this side."""
    desk.ask()
    pending = desk.ask()

    pending.cancel()
    desk.begin("r", desk.mark())
    desk.end("r")

    response = pending.result(0)
    assert (response.status, response.reason, response.text) == ("cancelled", "client_cancelled", "")
    assert (len(desk.creates), desk.cancels) == (1, [])


@pytest.mark.parametrize("by", ["handle", "gate"])
def test_cancel_before_it_begins(desk: Desk, by: str) -> None:
    """A wish to cancel what was sent is remembered, and takes effect when it begins."""
    pending = desk.ask()

    pending.cancel() if by == "handle" else desk.gate.canceller.cancel()
    before = desk.cancels
    desk.begin("r", desk.mark())

    assert (before, desk.cancels) == ([], ["r"])


@pytest.mark.parametrize("by", ["handle", "gate", "id"])
def test_cancel_in_progress(desk: Desk, by: str) -> None:
    """A response in progress is cancelled at once, by its id."""
    pending = desk.ask()
    desk.begin("r", desk.mark())

    {
        "handle": pending.cancel,
        "gate": desk.gate.canceller.cancel,
        "id": lambda: desk.gate.canceller.cancel("r"),
    }[by]()

    assert desk.cancels == ["r"]


def test_cancel_when_it_is_over(desk: Desk) -> None:
    """Cancelling what is over does nothing."""
    pending = desk.ask()
    desk.begin("r", desk.mark())
    desk.end("r")

    pending.cancel()

    assert (desk.cancels, pending.status) == ([], "completed")


def test_cancel_of_nothing_is_left_to_the_service(desk: Desk) -> None:
    """If nothing is known to be in progress, the service decides."""
    desk.gate.canceller.cancel()

    assert desk.cancels == [None]


def test_cancel_of_an_answer_that_is_expected(desk: Desk) -> None:
    """A cancel between the user's turn and the answer is remembered for that answer, and only for it."""
    desk.gate.expect_turn()

    desk.gate.canceller.cancel()
    before = desk.cancels
    desk.begin("vad")
    desk.end("vad")
    desk.gate.expect_turn()
    desk.begin("vad2")

    assert (before, desk.cancels) == ([], ["vad"])


def test_a_turn_that_is_never_answered(desk: Desk) -> None:
    """If the service does not answer a turn, a wish to cancel that answer does not hit the next one."""
    desk.gate.expect_turn()
    desk.gate.canceller.cancel()

    desk.say(speech_started())
    desk.gate.expect_turn()
    desk.begin("vad")

    assert desk.cancels == []


def test_cancel_beside_leaves_the_conversation_alone(desk: Desk) -> None:
    """Each handle cancels its own response, also one that has not begun."""
    desk.ask()
    first, second = desk.ask(BESIDE), desk.ask(BESIDE)
    desk.begin("r", desk.mark(0))
    desk.begin("b1", desk.mark(1), beside=True)

    first.cancel()
    second.cancel()
    desk.begin("b2", desk.mark(2), beside=True)

    assert desk.cancels == ["b1", "b2"]


def test_a_cancel_that_comes_with_the_end(desk: Desk) -> None:
    """If the connection is being closed when a remembered cancel is due, that is no fault."""
    desk.ask().cancel()
    desk.failure = LOST

    desk.begin("r", desk.mark())

    assert desk.gate.is_busy


# ------------------------------------------------------------ refusals


def test_a_refused_request(desk: Desk) -> None:
    """A refusal fails the handle and lets the next one in."""
    pending = desk.ask()
    desk.ask()

    fate = desk.refuse(0, code="invalid_value", param="response.voice")

    assert (fate, pending.status, pending.done, len(desk.creates)) == (Handled.TOLD, "refused", True, 2)
    assert isinstance(pending.error, ServiceError)
    with pytest.raises(ServiceError, match="no") as caught:
        pending.result(0)
    assert (caught.value.code, caught.value is pending.error) == ("invalid_value", False)


def test_a_refusal_nobody_holds(desk: Desk) -> None:
    """If the handle was dropped, the refusal has told nobody."""
    desk.ask()
    gc.collect()

    assert desk.refuse(0, code="invalid_value") == Handled.UNHEARD


@pytest.mark.parametrize(
    ("facts", "is_ours"),
    [
        ({}, True),
        ({"code": "server_error"}, True),
        ({"code": "rate_limit_exceeded"}, True),
        ({"code": "invalid_value", "param": "response.voice"}, True),
        ({"code": "invalid_value", "param": "response"}, True),
        ({"code": "invalid_value", "param": "response_id"}, False),
        ({"code": "invalid_value", "param": "item.content[0].text"}, False),
        ({"code": "invalid_value", "param": "session.voice"}, False),
        ({"code": "response_cancel_not_active"}, False),
        ({"code": "input_audio_buffer_commit_empty"}, False),
        ({"code": "item_truncate_invalid_item_id"}, False),
        ({"code": "session_expired"}, False),
        ({"code": "invalid_tool_call_id"}, False),
    ],
)
@pytest.mark.parametrize("config", [None, BESIDE], ids=["conversation", "beside"])
def test_a_refusal_without_id(
    desk: Desk, config: ResponseConfig | None, facts: dict[str, str], is_ours: bool
) -> None:
    """An error that names no command is taken for the request's unless its code or field says otherwise."""
    pending = desk.ask(config)

    fate = desk.refuse(None, **facts)

    assert (fate, pending.done) == ((Handled.TOLD, True) if is_ours else (None, False))


def test_a_refusal_of_something_else(desk: Desk) -> None:
    """An error that names another command is not ours, nor is any when nothing was asked."""
    assert desk.refuse(None) is None
    pending = desk.ask()

    assert desk.gate.on_error(ServiceError("no", event_id="another")) is None
    assert not pending.done


# ------------------------------------------------------------ collisions


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("refused_first", [True, False])
def test_a_collision_is_tried_again(desk: Desk, is_named: bool, refused_first: bool) -> None:
    """If the service began its own response in the same moment, ours is sent again when that is over."""
    pending = desk.ask()
    last = desk.ask()
    desk.gate.expect_turn()

    for step in ("refuse", "begin") if refused_first else ("begin", "refuse"):
        if step == "begin":
            desk.begin("vad")
        else:
            assert desk.refuse(-1 if is_named else None, code=ACTIVE) == Handled.RETRIED
        assert len(desk.creates) == 1
    desk.end("vad")

    assert len(desk.creates) == 2
    desk.begin("r", desk.mark())
    desk.end("r")
    assert (pending.result(0).id, last.done) == ("r", False)


@pytest.mark.parametrize("why", ["the user speaks", "about to answer", "about to begin", "in progress"])
def test_the_reason_is_said(desk: Desk, why: str) -> None:
    """Who does not want to wait is told what for; a turn of the user is no response."""
    if why == "the user speaks":
        desk.gate.begin_turn()
        desk.ask()  # waits for the turn, as the next one would
    elif why == "about to answer":
        desk.gate.expect_turn()
    else:
        desk.ask()
    if why == "in progress":
        desk.begin("r", desk.mark())

    with pytest.raises(ResponseActiveError, match=why) as caught:
        desk.ask(may_wait=False)
    assert ("a response" in str(caught.value)) == (why in ("about to begin", "in progress"))


def test_a_response_we_have_not_heard_of_can_be_cancelled(desk: Desk) -> None:
    """While an unknown response holds up ours, a cancel is for that one and goes out at once."""
    desk.ask()
    desk.gate.expect_turn()
    desk.refuse(code=ACTIVE)

    desk.gate.canceller.cancel()

    assert (desk.cancels, desk.gate.is_busy) == ([None], True)
    with pytest.raises(ResponseActiveError):
        desk.ask(may_wait=False)


def test_collisions_have_an_end(desk: Desk) -> None:
    """A request that is refused again and again fails in the end, and the next one has its turn."""
    pending, following = desk.ask(), desk.ask()

    fates = []
    for number in range(5):
        fates.append(desk.refuse(-1, code=ACTIVE))
        desk.begin(f"vad{number}", {REQUEST_ID: "another client's"})
        desk.end(f"vad{number}")

    assert fates == [Handled.RETRIED] * 4 + [Handled.TOLD]
    assert (pending.status, following.status) == ("refused", "pending")
    assert len(desk.creates) == 6
    desk.begin("r", desk.mark())
    assert following.id == "r"


def test_a_cancelled_request_is_not_tried_again(desk: Desk) -> None:
    """If a request that was to be cancelled collides, that is as good as cancelled."""
    pending = desk.ask()
    pending.cancel()
    desk.begin("vad", {REQUEST_ID: "another client's"})

    desk.refuse(0, code=ACTIVE)
    desk.end("vad")

    assert (pending.status, len(desk.creates)) == ("cancelled", 1)


# ------------------------------------------------------------ the end, and sending that fails


def test_the_end_tells_everybody(desk: Desk) -> None:
    """Whatever a request was waiting for, the end of the connection is its outcome."""
    begun = desk.ask()
    beside, queued = desk.ask(BESIDE), desk.ask()
    desk.begin("r", desk.mark(0))

    desk.gate.end(LOST)

    for handle in (begun, beside, queued):
        with pytest.raises(ConnectionClosedError, match="lost") as caught:
            handle.result(0)
        assert caught.value is not LOST
    with pytest.raises(ConnectionClosedError, match="lost"):
        desk.ask()


def test_an_outcome_outlives_the_connection(desk: Desk) -> None:
    """A response that ended before the connection did keeps its result."""
    pending = desk.ask()
    desk.begin("r", desk.mark())
    desk.end("r")

    desk.gate.end(LOST)

    assert pending.result(0).id == "r"


@pytest.mark.parametrize("failure", [LOST, TimeoutError("full"), KeyboardInterrupt()])
def test_a_request_that_cannot_be_sent(desk: Desk, failure: BaseException) -> None:
    """Who asks is told, and the gate is as free as before."""
    desk.failure = failure
    with pytest.raises(type(failure)):
        desk.ask()

    desk.failure = None
    desk.ask(may_wait=False)

    assert len(desk.creates) == 1


@pytest.mark.parametrize("failure", [LOST, TimeoutError("full")])
def test_a_turn_that_cannot_be_taken(desk: Desk, failure: BaseException) -> None:
    """If a request cannot be sent when its turn comes, its handle is told, and so are those behind it."""
    desk.ask()
    handles = [desk.ask(), desk.ask()]
    desk.begin("r", desk.mark())
    desk.failure = failure

    desk.end("r")

    for handle in handles:
        with pytest.raises(RealtimeError, match=r"lost|full"):
            handle.result(0)
    assert not desk.gate.is_busy


def test_it_is_checked_before_it_waits() -> None:
    """What is wrong with a request is said to who asks, before anything is waited for or sent."""
    waited = []

    def encode(command: Command) -> bytes:
        raise ValueError("response.voice")

    gate = ResponseQueue(encode, lambda payload, seconds: None, carries_metadata=True)

    with pytest.raises(ValueError, match=r"response\.voice"):
        gate.request(None, may_wait=True, owner=None, wait=lambda: waited.append(1))
    assert (waited, gate.is_busy) == ([], False)


# ------------------------------------------------------------ the handle


def test_the_handle_keeps_the_client_alive(desk: Desk) -> None:
    """As long as somebody waits for the response, the client is not collected; no longer."""

    class Client:
        pass

    desk.owner = Client()
    reference = weakref.ref(desk.owner)
    pending = desk.ask()

    desk.owner = None
    gc.collect()
    held = reference() is not None
    del pending
    gc.collect()

    assert (held, reference()) == (True, None)


def test_text_and_audio(desk: Desk) -> None:
    """Text and transcript are told as text, sound as bytes, each from the beginning."""
    pending = desk.ask()
    where = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    desk.begin("r", desk.mark())
    desk.say(ResponseOutputAudioTranscriptDelta(delta="Hel", **where))
    desk.say(ResponseOutputAudioDelta(delta="AAEC", **where))
    desk.say(text_delta("r", "lo"))
    desk.end("r")

    for _ in range(2):
        assert list(pending.text(0)) == ["Hel", "lo"]
        assert list(pending.audio(0)) == [b"\0\1\2"]
    assert [type(event) for event in pending][:: len(list(pending)) - 1] == [ResponseCreated, ResponseDone]


def test_two_threads_iterate(desk: Desk) -> None:
    """Each iteration has all of it, also when both wait while it comes."""
    pending = desk.ask()
    desk.begin("r", desk.mark())
    asides = [Aside(lambda: "".join(pending.text(HANG))) for _ in range(2)]
    for letter in "abc":
        desk.say(text_delta("r", letter))
    desk.end("r")

    assert [aside.result() for aside in asides] == ["abc", "abc"]


def test_iterating_a_refusal(desk: Desk) -> None:
    """A loop over a response that was refused raises why."""
    pending = desk.ask()
    desk.refuse(0, code="invalid_value")

    with pytest.raises(ServiceError):
        list(pending)


@pytest.mark.parametrize("wait", [lambda p: p.result(60.0), lambda p: next(p.text(60.0))])
def test_patience(desk: Desk, wait: Callable[[PendingResponse], Any]) -> None:
    """Time that runs out is a TimeoutError; the response goes on."""
    pending = desk.ask()
    aside = Aside(lambda: wait(pending))
    desk.clock.advance(60.0, pending._condition)

    with pytest.raises(TimeoutError):
        aside.result()
    desk.begin("r", desk.mark())
    desk.end("r")

    assert pending.result(0).id == "r"


def test_it_does_not_wait_on_the_reader() -> None:
    """Where waiting would wait for itself, it raises; what has come can be taken."""

    def refuse() -> None:
        raise RuntimeError("on the I/O thread")

    desk = Desk()
    desk.gate._check_may_wait = refuse
    pending = desk.ask()
    desk.begin("r", desk.mark())
    events = iter(pending)

    assert isinstance(next(events), ResponseCreated)
    for wait in (lambda: next(events), pending.result):
        with pytest.raises(RuntimeError, match="on the I/O thread"):
            wait()
    desk.end("r")
    assert pending.result().id == "r"


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("cancelled", ResponseStatusDetails(type="cancelled", reason="turn_detected"), "turn_detected"),
        ("incomplete", ResponseStatusDetails(reason="content_filter"), "content_filter"),
        ("incomplete", ResponseStatusDetails(reason="max_output_tokens"), "max_output_tokens"),
        (
            "failed",
            ResponseStatusDetails(
                type="failed",
                error=ResponseError(
                    type="invalid_request_error", code="inference_rate_limit_exceeded", message="slow down"
                ),
            ),
            "inference_rate_limit_exceeded",
        ),
    ],
)
def test_how_it_ended_is_an_outcome(
    desk: Desk, status: str, details: ResponseStatusDetails, reason: str
) -> None:
    """A response that did not complete has its reason; only one that failed raises it."""
    pending = desk.ask()
    desk.begin("r", desk.mark())
    desk.end("r", status, status_details=details)

    response = pending.result(0, check=False)

    assert (response.status, pending.status, response.reason, response.is_completed) == (
        status,
        status,
        reason,
        False,
    )
    has_failed = status == "failed"
    error, same = pending.error, response.error
    assert (type(error), type(same)) == ((ServiceError if has_failed else ResponseIncompleteError),) * 2
    assert error is not None
    assert (error.code, getattr(error, "response", None)) == (reason, response)
    assert error.type == ("rate_limit_error" if has_failed else "invalid_request_error")
    for ways in (pending.result, lambda: list(pending.text()), lambda: list(pending.audio())):
        with pytest.raises(ServiceError, match="slow down") if has_failed else nullcontext():
            ways()
    assert (list(pending.text(check=False)), list(pending.audio(check=False))) == ([], [])
    assert [event.type for event in pending] == ["response.created", "response.done"]


def test_repr(desk: Desk) -> None:
    """A handle shows where it is in its life."""
    pending = desk.ask()
    before = repr(pending)
    desk.begin("r", desk.mark())

    assert before == "<PendingResponse not yet created, pending>"
    assert repr(pending) == "<PendingResponse r, in_progress>"


# ------------------------------------------------------------ interruption


def test_interrupting_what_is_in_progress(desk: Desk) -> None:
    """It is cancelled by name, and the caller learns which it was."""
    desk.ask()
    desk.begin("r", desk.mark())

    assert desk.gate.canceller.interrupt() == "r"
    assert desk.cancels == ["r"]


def test_interrupting_in_a_dialect_without_names() -> None:
    """There it is whichever is in the conversation."""
    desk = Desk(marks=False)
    desk.begin("r")

    assert desk.gate.canceller.interrupt() == "r"
    assert desk.cancels == [None]


def test_interrupting_what_has_not_begun(desk: Desk) -> None:
    """What was asked for, or what the service is about to begin, is cancelled when it begins."""
    desk.ask()

    assert desk.gate.canceller.interrupt() == ""
    assert desk.cancels == []
    desk.begin("r", desk.mark())
    desk.end("r")
    desk.gate.expect_turn()
    assert desk.gate.canceller.interrupt() == ""
    desk.begin("vad")

    assert desk.cancels == ["r", "vad"]


def test_interrupting_nothing(desk: Desk) -> None:
    """Nothing is said to a service that is doing nothing."""
    assert desk.gate.canceller.interrupt() is None
    assert desk.cancels == []
