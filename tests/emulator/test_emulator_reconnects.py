"""What a client meets that connects again: the age of sessions, clocks, tokens, and how items come back."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
from typing import Any

import pytest
from emulator_session import Bench, joined, only
from listeners import HANG
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from azure_rt_audio.emulator import Emulator, Faults, ManualClock, Refuse, SystemClock, at_handshake

CALL = {"type": "function_call", "id": "item_call", "call_id": "call_1", "name": "lookup", "arguments": "{}"}


def dial(service: Emulator, credential: str = "emulator-key") -> ClientConnection:
    headers = {"Authorization": f"Bearer {credential}"}
    return connect(service.url(), additional_headers=headers, open_timeout=HANG)


def refusal(service: Emulator, credential: str = "emulator-key") -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught, dial(service, credential):
        pass
    return caught.value


def test_the_date_is_that_of_the_service_s_clock() -> None:
    """So the age of a session can be told from it and ``expires_at``, however wrong either clock is."""
    faults = Faults(session_seconds=120)
    with Emulator(clock=SystemClock(offset=3600), faults=faults) as service, dial(service) as client:
        assert client.response is not None
        dates = client.response.headers.get_all("Date")
        created = json.loads(client.recv(timeout=HANG))["session"]
    shown = email.utils.parsedate_to_datetime(dates[0]).timestamp()

    assert len(dates) == 1
    assert shown == pytest.approx(time.time() + 3600, abs=10)
    assert created["expires_at"] == pytest.approx(shown + 120, abs=2)


def test_a_token_is_accepted_until_it_expires() -> None:
    """Then it is refused in the words for old ones, also where no session is opened; others are not."""
    clock = ManualClock()
    tokens = {"short": clock.time() + 60, "long": clock.time() + 600}
    with Emulator(tokens=tokens, clock=clock) as service:
        with dial(service, "short"):
            pass
        clock.advance(61)
        old, unknown = refusal(service, "short").response, refusal(service, "other").response
        with dial(service, "long"):
            pass
        rest = http.client.HTTPConnection("127.0.0.1", service.port, timeout=HANG)
        rest.request("POST", "/openai/v1/realtime/client_secrets", headers={"authorization": "Bearer short"})
        status = rest.getresponse().status
        rest.close()

    assert (old.status_code, status) == (401, 401)
    assert old.body is not None
    assert unknown.body is not None
    assert "have expired" in json.loads(old.body)["message"]
    assert "invalid subscription key" in json.loads(unknown.body)["error"]["message"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [("token", "a single string"), ([1], "1 is no string"), ({"t": "soon"}, "end of one is 'soon'")],
)
def test_tokens_that_are_none(tokens: Any, message: str) -> None:
    """They are refused without being shown."""
    with pytest.raises(TypeError, match=message):
        Emulator(tokens=tokens)


def test_a_service_that_is_busy_and_then_well() -> None:
    """Refused twice with 503, once with 429 and its time, the fourth attempt is accepted."""
    faults = Faults(at_handshake(Refuse(503), times=2), at_handshake(Refuse(429, retry_after_ms=1500)))
    with Emulator(faults=faults) as service:
        # Both rules hold for the first handshake, and the last one wins.
        answers = [refusal(service).response for _ in range(2)]
        with dial(service):
            pass

    assert [answer.status_code for answer in answers] == [429, 503]
    assert answers[0].headers["retry-after"] == "2"
    assert answers[0].headers["retry-after-ms"] == "1500"


def test_a_service_that_restarts_on_its_port() -> None:
    """It listens again where its clients were."""
    with Emulator() as first, dial(first) as client:
        kinds = [json.loads(client.recv(timeout=HANG))["type"]]
        first.stop()
        with Emulator(port=first.port) as second, dial(second) as again:
            kinds.append(json.loads(again.recv(timeout=HANG))["type"])

    assert kinds == ["session.created"] * 2


def first_ids(seed: int) -> list[str]:
    """Return ids of the events that three connections begin with, one after the other."""
    ids: list[str] = []
    with Emulator(seed=seed) as service:
        for _ in range(3):
            with dial(service) as client:
                created = json.loads(client.recv(timeout=HANG))
                ids += (created["event_id"], created["session"]["id"])
    return ids


def test_a_seed_gives_each_connection_its_own_ids() -> None:
    """The same from run to run; a client that connects again is not given those that it has already."""
    ids = first_ids(1)

    assert len(set(ids)) == len(ids)
    assert first_ids(1) == ids
    assert set(ids).isdisjoint(first_ids(2))


def test_ids_of_another_session_are_not_taken(dialect: str) -> None:
    """Items with such ids come in order under new ones, the client's own keep theirs."""
    theirs = Bench(dialect, seed=8).user("one")["id"]
    bench, made = Bench(dialect, renames_items=True), []
    for name in (theirs, "item_mine"):
        item = {
            "type": "message",
            "id": name,
            "role": "user",
            "content": [{"type": "input_text", "text": "?"}],
        }
        made.append(bench.tell("conversation.item.create", item=item)[0]["item"]["id"])
    error = bench.error("conversation.item.delete", item_id=theirs)

    assert made[0] != theirs
    assert made[1] == "item_mine"
    assert error["code"] == "item_delete_invalid_item_id"
    assert [item.id for item in bench.engine.conversation] == made


def test_calls_that_may_not_be_created(dialect: str) -> None:
    """The call is refused, and so is its output, for want of the call."""
    bench = Bench(dialect, refuses_calls=True)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "1"}

    assert bench.error("conversation.item.create", item=CALL)["param"] == "item.type"
    assert bench.error("conversation.item.create", item=output)["code"] == "invalid_tool_call_id"
    assert list(bench.engine.conversation) == []


def test_a_restored_answer_may_keep_the_model_from_speaking(dialect: str) -> None:
    """After an answer that was created as text the next one is only written, until one has been spoken."""
    bench = Bench(dialect, writes_on=True, responder=lambda *_: "Certainly.")
    kind = "text" if dialect == "preview" else "output_text"
    answer = {"type": "message", "role": "assistant", "content": [{"type": kind, "text": "I am well."}]}
    bench.user("How are you?")
    spoken = bench.tell("response.create")
    bench.tell("conversation.item.delete", item_id=only(spoken, "response.output_item.done")["item"]["id"])
    bench.tell("conversation.item.create", item=answer)
    written = bench.tell("response.create")

    assert joined(spoken, "response.output_audio.delta")
    assert joined(written, "response.output_text.delta") == "Certainly."
    assert joined(written, "response.output_audio.delta") == ""
