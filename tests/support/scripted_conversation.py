"""
A conversation of twelve turns, by a program written as if connections were eternal, and what must be true.

Speech says what it is: each sample holds its index, and the service's recogniser reads turn and completeness
from them. Each answer says what it answers. So the conversation that the service has in the end shows by its
words what was lost, doubled or disordered on the way.
"""

from __future__ import annotations

import array
import functools
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from listeners import message

from azure_rt_audio import AzureRealTimeAudio, RealtimeError, ResponseLostError, TranscriptionFailedError
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Item, Session
from azure_rt_audio.emulator.model.replies import Answer

__all__ = [
    "SESSION",
    "TURNS",
    "Outcome",
    "Program",
    "describe",
    "recognise",
    "respond",
    "speech",
    "synthesise",
]

VAD: dict[str, Any] = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 100}
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "lookup",
    "parameters": {"type": "object", "properties": {}},
}
SESSION: dict[str, Any] = {
    "turn_detection": VAD,
    "tools": [TOOL],
    "input_audio_transcription": {"model": "gpt-4o-transcribe"},
}
BOUND = 30.0
"""Seconds that anything may take, reconnecting included."""

_TOLD_BOUND = 2.0
_SAMPLES = 7_200  # of a spoken turn: 300 ms
_LOUDNESS = 8_000  # of the first sample of turn 0
_APART = 500  # between the first samples of one turn and the next
_CHUNK = 4_800  # 200 ms
_FOLLOWS = 12_000  # samples of silence behind a spoken turn: 500 ms
_LONG = "say " + " ".join(f"w{index}" for index in range(40))


# ---------------------------------------------------------------- the service's parts


