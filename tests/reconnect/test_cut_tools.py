"""
Tools go on running over whatever happens to the connection, and their results reach the new one.

A client asks for what needs several rounds of slow calls, over a network of 60 ± 30 ms that is cut at random.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from cutting_proxy import Cut, CuttingProxy
from listeners import HANG, NO_VAD

from azure_rt_audio import AzureRealTimeAudio, ReconnectPolicy, ToolContext
from azure_rt_audio.emulator import (
    Close,
    Conversation,
    Delay,
    Drop,
    Emulator,
    Faults,
    FunctionCall,
    Reply,
    Session,
    before,
    on_command,
)

POLICY = ReconnectPolicy(initial_delay=0.05, max_delay=0.5, max_seconds=20)
KINDS = ("reset", "end", "1011")
BOUND = 4 * HANG
_RETURNED = re.compile(r"returned: (found .+)")


def results(conversation: Conversation) -> Iterator[str]:
    """What the model knows from tools since the user's last words; also what was restored as a text."""
    items = list(conversation.items)
    last = max((n for n, item in enumerate(items) if item.role == "user"), default=0)
    for item in items[last:]:
        if item.type == "function_call_output":
            yield item.output
        elif (found := _RETURNED.search(item.text)) is not None:
            yield found[1]


def respond(conversation: Conversation, session: Session) -> Reply | str:
    """Call two tools, then one more, then tell all results."""
    known = sorted(results(conversation))
    rounds = re.findall(r"(\d+) and (\d+), then (\d+)", conversation.last_user_text)
    if not rounds:
        return f"answer to {conversation.last_user_text}"
    first, then = rounds[0][:2], rounds[0][2:]
    missing = [n for n in first if f"found {n}" not in known] or [
        n for n in then if f"found {n}" not in known
    ]
    return Reply(calls=[FunctionCall("find", {"number": int(n)}) for n in missing]) if missing else str(known)


@dataclass
class Run:
    """What became of one run."""

    seed: int
    cuts: int
    answers: list[str]
    errors: list[Any]
    calls: Counter[int]
    left: list[str]
    repeated: list[str]


def run(seed: int, dialect: str = "ga") -> Run:
    """Ask twice over a connection that is cut up to three times."""
    chance = random.Random(seed)
    calls: Counter[int] = Counter()
    lock, never = threading.Lock(), threading.Event()

    def find(number: int, context: ToolContext) -> str:
        with lock:
            calls[number] += 1
            seconds = chance.choice((0.0, 0.1, 0.6)) * chance.random()
        never.wait(seconds)
        return f"found {number}"

    cuts = [
        Cut(chance.choice(KINDS), direction, chance.randrange(3, 9 if direction == "up" else 60))
        for direction in (chance.choice(("up", "down")) for _ in range(chance.randrange(1, 4)))
    ]
    errors: list[Any] = []
    with Emulator(responder=respond, pace=0) as service:

        def on_cut(how: str, number: int) -> None:
            service.connections[-1].perform(Close(int(how), ""))

        with CuttingProxy(service.port, *cuts, on_cut=on_cut, seed=seed) as proxy:
            session = {**NO_VAD, "modalities": ["text"]}
            options = service.options(
                dialect, host_name=f"ws://localhost:{proxy.port}", session_config=session
            )
            with AzureRealTimeAudio(options, tools=[find], reconnect=POLICY) as client:
                client.on("error", errors.append)
                answers = [
                    client.ask(f"find {n} and {n + 1}, then {n + 2}", timeout=BOUND).text for n in (1, 4)
                ]
                id_now = client.session.id if client.session is not None else None
            happened = len(proxy.happened)
        last = next(link for link in service.connections if link._engine.session.id == id_now)
        items = list(last._engine.conversation)
    outputs = Counter(item.call_id for item in items if item.type == "function_call_output")
    called = [item.call_id for item in items if item.type == "function_call"]
    left = [call_id for call_id in called if not outputs[call_id]]
    return Run(seed, happened, answers, errors, calls, left, [c for c, n in outputs.items() if n > 1])


