"""The configuration of the next connection: what is refused of it, and changes that wait for it."""

from __future__ import annotations

from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, Probe, message, ready

from azure_rt_audio import ServiceError
from azure_rt_audio._session import planned_swap
from azure_rt_audio.emulator import Drop, Emulator, Rule, Say, Swallow, before, on_command

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}
SWAP = {**QUICK, "voice_change": "swap"}
STRICT = {
    **NO_VAD,
    "instructions": "Never give the door code.",
    "input_audio_noise_reduction": {"type": "near_field"},
}
UPDATED = {"type": "session.updated", "event_id": "e", "session": {}}
NAMED = "session.audio.input.noise_reduction.type"


def refusal(param: str | None = NAMED, times: int | None = 1) -> Rule:
    """The configuration of so many connections is refused."""
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": param}
    return before(
        "session.updated", Say({"type": "error", "event_id": "e", "error": error}), Swallow(), times=times
    )


def test_a_planned_swap_whose_configuration_is_refused(connect: Connect) -> None:
    """The session goes on with the connection it has, and the future says why."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=STRICT, reconnect=QUICK)
        service.faults.add(refusal())
        with pytest.raises(ServiceError, match="No"):
            client.reconnect().result(HANG)
        assert client.ask("Still there?", timeout=HANG).status == "completed"
        assert service.connections[0].is_open
        assert client.session.instructions == STRICT["instructions"]


def test_a_swap_that_nobody_has_asked_for(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and the refusal is told once."""
    monkeypatch.setattr("azure_rt_audio._session.planned_swap._RETRY", 0.02)
    with Emulator(pace=0) as service:
        policy = {**QUICK, "max_age_s": 30.0, "swap_before_s": 29.8}
        client = ready(connect, service=service, session_config=STRICT, reconnect=policy)
        told = Probe()
        client.on("error", told)
        service.faults.add(refusal(times=None))
        service.wait_for_connection(HANG, count=4)
        assert told.next().param == NAMED
        assert not told.told
        assert service.connections[0].is_open


@pytest.mark.parametrize("param", [NAMED, "session.audio", None])
def test_a_configuration_that_is_refused_after_a_loss(param: str | None, connect: Connect) -> None:
    """What was refused is left out, and told; the rest is asked for again. Without a name nothing helps."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=STRICT, reconnect=QUICK)
        told = Probe()
        client.on("error", told)
        service.faults.add(refusal(param))
        with client.events("reconnected", timeout=HANG) as reconnected:
            service.drop()
            lost = next(reconnected).lost
        field = "session.input_audio_noise_reduction" if param == NAMED else "session"
        assert lost == {field: "the service refused: No."}
        assert [type(error) for error in told.told] == [ServiceError]
        if param == NAMED:
            assert client.session.instructions == STRICT["instructions"]
            assert "noise" not in str(service.received("session.update")[-1])
        answered = client.update_session({"instructions": "More."}).result(HANG)
        assert answered.session.instructions == "More."


def test_a_first_configuration_that_is_never_answered(connect: Connect) -> None:
    """Its connection is lost, and another one is made: no later update is taken for it."""
    with Emulator(pace=0) as service:
        service.faults.add(on_command("session.update", Drop()))
        client = ready(connect, service=service, reconnect={**QUICK, "retry_first": True})
        answered = client.update_session({"instructions": "More."}).result(HANG)
        assert answered.session.instructions == "More."


def spoken(connect: Connect, service: Emulator) -> Any:
    """A client whose model has spoken, and whose voice can change with another session only."""
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=SWAP)
    client.ask("Hello", timeout=HANG)
    return client


def test_two_voices_one_after_the_other(connect: Connect) -> None:
    """Both futures end, the last voice is in force."""
    with Emulator(pace=0) as service:
        client = spoken(connect, service)
        futures = [client.update_session({"voice": voice}) for voice in ("marin", "cedar", "alloy")]
        assert [future.result(HANG).session.voice for future in futures] == ["alloy"] * 3
        assert client.session.voice == "alloy"


@pytest.mark.parametrize("state", ["HOLDING", "DRAINING"])
def test_a_voice_while_a_swap_is_under_way(
    state: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is not in the session that is gone over to: there is another one."""
    with Emulator(pace=0) as service:
        client = spoken(connect, service)
        swap, futures = client._engine.reconnector.swap, []
        go_over = swap._switch

        def switch(attempt: Any) -> None:
            swap._switch = go_over
            if state == "DRAINING":
                go_over(attempt)
            assert swap._state is planned_swap._State[state]
            futures.append(client.update_session({"voice": "cedar"}))
            if state == "HOLDING":
                go_over(attempt)

        monkeypatch.setattr(swap, "_switch", switch)
        client.reconnect().result(HANG)
        assert futures[0].result(HANG).session.voice == "cedar"


