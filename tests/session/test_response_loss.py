"""Every state of the response queue has more than one way out: by the queue itself and a clock."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from manual_clock import ManualClock

from azure_rt_audio import (
    RealtimeError,
    Response,
    ResponseConfig,
    ResponseLostError,
    ResponseSupersededError,
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
    McpListToolsInProgress,
    ResponseCreated,
    ResponseDone,
    ResponseMcpCallCompleted,
    ResponseMcpCallInProgress,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
)

ACTIVE = "conversation_already_has_active_response"
SPEECH = InputAudioBufferSpeechStarted(audio_start_ms=0, item_id="u")


class Bench:
    """A queue, what it has sent, and a clock."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self._encoded: list[Command] = []
        self.clock = ManualClock()
        self.queue = ResponseQueue(self._encode, self._send, carries_metadata=True, clock=self.clock)

    def _encode(self, command: Command) -> bytes:
        self._encoded.append(command)
        return str(len(self._encoded) - 1).encode()

    def _send(self, payload: bytes, seconds: float | None) -> None:
        self.sent.append(self._encoded[int(payload)])

    def ask(self, **facts: Any) -> PendingResponse:
        """Ask for a response."""
        return self.queue.request(None, may_wait=True, owner=None, **facts)

    @property
    def creates(self) -> list[ResponseCreate]:
        """The requests that were sent."""
        return [c for c in self.sent if isinstance(c, ResponseCreate)]

    @property
    def cancels(self) -> list[ResponseCancel]:
        """The cancels that were sent."""
        return [c for c in self.sent if isinstance(c, ResponseCancel)]

    def request_id(self, index: int = -1) -> str:
        """The id in the metadata of a request that was sent."""
        response = self.creates[index].response
        assert isinstance(response, ResponseConfig)
        assert isinstance(response.metadata, dict)
        return response.metadata[REQUEST_ID]

    def created(self, response_id: str, request_id: str | None = None) -> ResponseCreated:
        """The beginning of a response."""
        metadata = None if request_id is None else {REQUEST_ID: request_id}
        response = Response(id=response_id, status="in_progress", metadata=metadata, conversation_id="c")
        return ResponseCreated(response=response)

    def done(
        self, response_id: str, request_id: str | None = None, status: str = "completed"
    ) -> ResponseDone:
        """The end of a response."""
        metadata = None if request_id is None else {REQUEST_ID: request_id}
        return ResponseDone(response=Response(id=response_id, status=status, metadata=metadata))

    def say(self, *events: Event) -> None:
        """The service says something."""
        for event in events:
            self.queue.on_event(event)

    def begin(self, response_id: str) -> None:
        """The service begins what was asked for last."""
        self.say(self.created(response_id, self.request_id()))

    def wait(self, seconds: float) -> None:
        """Let time pass, with the looks at the clock that the queue asks for."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            step = self.queue.check()
            self.clock.now = min(end, self.clock.now + (seconds if step is None else step))
        self.queue.check()


@pytest.fixture
def bench() -> Bench:
    """A queue by itself."""
    return Bench()


def delta(response_id: str, text: str = "so far") -> ResponseOutputTextDelta:
    """Return a piece of text."""
    return ResponseOutputTextDelta(
        response_id=response_id, item_id="i", output_index=0, content_index=0, delta=text
    )


def test_a_request_that_the_service_drops(bench: Bench) -> None:
    """After 20 s without a beginning it is given up, the next one is sent, and nothing is cancelled."""
    pending, following = bench.ask(), bench.ask()

    bench.wait(19)
    before = (pending.done, len(bench.creates))
    bench.wait(2)

    assert before == (False, 1)
    with pytest.raises(ResponseLostError, match="did not begin it within 20 s") as caught:
        pending.result(0)
    assert caught.value.response is None
    assert (len(bench.creates), bench.cancels, following.done) == (2, [], False)


def test_a_request_that_is_cancelled_and_dropped(bench: Bench) -> None:
    """Nobody waits for it, so it keeps others waiting for five seconds only."""
    bench.ask().cancel()
    bench.ask()
    bench.wait(4)
    before = len(bench.creates)
    bench.wait(2)

    assert (before, len(bench.creates), bench.cancels) == (1, 2, [])


def test_a_response_that_begins_after_it_was_given_up(bench: Bench) -> None:
    """It is cancelled by its id, is not played, and the next one waits for its end."""
    first = bench.ask()
    late = bench.request_id()
    bench.wait(21)
    bench.say(bench.created("late", late))
    second = bench.ask()

    assert [c.response_id for c in bench.cancels] == ["late"]
    assert (first.status, len(bench.creates), bench.queue.canceller.is_unplayed("late")) == (
        "refused",
        1,
        True,
    )
    bench.say(bench.done("late", late, "cancelled"))
    bench.begin("r")
    assert second.id == "r"


def test_a_response_that_begins_after_an_error_without_a_name(bench: Bench) -> None:
    """The error may have meant something else: the response of a request that failed is not wanted."""
    pending = bench.ask()
    request = bench.request_id()
    bench.queue.on_error(ServiceError("The server had an error", type="server_error"))
    bench.say(bench.created("late", request))
    bench.ask()

    assert isinstance(pending.error, ServiceError)
    assert [c.response_id for c in bench.cancels] == ["late"]
    assert (bench.queue.canceller.is_unplayed("late"), len(bench.creates)) == (True, 1)
    bench.say(bench.done("late", request, "cancelled"))
    assert len(bench.creates) == 2


def test_a_response_whose_end_is_lost(bench: Bench) -> None:
    """After 60 s of silence it is cancelled by its id, and fails with what came of it."""
    pending = bench.ask()
    bench.begin("r")
    bench.wait(50)
    bench.say(delta("r"))
    bench.wait(50)
    before = pending.done
    bench.wait(12)

    assert not before
    with pytest.raises(ResponseLostError, match="no event of it came for 60 s") as caught:
        pending.result(0)
    assert (caught.value.response.text, caught.value.response.status) == ("so far", "incomplete")
    assert [c.response_id for c in bench.cancels] == ["r"]
    bench.ask()
    assert len(bench.creates) == 2


def test_an_mcp_step_takes_its_time(bench: Bench) -> None:
    """While a tool of the service's own runs, silence is no loss; afterwards it is one."""
    pending = bench.ask()
    bench.begin("r")
    bench.say(ResponseMcpCallInProgress(item_id="m", output_index=0))
    bench.wait(590)
    during = pending.done
    bench.say(ResponseMcpCallCompleted(item_id="m", output_index=0))
    bench.wait(59)
    after = pending.done
    bench.wait(2)

    assert (during, after) == (False, False)
    assert isinstance(pending.error, ResponseLostError)


