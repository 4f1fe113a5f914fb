"""
A client's engine and an emulator's session in one thread, with a network and a clock that are simulated.

Nothing is real but the two programs: messages take the time that the test says, and may be lost, doubled,
swapped or delayed on their way. A minute passes in milliseconds, and the same seed is the same run.
"""

from __future__ import annotations

import base64
import itertools
import random
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from azure_rt_audio import AzureRealTimeOptions, InlineDispatcher, WebSocketOptions
from azure_rt_audio._session.engine import Engine
from azure_rt_audio._session.pending_response import PendingResponse
from azure_rt_audio.emulator import Behaviour, Close, SessionEngine
from azure_rt_audio.emulator.model.conversation import Conversation
from azure_rt_audio.emulator.model.replies import Answer, FunctionCall
from azure_rt_audio.emulator.model.session import Session
from azure_rt_audio.emulator.server.latency import Line
from azure_rt_audio.protocol.commands import ConversationItemCreate
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.protocol.events import ResponseFunctionCallArgumentsDone
from azure_rt_audio.protocol.items import ContentPart, FunctionCallItem, FunctionCallOutputItem, MessageItem
from azure_rt_audio.protocol.responses import ResponseConfig
from azure_rt_audio.protocol.session import SessionConfig
from azure_rt_audio.protocol.tools import FunctionTool

LOUD = base64.b64encode(b"\x00\x40\x00\xc0" * 1200).decode()  # 100 ms
QUIET = base64.b64encode(bytes(4800)).decode()
OURS = ResponseConfig(metadata={"asked_by": "program"})
LOOKUP = FunctionTool(name="lookup", parameters={"type": "object", "properties": {}})
Message = dict[str, Any]