def test_a_voice_that_is_refused(connect: Connect) -> None:
    """Its future fails, what came with it is taken back, and the voice before it is asked for."""
    with Emulator(pace=0) as service:
        client = spoken(connect, service)
        good = client.update_session({"voice": "cedar"})
        bad = client.update_session({"voice": "no-such-voice", "instructions": "Sing."})
        assert isinstance(bad.exception(HANG), ServiceError)
        assert good.result(HANG).session.voice == "cedar"
        service.drop()
        assert client.ask("Still there?", timeout=HANG).status == "completed"
        assert (client.session.voice, "Sing." in client.session.instructions) == ("cedar", False)


def test_a_voice_is_told_without_answering_another_update(connect: Connect) -> None:
    """Listeners hear of it; a command that the service has not answered is not done with that."""
    with Emulator(pace=0) as service:
        client = spoken(connect, service)
        with client.events("session.updated", timeout=HANG) as updated:
            future = client.update_session({"voice": "cedar"})
            assert next(updated).session.voice == "cedar"
        assert future.result(HANG).session.voice == "cedar"
        assert not client._engine.attempts.current.updates


# ---------------------------------------------------------------- what send() has sent


def test_a_raw_update_of_the_session(connect: Connect, dialect: str) -> None:
    """What it asks for, with what is odd in it, is asked of the next session; a later update counts more."""
    spoken = {"voice": "ash", "speed": 1.1}
    kind, limit = {}, "max_response_output_tokens"
    if dialect == "ga":
        kind, limit, spoken = {"type": "realtime"}, "max_output_tokens", {"audio": {"output": spoken}}
    odd = {"new_field": 1, limit: 5000}
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        service.faults.add(before("error", Say(UPDATED), Swallow(), times=2))  # it takes what is odd
        with client.events("session.updated", timeout=HANG) as updated:
            for session in ({"instructions": "Raw.", **spoken}, odd):
                client.send({"type": "session.update", "session": {**kind, **session}})
                next(updated)
        client.update_session({"speed": 1.2}).result(HANG)
        with client.events("reconnected", timeout=HANG) as reconnected:
            service.drop()
            next(reconnected)
        configuration = service.connections[-1].received[0]["session"]
        assert configuration.items() >= {"instructions": "Raw.", **odd}.items()
        assert "ash" in str(configuration)
        assert "1.2" in str(configuration)


@pytest.mark.parametrize("kind", ["create", "delete"])
def test_a_raw_command_on_its_way(kind: str, connect: Connect) -> None:
    """It is sent again, once, if the connection was lost before it was answered."""
    part = {"type": "input_text", "text": "raw"}
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        kept = client.create_conversation_item(message("kept")).result(HANG).item.id
        service.faults.add(on_command(f"conversation.item.{kind}", Drop()))
        with client.events("reconnected", timeout=HANG) as reconnected:
            item = {"type": "message", "role": "user", "content": [part]}
            client.send(
                {
                    "type": f"conversation.item.{kind}",
                    **({"item": item} if kind == "create" else {"item_id": kept}),
                }
            )
            next(reconnected)
        client.create_conversation_item(message("last")).result(HANG)
        said = [entry.text for entry in client.conversation.entries]
        assert said == (["kept", "raw", "last"] if kind == "create" else ["last"])
        assert len(service.connections[-1].received) >= 3