def test_an_mcp_step_without_an_end(bench: Bench) -> None:
    """It stops the clock of silence for ten minutes, not for ever."""
    pending = bench.ask()
    bench.begin("r")
    bench.say(ResponseMcpCallInProgress(item_id="m", output_index=0))
    bench.wait(655)
    before = pending.done
    bench.wait(10)

    assert before is False
    assert isinstance(pending.error, ResponseLostError)


def test_listing_mcp_tools_stops_no_clock(bench: Bench) -> None:
    """It belongs to no response."""
    pending = bench.ask()
    bench.begin("r")
    bench.say(McpListToolsInProgress(item_id="m"))
    bench.wait(62)

    assert isinstance(pending.error, ResponseLostError)


def test_an_answer_to_the_user_whose_end_is_lost(bench: Bench) -> None:
    """A response of the service's own does not block requests for ever either."""
    bench.say(bench.created("vad"))
    pending = bench.ask()
    bench.wait(62)
    bench.begin("r")

    assert ([c.response_id for c in bench.cancels], pending.id) == (["vad"], "r")


def test_a_refused_cancel_without_a_name_is_the_one_that_was_in_vain(bench: Bench) -> None:
    """A cancel that took effect is not due a refusal any more; one of a response that was over is."""
    for end in ("cancelled", "completed"):
        bench.ask().cancel()
        bench.say(bench.created(end, bench.request_id()), bench.done(end, bench.request_id(), end))
    assert [c.response_id for c in bench.cancels] == ["cancelled", "completed"]
    pending = bench.ask()
    bench.begin("r")
    pending.cancel()
    refusal = ServiceError("no", code="response_cancel_not_active")
    bench.queue.on_error(refusal)  # of "completed"
    bench.wait(2)
    before = pending.done
    bench.queue.on_error(refusal)
    bench.wait(2)

    assert before is False
    assert isinstance(pending.error, ResponseLostError)


def test_a_refused_cancel_frees_the_queue(bench: Bench) -> None:
    """If the service knows of no response, there is none: the next one is sent, and nobody is warned."""
    pending = bench.ask()
    bench.begin("r")
    pending.cancel()
    (cancel,) = bench.cancels
    bench.ask()

    refusal = ServiceError("no", code="response_cancel_not_active", event_id=cancel.event_id)

    assert bench.queue.on_error(refusal) is Handled.SILENT
    assert len(bench.creates) == 2
    bench.wait(2)
    assert isinstance(pending.error, ResponseLostError)