def failures(seeds: list[int]) -> Iterator[str]:
    """Run these, eight at a time, and tell what must not be."""
    with ThreadPoolExecutor(8) as pool:
        dialects = itertools.cycle(("ga", "preview"))
        for seed, future in [(s, pool.submit(run, s, next(dialects))) for s in seeds]:
            try:
                done = future.result()
            except Exception as exc:  # noqa: BLE001 - what must not be
                yield f"seed {seed}: {exc!r}"
                continue
            expected = ["['found 1', 'found 2', 'found 3']", "['found 4', 'found 5', 'found 6']"]
            if done.answers != expected or done.errors or done.left or done.repeated:
                yield str(done)


def test_results_reach_the_next_connection(
    effort: float, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each question has its final answer, each call its one output, and nobody hears of a refusal."""
    caplog.set_level(logging.CRITICAL, "azure_rt_audio")
    drawn = random.Random(seed).sample(range(10_000), max(1, round(6 * effort)))

    assert list(failures([0, 9, *drawn])) == []  # 0: an answer is lost; 9: a response whose calls run


@pytest.mark.parametrize("is_late", [False, True], ids=["between two connections", "on the next one"])
def test_a_tool_during_which_the_connection_is_lost(is_late: bool, dialect: str) -> None:
    """It is not run again; its result goes to the next connection, and is answered there."""
    ran: list[int] = []
    connected = threading.Event()
    lost = threading.Event()

    def find(number: int) -> str:
        ran.append(number)
        if number == 1:
            service.connections[-1].perform(Drop())
            assert lost.wait(HANG)
            if is_late:
                assert connected.wait(HANG)
        return f"found {number}"

    with Emulator(responder=respond, pace=0) as service:
        options = service.options(dialect, session_config={**NO_VAD, "modalities": ["text"]})
        with AzureRealTimeAudio(options, tools=[find], reconnect=POLICY) as client:
            client.on("reconnecting", lambda event: lost.set())
            client.on("reconnected", lambda event: connected.set())
            text = client.ask("find 1 and 2, then 3", timeout=BOUND).text
        assert len(service.connections) == 2

    assert text == "['found 1', 'found 2', 'found 3']"
    assert sorted(ran) == [1, 2, 3]


def test_a_result_does_not_come_between_a_question_and_its_request(dialect: str) -> None:
    """A connection is lost with a result that was sent after them: each of two askers gets the own answer."""
    is_asked = threading.Event()

    def respond_to_last(conversation: Conversation, session: Session) -> Reply | str:
        last = conversation.items[-1]
        if last.type == "function_call_output":
            return f"the result: {last.output}"
        return FunctionCall("find", {"number": 1}) if last.text == "find" else f"answer to {last.text}"

    def find(number: int) -> str:
        assert is_asked.wait(HANG)
        return f"found {number}"

    faults = Faults(
        before("response.created", Delay(0.2), count=2),
        on_command("conversation.item.create", Drop(), count=3),
    )
    with Emulator(responder=respond_to_last, pace=0, faults=faults) as service, ThreadPoolExecutor(2) as pool:
        options = service.options(dialect, session_config={**NO_VAD, "modalities": ["text"]})
        with AzureRealTimeAudio(options, tools=[find], reconnect=POLICY) as client:
            with client.events("tool_started", timeout=HANG) as started:
                found = pool.submit(client.ask, "find", timeout=BOUND)
                next(started)
            answer = pool.submit(client.ask, "this", timeout=BOUND)
            service.wait_for_command("response.create", HANG, count=2)
            is_asked.set()

            assert found.result(BOUND).text == "the result: found 1"
            assert answer.result(BOUND).text == "answer to this"
        assert len(service.connections) == 2