@functools.cache
def speech(turn: int) -> bytes:
    """PCM16, 24 000 Hz: a spoken turn, whose samples count up, with the sign of a 500 Hz tone."""
    first = _LOUDNESS + turn * _APART
    samples = ((first + index) * (1 if index // 24 % 2 else -1) for index in range(_SAMPLES))
    return array.array("h", samples).tobytes()


def recognise(pcm: bytes, session: Session) -> str:
    """Return ``"spoken 3"`` for the third turn, whole and in order; else what is wrong with it."""
    heard = [abs(sample) for sample in array.array("h", pcm) if sample]
    if not heard:
        return "broken: silence"
    turn, rest = divmod(heard[0] - _LOUDNESS, _APART)
    if rest == 0 and heard == list(range(heard[0], heard[0] + _SAMPLES)):
        return f"spoken {turn}"
    jumps = sum(1 for one, two in itertools.pairwise(heard) if two != one + 1)
    return f"broken: {len(heard)} samples from {heard[0]} to {heard[-1]}, {jumps} jumps"


def respond(conversation: Conversation, session: Session) -> Answer:
    """Say what the instructions say; or what was last said, or the tool; call the tool if asked to."""
    if session.instructions.startswith("say "):
        return session.instructions[4:]
    last = conversation.items[-1] if len(conversation) else None
    if last is not None and last.type == "function_call_output":
        return f"the tool says {last.output}"
    if last is not None and " returned: " in last.text:  # the same, restored as a text
        return f"the tool says {last.text.partition(' returned: ')[2]}"
    if "tool" in conversation.last_user_text:
        return FunctionCall("lookup", {}, call_id="call_5")
    return f"answer to {conversation.last_user_text}"


def synthesise(text: str, session: Session) -> Iterator[bytes]:
    """100 ms for each word."""
    yield from [b"\x00\x10" * 2400] * len(text.split())


def describe(item: Item) -> tuple[str, str]:
    """Return what an item is, and its words."""
    if item.type == "message":
        return str(item.role), item.text
    if item.type == "function_call":
        return "call", f"{item.name} {item.call_id}"
    return item.type, item.output


# ---------------------------------------------------------------- the program


@dataclass
class Outcome:
    """
    What became of a run.

    Attributes:
        failures: What must not be; empty if all is well.
        told: What was lost, and the program was told: by an error, or by ``Reconnected``.
        gaps: Seconds without a connection, but for planned swaps.
        seconds: Of the whole run.
    """

    failures: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    cuts: int = 0
    reconnects: int = 0
    planned: int = 0
    seconds: float = 0.0


class Program:
    """
    The program; :meth:`run` takes its turns.

    Args:
        client: Whose session is :data:`SESSION`.
        has_delta_listener: Whether it shows texts while they come.
        between: Called between two turns.
    """

    def __init__(
        self,
        client: AzureRealTimeAudio,
        *,
        has_delta_listener: bool = False,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self.client = client
        self._shows_deltas = has_delta_listener
        self._between = between
        self.outcome = Outcome()
        self.lost_answers: set[str] = set()
        self.answers: list[str] = []
        self.untranscribed: set[str | None] = set()
        self.reconnected: list[Any] = []
        self.reconnecting: list[Any] = []
        self.seen: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[str] = Counter()
        self._waited: list[str] = []
        self._changed = threading.Condition()
        for name in _WATCHED:
            client.on(name, self._note)
        for name, kept in (("reconnecting", self.reconnecting), ("reconnected", self.reconnected)):
            client.on(name, lambda event, kept=kept: self._keep(event, kept))
        client.on("error", self._on_error)
        if has_delta_listener:
            client.on("response.output_audio_transcript.delta", lambda event: None)

    def run(self) -> Outcome:
        """Take all turns; whatever goes wrong is in the outcome."""
        began = time.monotonic()
        for number, turn in enumerate(TURNS, 1):
            self._between()
            try:
                turn(self, number)
            except ResponseLostError as exc:
                if not self._shows_deltas and turn not in _HEARD:
                    self._fail(f"turn {number}: {exc}, although nothing was heard of it")
                self.outcome.told.append(f"turn {number}: {exc}"[:200])
                self.lost_answers |= {words for words, owner in _ANSWERS.items() if owner == number}
            except Exception as exc:  # noqa: BLE001 - an outcome
                self._fail(f"turn {number} ({turn.__name__}): {exc!r}"[:600])
        self.outcome.seconds = time.monotonic() - began
        self.outcome.gaps = [event.gap_s for event in self.reconnected if not event.is_planned]
        self.outcome.planned = sum(event.is_planned for event in self.reconnected)
        self.outcome.reconnects = len(self.reconnected)
        return self.outcome

    def _on_error(self, error: RealtimeError) -> None:
        """Take the error that tells of a lost transcript; there is to be no other one."""
        if isinstance(error, TranscriptionFailedError) and error.code == "connection_lost":
            self.untranscribed.add(error.item_id)
        else:
            self._fail(f"error event: {error!r}")

    # ------------------------------------------------------------ the turns

    def text(self, number: int) -> None:
        self._answered(
            self.client.ask(f"question {number}", timeout=BOUND).text, f"answer to question {number}"
        )

    def voice(self, number: int) -> None:
        with self._changed:
            known = {about for kind, about in self.seen if kind == "response.created"}
        self._speak(number)
        wanted = f"answer to spoken {number}"
        deadline, is_told = time.monotonic() + BOUND, False
        with self._changed:
            while wanted not in self.answers:
                if not is_told and self._has_lost_other_than(known):
                    deadline, is_told = min(deadline, time.monotonic() + _TOLD_BOUND), True
                if not self._changed.wait(deadline - time.monotonic()):
                    break
        if wanted not in self.answers:
            if not is_told:
                raise AssertionError(f"there was no {wanted!r}")
            self.outcome.told.append(f"turn {number}: not answered")
            self.lost_answers.add(wanted)

    def _has_lost_other_than(self, known: set[str]) -> bool:
        """Whether a response was lost that is not one of these: those of earlier turns may be told late."""
        lost = {key for event in self.reconnected for key, what in event.responses.items() if what == "lost"}
        return bool(lost - known)

    def stream(self, number: int) -> None:
        self._create(f"question {number}")
        pending = self._handle(None, f"stream {number}")
        self._answered("".join(pending.text(BOUND)), f"answer to question {number}")

    def push_to_talk(self, number: int) -> None:
        self._future(self.client.update_session({"turn_detection": None}), "update").result(BOUND)
        self._speak(number, follows=0)
        self._future(self.client.commit_audio(), "commit").result(BOUND)
        self._answered(self._handle(None, "push").result(BOUND).text, f"answer to spoken {number}")

    def tool(self, number: int) -> None:
        response = self.client.ask("use the tool", timeout=BOUND)
        (call,) = response.function_calls
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
        self._future(self.client.create_conversation_item(output), "output").result(BOUND)
        self._answered(self._handle(None, "tool").result(BOUND).text, "the tool says 42")

    def interruption(self, number: int) -> None:
        pending = self._handle({"instructions": _LONG}, "long")
        next(pending.audio(BOUND))
        pending.cancel()
        response = pending.result(BOUND)
        self._future(self.client.truncate_item(response.output[0].id, 0, 100), "truncate").result(BOUND)

    def out_of_band(self, number: int) -> None:
        config = {"conversation": "none", "instructions": f"say aside {number}"}
        self._answered(self._handle(config, "aside").result(BOUND).text, f"aside {number}")

    def update(self, number: int) -> None:
        changed = {"instructions": f"Be brief {number}.", "turn_detection": VAD}
        self._future(self.client.update_session(changed), "update").result(BOUND)

    def delete(self, number: int) -> None:
        self._create(f"mistake {number}", id="item_mistake")
        self._create(f"question {number}")
        self._future(self.client.delete_item("item_mistake"), "delete").result(BOUND)

    def insert(self, number: int) -> None:
        note = {**message(f"note {number}"), "id": "item_note"}
        note = {**note, "role": "system"}
        first = self.client.conversation.entries[0].item.id
        self._future(self.client.create_conversation_item(note, first), "insert").result(BOUND)

    def queue(self, number: int) -> None:
        handles = [self._handle({"instructions": f"say queued {letter}"}, letter) for letter in "ab"]
        for letter, handle in zip("ab", handles, strict=True):
            try:
                self._answered(handle.result(BOUND).text, f"queued {letter}")
            except ResponseLostError as exc:
                if not self._shows_deltas:
                    self._fail(f"queued {letter}: {exc}, although nothing was heard of it")
                self.lost_answers.add(f"queued {letter}")
                self.outcome.told.append(f"turn {number}: {exc}"[:200])

    # ------------------------------------------------------------ what turns have in common

    def _speak(self, number: int, follows: int = _FOLLOWS) -> None:
        sound = speech(number) + bytes(2 * follows)
        for start in range(0, len(sound), 2 * _CHUNK):
            self.client.append_audio(sound[start : start + 2 * _CHUNK])

    def _create(self, text: str, **fields: Any) -> None:
        self._future(self.client.create_conversation_item({**message(text), **fields}), text).result(BOUND)

    def _handle(self, config: dict[str, Any] | None, name: str) -> Any:
        return self.client.create_response(config)

    def _future(self, future: Any, name: str) -> Any:
        key = f"{name} {len(self._waited)}"
        self._waited.append(key)
        future.add_done_callback(lambda done: self.ended.update([key]))
        return future

    def _answered(self, text: str, wanted: str) -> None:
        if text != wanted:
            raise AssertionError(f"answered {text!r}, not {wanted!r}")

    # ------------------------------------------------------------ listeners

    def _note(self, event: Any) -> None:
        response, item = getattr(event, "response", None), getattr(event, "item", None)
        about = getattr(response or item, "id", None) or getattr(event, "item_id", None) or ""
        with self._changed:
            self.seen[event.type, str(about)] += 1
            if event.type == "response.done" and response.status == "completed":
                self.answers.append(response.text)
            self._changed.notify_all()

    def _keep(self, event: Any, kept: list[Any]) -> None:
        with self._changed:
            kept.append(event)
            self._changed.notify_all()

    def _fail(self, what: str) -> None:
        self.outcome.failures.append(what)

    # ------------------------------------------------------------ what must be true in the end

    def check(self, service: Emulator) -> None:
        """Look at what the service has, after the client was closed."""
        fail = self._fail
        # Not always the last one: that may have been prepared to take over.
        last = next(link for link in service.connections if link._engine.session.id == self.client.session.id)
        conversation = last._engine.conversation
        actual = [one for item in conversation for one in _as_calls(describe(item))]
        problems = differences(actual, self._excused(service))
        if problems:
            fail("; ".join(problems[:3]) + f". It has: {actual}")
        for (kind, about), times in self.seen.items():
            if times > 1:
                fail(f"{kind} of {about!r} was heard {times} times")
        for key in self._waited:
            if self.ended[key] != 1:
                fail(f"the future of {key!r} ended {self.ended[key]} times")
        for connection in service.connections:
            for item in connection._engine.conversation:
                if item.text.startswith("broken"):
                    fail(f"a turn of connection {connection.number} is {item.text}")
        session = last._engine.session
        if session.instructions != "Be brief 8." or session.turn_detection is None:
            fail(f"the last session is not as asked for: {session.instructions[:40]!r}")

    def _excused(self, service: Emulator) -> set[str]:
        """The words of what was told to be lost or shortened."""
        words = set(self.lost_answers)
        by_id: dict[str, str] = {}
        of_response: dict[str, list[str]] = {}
        for connection in service.connections:
            for item in connection._engine.conversation:
                by_id.setdefault(item.id, describe(item)[1])
        for event in service.sent("response.output_item.added"):
            of_response.setdefault(event["response_id"], []).append(event["item"]["id"])
        for event in self.reconnected:
            named = [*event.lost, *event.shortened]
            named += [item for response in event.responses for item in of_response.get(response, ())]
            for item_id in named:
                said = by_id.get(item_id, "")
                # A whole answer has the words that any part of it begins with.
                words |= {whole for _, whole in EXPECTED if said and whole.startswith(said)}
            self.outcome.told += [f"lost {item_id}: {why}" for item_id, why in event.lost.items()]
            for item_id, why in event.lost.items():
                if why not in _REASONS:
                    self._fail(f"{item_id}, {by_id.get(item_id)!r}, was lost: {why}")
            self.outcome.told += [f"shortened {item_id}: {why}" for item_id, why in event.shortened.items()]
        named = [item_id for event in self.reconnected for item_id in (*event.lost, *event.shortened)]
        for item_id in self.untranscribed.difference(named):
            self._fail(f"no reconnection names {item_id}, whose transcript was lost")
        return words


TURNS: tuple[Callable[[Program, int], None], ...] = (
    Program.text,
    Program.voice,
    Program.stream,
    Program.push_to_talk,
    Program.tool,
    Program.interruption,
    Program.out_of_band,
    Program.update,
    Program.voice,
    Program.delete,
    Program.insert,
    Program.queue,
)

_HEARD = (Program.stream, Program.interruption)  # the program has some of these answers before their end
_REASONS = {
    "nothing of it was heard",  # of an answer that is asked for again, or that was interrupted
    "it has no transcript",
}
_INTERRUPTED = ("assistant", _LONG[4:])
EXPECTED: list[tuple[str, str]] = [
    ("user", "question 1"),
    ("system", "note 11"),
    ("assistant", "answer to question 1"),
    ("user", "spoken 2"),
    ("assistant", "answer to spoken 2"),
    ("user", "question 3"),
    ("assistant", "answer to question 3"),
    ("user", "spoken 4"),
    ("assistant", "answer to spoken 4"),
    ("user", "use the tool"),
    ("call", "lookup call_5"),
    ("function_call_output", "42"),
    ("assistant", "the tool says 42"),
    _INTERRUPTED,
    ("user", "spoken 9"),
    ("assistant", "answer to spoken 9"),
    ("user", "question 10"),
    ("assistant", "queued a"),
    ("assistant", "queued b"),
]
_ANSWERS = {
    "answer to question 1": 1,
    "answer to spoken 2": 2,
    "answer to question 3": 3,
    "answer to spoken 4": 4,
    "lookup call_5": 5,
    "42": 5,
    "the tool says 42": 5,
    _INTERRUPTED[1]: 6,
    "answer to spoken 9": 9,
}
_WATCHED = (
    "init",
    "closed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.deleted",
    "conversation.item.truncated",
    "conversation.item.input_audio_transcription.completed",
    "input_audio_buffer.committed",
    "response.created",
    "response.done",
    "response.function_call_arguments.done",
)


_TEXTS = {
    "The function lookup was called with {} and returned: 42": EXPECTED[10:12],
    "The function lookup was called with {} and has not returned yet.": EXPECTED[10:11],
    "The function lookup returned: 42": EXPECTED[11:12],
}


def _as_calls(described: tuple[str, str]) -> list[tuple[str, str]]:
    """Return what an item stands for: texts for function calls that the service refused to take back."""
    return _TEXTS.get(described[1], [described])


def differences(actual: list[tuple[str, str]], excused: set[str]) -> list[str]:
    """Compare with the conversation of an uncut run; what is excused may be shorter, or missing."""
    found: list[str] = []
    left = list(actual)
    for role, words in EXPECTED:
        may_differ = words in excused or (role, words) == _INTERRUPTED
        if (
            left
            and left[0][0] == role
            and (left[0][1] == words or (may_differ and words.startswith(left[0][1])))
        ):
            left.pop(0)
        elif not may_differ:
            found.append(f"the service lacks {role} {words!r}; there is {left[:1]}")
    found += [
        f"the service has {role} {words!r}, which is too much or in another place" for role, words in left
    ]
    return found