@pytest.mark.parametrize(("named", "seconds"), [("resp_0", 1.0), ("resp_never", 6.0)])
def test_a_refusal_that_names_what_is_over_or_unknown(bench: Bench, named: str, seconds: float) -> None:
    """The request is sent again: soon if the response is known to be over, else after five seconds."""
    bench.ask()
    bench.begin("resp_0")
    bench.say(bench.done("resp_0"))
    pending = bench.ask()
    refusal = ServiceError(
        f"active response in progress: {named}. Wait", code=ACTIVE, event_id=bench.creates[-1].event_id
    )

    assert bench.queue.on_error(refusal) is Handled.RETRIED
    bench.wait(seconds)
    bench.begin("resp_1")

    assert pending.id == "resp_1"


# ------------------------------------------------------------ the user's turn


@pytest.mark.parametrize(
    ("end", "seconds"),
    [("cleared", 0), ("switched off", 0), ("no answer", 6), ("no sound", 3), ("answered", 0), ("ages", 31)],
)
def test_a_request_waits_for_the_end_of_the_users_turn(bench: Bench, end: str, seconds: float) -> None:
    """Each end of the turn lets the request out, and nothing before it does."""
    bench.say(SPEECH)
    pending = bench.ask()
    before = len(bench.creates)
    if end == "cleared":
        bench.queue.end_turn()
    elif end == "switched off":
        bench.queue.set_detection(is_on=False, is_semantic=False)
    elif end == "no answer":
        bench.queue.expect_turn()
    elif end == "answered":
        bench.queue.expect_turn()
        bench.say(bench.created("vad"), bench.done("vad"))
    for _ in range(int(seconds)):
        bench.queue.turn.has_sound = end == "ages"
        bench.wait(1)

    assert (before, len(bench.creates), pending.done) == (0, 1, False)


def test_a_request_that_is_not_wanted_any_more(bench: Bench) -> None:
    """With superseded="drop", the answer to the user's own turn takes its place."""
    bench.say(SPEECH)
    dropped, kept = bench.ask(superseded="drop"), bench.ask()
    bench.queue.expect_turn()
    bench.say(bench.created("vad"), bench.done("vad"))

    with pytest.raises(ResponseSupersededError):
        dropped.result(0)
    assert (len(bench.creates), kept.done) == (1, False)


def test_a_response_that_crosses_the_users_first_word(bench: Bench) -> None:
    """It is cancelled, not played, and asked for again after the turn."""
    pending = bench.ask()
    request = bench.request_id()
    bench.say(SPEECH, bench.created("crossing", request))
    cancelled = [c.response_id for c in bench.cancels]
    bench.say(bench.done("crossing", request, "cancelled"))
    bench.queue.expect_turn()
    bench.say(bench.created("vad"), bench.done("vad"))
    bench.begin("r")
    bench.say(bench.done("r"))

    assert (cancelled, bench.queue.canceller.is_unplayed("crossing")) == (["crossing"], True)
    assert (pending.result(0).id, len(bench.creates)) == ("r", 2)


def test_a_response_that_is_completed_before_its_cancel_comes(bench: Bench) -> None:
    """It is the answer, with all that came of it, and is not asked for again."""
    pending = bench.ask()
    request = bench.request_id()
    bench.say(SPEECH, bench.created("crossing", request), delta("crossing", "four"))
    bench.say(bench.done("crossing", request))
    bench.queue.expect_turn()
    bench.say(bench.created("vad"), bench.done("vad"))

    assert (pending.result(0).id, list(pending.text(0)), len(bench.creates)) == ("crossing", ["four"], 1)


def test_a_response_is_not_wanted_that_crosses_the_users_first_word(bench: Bench) -> None:
    """If it is cancelled while it waits to be asked for again, it is not, however the first one ends."""
    pending = bench.ask()
    request = bench.request_id()
    bench.say(SPEECH, bench.created("crossing", request))
    pending.cancel()
    bench.say(bench.done("crossing", request))
    bench.queue.end_turn()

    assert (pending.status, len(bench.creates), bench.queue.is_busy) == ("cancelled", 1, False)


# ------------------------------------------------------------ events lost, doubled, swapped


def _after(script: list[Event], kind: str, at: int) -> list[Event]:
    script = list(script)
    if kind == "lost":
        del script[at]
    elif kind == "doubled":
        script.insert(at, script[at])
    elif at + 1 < len(script):
        script[at], script[at + 1] = script[at + 1], script[at]
    return script


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("kind", ["lost", "doubled", "swapped"])
@pytest.mark.parametrize("turn", ["asked", "spoken"])
def test_one_odd_event_does_not_end_a_session(bench: Bench, turn: str, kind: str, at: int) -> None:
    """The turn ends with an answer or a reason within a bound, and the next one is answered."""
    pending = None
    if turn == "asked":
        pending = bench.ask()
        request = bench.request_id()
        script = [bench.created("a", request), delta("a"), bench.done("a", request)]
    else:
        script = [SPEECH, bench.created("a"), bench.done("a")]
    for event in _after(script, kind, at):
        bench.say(event)
    bench.wait(62)
    following = bench.ask()
    bench.begin("b")
    bench.say(bench.done("b"))

    assert following.result(0).id == "b"
    if pending is not None:
        assert pending.done
        assert pending.error is None or isinstance(pending.error, ResponseLostError)