class SimulatedSession:
    """
    One session of a client with the service.

    Args:
        seed: Of all chance: ids, and the jitter of the network.
        latency: Seconds that a message takes each way, and by how much they vary.
        fault: Given each message of the service, what arrives in its place, each with seconds of delay.
        vad: Turn detection, as the client asks for it; ``None`` for none.
        answer_chunks: Of 100 ms, that each spoken answer has.
        tools: Whether the model has a tool, which it calls if asked to.

    Attributes:
        now: Seconds of both clocks.
        log: What was sent (``">"``) and received (``"<"``), with its time, as either side saw it.
        errors: What listeners of errors were told.
        handles: Of all that was asked for.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        latency: tuple[float, float] = (0.06, 0.03),
        fault: Callable[[Message], Iterable[tuple[float, Message]]] = lambda event: ((0.0, event),),
        vad: Message | None = None,
        answer_chunks: int = 6,
        tools: bool = False,
        **options: Any,
    ) -> None:
        self.now = 1000.0
        self.chance = random.Random(seed)
        self.log: list[tuple[float, str, Message]] = []
        self.errors: list[Any] = []
        self.handles: list[PendingResponse] = []
        self._fault = fault
        self._up: Line[bytes] = Line(*latency, self.chance)
        self._down: Line[Message] = Line(*latency, self.chance)
        self._alarm = float("inf")
        self._plans: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._heard = itertools.count(1)
        self.service = SessionEngine(
            Behaviour(
                responder=self._respond,
                recogniser=lambda pcm, session: self.words(),
                synthesiser=lambda text, session: iter([bytes(4800)] * answer_chunks),
                pace=1.0,
                first_delay=0.1,
                seed=seed,
            ),
            now=self.now,
        )
        self.engine = Engine(
            AzureRealTimeOptions(
                host_name="localhost",
                deployment="my-deployment",
                api_key="none",
                session_config=SessionConfig(turn_detection=vad, tools=[LOOKUP] if tools else []),
                **options,
            ),
            WebSocketOptions(),
            None,
            InlineDispatcher(),
            lambda: self.now,
        )
        inline = self.engine.dispatcher
        self.engine.listeners.add(event_filter("error"), self.errors.append, inline, once=False)
        attempts = self.engine.attempts
        alarm = weakref.WeakMethod(self._set_alarm)  # a finalizer holds the thread's object
        attempts._io_thread.set_alarm = lambda when: (call := alarm()) and call(when)  # type: ignore[method-assign]
        attempts.call_in = self.engine.response_queue._call_in = self._set_alarm
        attempts.current.connection.send = self._send  # type: ignore[method-assign]
        attempts.current.connection.send_together = self._send_together  # type: ignore[method-assign]
        attempts._opened(1)

    # ------------------------------------------------------------ the user and the program

    def words(self) -> str:
        """Return what the user has said."""
        return f"spoken {next(self._heard)}"

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something so many seconds from now."""
        self._plans.append((self.now + seconds, next(self._numbers), act))

    def speak(self, seconds: float, *, tail: int = 9) -> None:
        """The user speaks for so long; then come *tail* times 100 ms of a quiet room."""
        chunks = [LOUD] * round(seconds * 10) + [QUIET] * tail
        for index, audio in enumerate(chunks):
            self.at(index * 0.1, lambda audio=audio: self.append(audio))

    def append(self, audio: str) -> None:
        """Send 100 ms of sound."""
        self.engine.audio_input.append(audio, None, None)

    def commit(self) -> None:
        """End a turn by hand."""
        self.engine.raw_commands.send({"type": "input_audio_buffer.commit"})

    def request(self, **facts: Any) -> PendingResponse:
        """Ask for a response, which is marked as the program's."""
        return self._keep(self.engine.response_queue.request(OURS, may_wait=True, owner=None, **facts))

    def ask(self, text: str) -> PendingResponse:
        """Ask a question."""
        item = MessageItem(role="user", content=[ContentPart(type="input_text", text=text)])
        return self._keep(self.engine.questions.ask(item, OURS, None))

    def _keep(self, handle: PendingResponse) -> PendingResponse:
        self.handles.append(handle)
        return handle

    def answer_call(self, event: ResponseFunctionCallArgumentsDone | FunctionCallItem) -> PendingResponse:
        """Send a tool's result, and ask for what the model makes of it."""
        item = FunctionCallOutputItem(call_id=event.call_id, output="done")
        self.engine.sender.send(ConversationItemCreate(item=item))
        return self.request()

    # ------------------------------------------------------------ time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            self._work()
            moments = [self._up.due, self._down.due, self.service.next_due(), self._alarm]
            moments += [plan[0] for plan in self._plans]
            due = min(moment for moment in moments if moment is not None)
            if due > end:
                self.now = end
                return
            self.now = max(self.now, due)

    def run_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until something is so, for so long at most; return whether it is."""
        end = self.now + seconds
        while not is_done() and self.now < end:
            self.run(0.05)
        return is_done()

    def _work(self) -> None:
        for plan in sorted(plan for plan in self._plans if plan[0] <= self.now):
            self._plans.remove(plan)
            plan[2]()
        while (frame := self._up.take(self.now)) is not None:
            self.log.append((self.now, "service <", orjson.loads(frame)))
            self.service.receive(frame.decode(), self.now)
        while (event := self.service.pull(self.now)) is not None:
            assert not isinstance(event, Close)
            self.log.append((self.now, "service >", event))
            for delay, message in self._fault(event):
                if delay:
                    self.at(delay, lambda message=message: self._arrive(message))
                else:
                    self._down.put(message, self.now)
        while (event := self._down.take(self.now)) is not None:
            self._arrive(event)
        if self.now >= self._alarm:
            self._alarm = float("inf")
            seconds = self.engine.attempts._check()
            if seconds is not None:
                self._set_alarm(seconds)

    def _arrive(self, event: Message) -> None:
        self.log.append((self.now, "<", event))
        self.engine.apply(orjson.dumps(event))

    def _send_together(self, payloads: Sequence[bytes], timeout: float | None = None) -> None:
        for payload in payloads:
            self._send(payload)

    def _send(self, payload: bytes, timeout: float | None = None, **facts: Any) -> None:
        message = orjson.loads(payload)
        self.log.append((self.now, ">", message))
        self._up.put(bytes(payload), self.now)

    def _send_together(self, payloads: Sequence[bytes], timeout: float | None = None) -> None:
        for payload in payloads:
            self._send(payload)

    def _set_alarm(self, seconds: float) -> None:
        self._alarm = min(self._alarm, self.now + seconds)

    # ------------------------------------------------------------ what happened

    def messages(self, side: str, kind: str) -> list[tuple[float, Message]]:
        """The messages of one type that one side sent or received, with their times."""
        return [
            (when, message) for when, where, message in self.log if where == side and message["type"] == kind
        ]

    @staticmethod
    def _respond(conversation: Conversation, session: Session) -> Answer:
        """Say back what was said last; call a tool if asked for one."""
        last = conversation.items[-1] if len(conversation) else None
        if last is not None and "tool" in last.text and session.tools:
            return FunctionCall("lookup", {}, call_id=f"call_{len(conversation)}")
        return f"answer to {conversation.last_user_text}"