@pytest.mark.parametrize("block", range(4))
def test_interleavings(bench: Bench, block: int) -> None:
    """Whatever the order of requests, turns and answers: each request ends within a bound."""
    for seed in range(block * 125, block * 125 + 125):
        bench = Bench()
        chance = random.Random(seed)
        ids = (f"r{n}" for n in itertools.count())
        handles: list[PendingResponse] = []
        answered, active = 0, None
        for _ in range(30):
            step = chance.choice(("ask", "speak", "commit", "serve", "end", "wait"))
            if step == "ask":
                handles.append(bench.ask())
            elif step == "speak":
                bench.say(SPEECH)
            elif step == "commit":
                bench.queue.expect_turn()
                if active is None:
                    active = next(ids)
                    bench.say(bench.created(active))
            elif step == "serve" and active is None and len(bench.creates) > answered:
                active = next(ids)
                answered = len(bench.creates)
                bench.say(bench.created(active, bench.request_id()))
            elif step == "end" and active is not None:
                bench.say(bench.done(active))
                active = None
            else:
                bench.wait(chance.random() * 3)
        if active is not None:
            bench.say(bench.done(active))
        for _ in range(2 * len(handles) + 5):
            bench.wait(25)
            if len(bench.creates) > answered:
                answered = len(bench.creates)
                response_id = next(ids)
                bench.say(bench.created(response_id, bench.request_id()), bench.done(response_id))
        assert all(h.done for h in handles), seed
        outcomes = [h._outcome if h.error is None else h.error for h in handles]
        assert all(not isinstance(o, RealtimeError) or isinstance(o, ResponseLostError) for o in outcomes)
        assert not bench.queue.is_busy, seed


def test_a_request_that_has_not_left_is_not_given_up(bench: Bench) -> None:
    """On a slow line, sound is sent before it: the time to begin starts when it has left."""
    left: list[float | None] = [None]
    bench.queue.watchdog.written_at = lambda sent: left[0]
    handle = bench.ask()
    bench.wait(90.0)
    waited = handle.done
    left[0] = bench.clock.now
    bench.wait(15.0)
    on_its_way = handle.done
    bench.wait(10.0)

    assert (waited, on_its_way) == (False, False)
    with pytest.raises(ResponseLostError, match="20 s"):
        handle.result(0)


def test_a_handle_keeps_so_much_sound(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond 64 MiB the oldest goes, with one warning; who keeps up has had it, and places stay."""
    handle = bench.ask()
    bench.queue.on_event(bench.created("r", bench.request_id()))
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    delta = "AAAA" * 2**20
    for _ in range(20):
        bench.queue.feed(ResponseOutputAudioDelta(delta=delta, **place))

    kept = [len(piece.delta) for piece in handle._pieces if isinstance(piece, ResponseOutputAudioDelta)]
    assert kept == [0] * 4 + [len(delta)] * 16
    assert len([r for r in caplog.records if "lets go of the oldest" in r.getMessage()]) == 1


def test_a_result_waits_for_the_request_of_a_question(bench: Bench) -> None:
    """It is sent after both; and a question whose request is sent again is put again after it, else not."""
    order: list[object] = []

    def ask_first(request: object) -> tuple[Any, ...]:
        order.append("question")
        if len(order) == 1:  # while another thread is at it
            bench.queue.send_result(lambda: order.append(f"result after {len(bench.creates)}"), order.append)
        return ()

    handle = bench.ask(ask_first=ask_first)
    for _ in range(2):
        bench.queue.hold()
        bench.queue.put_back(bench.queue.lose().unbegun)
        bench.queue.release()

    assert order == ["question", "result after 1", "question"]
    assert len(bench.creates) == 3
    assert not handle.done


def test_a_question_waits_again_behind_the_answer_to_results(bench: Bench) -> None:
    """Both were asked for when the connection was lost: the answer to results comes first."""
    handle = bench.ask(ask_first=lambda request: ())
    tool_handle = PendingResponse(lambda: None, lambda: None, "pcm16")
    follow_up = bench.queue.follow_up(None, tool_handle)
    bench.queue.hold()
    bench.queue.put_back(bench.queue.lose().unbegun)
    bench.queue.release()

    assert bench.request_id() == follow_up.request_id
    assert not handle.done
