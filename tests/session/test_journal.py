"""What is kept while there is no connection: commands up to a limit, and the newest sound."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, message, ready
from manual_clock import ManualClock
from outages import DISTANT, come_back, lose

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator, Swallow, before

LIMIT = 100_000


SENDS: dict[str, Callable[[AzureRealTimeAudio, str], object]] = {
    "awaited": lambda client, text: client.create_conversation_item(message(text)),
    "raw": lambda client, text: client.send({"type": "conversation.item.create", "item": message(text)}),
}


@pytest.mark.parametrize("kind", SENDS)
def test_commands_that_are_held_have_a_limit(kind: str, connect: Connect) -> None:
    """What is beyond it is refused at once, by name, and the rest is sent when the connection is back."""
    with Emulator(pace=0) as service:
        limits = {"max_send_backlog_bytes": LIMIT}
        client = ready(
            connect, service=service, websocket_options=limits, session_config=NO_VAD, reconnect=DISTANT
        )
        lose(client, service)
        texts = [str(number) + "x" * 9_000 for number in range(20)]
        sent = 0
        with contextlib.suppress(TimeoutError):
            for text in texts:
                SENDS[kind](client, text)
                sent += 1
        with pytest.raises(TimeoutError, match=r"\d+ bytes of commands wait for the connection to come back"):
            SENDS[kind](client, texts[-1])
        assert LIMIT - 20_000 < sent * 9_000 < LIMIT
        come_back(client)
        client.create_conversation_item(message("last")).result(HANG)

        held = [item.text for item in service.connections[-1]._engine.conversation]
        assert held == [*texts[:sent], "last"]


def test_a_connection_that_is_lost_before_the_caller_goes_on(
    connect: Connect, emulator: Emulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command is sent again, however late its caller notes that it was sent on the one before."""
    client = ready(connect, session_config=NO_VAD, reconnect=DISTANT)
    emulator.faults.add(before("session.updated", Swallow()))
    journal = client._engine.journal
    send = journal.send

    def send_and_lose(*args: Any, **kind: Any) -> bool:
        is_sent = send(*args, **kind)
        monkeypatch.undo()
        lose(client, emulator)
        return is_sent

    monkeypatch.setattr(journal, "send", send_and_lose)
    first = client.update_session({"instructions": "Be brief."})
    clock.now += 60.0
    second = client.update_session({"speed": 1.1})
    come_back(client)

    assert first.result(HANG).session.instructions == "Be brief."
    assert second.result(HANG).session.instructions == "Be brief."


def test_one_command_is_held_whatever_its_size(connect: Connect) -> None:
    """As one is sent whatever its size."""
    with Emulator(pace=0) as service:
        limits = {"max_send_backlog_bytes": LIMIT}
        client = ready(
            connect, service=service, websocket_options=limits, session_config=NO_VAD, reconnect=DISTANT
        )
        lose(client, service)
        created = client.create_conversation_item(message("x" * (LIMIT + 1)))
        come_back(client)

        assert created.result(HANG).item.text == "x" * (LIMIT + 1)


def test_sound_in_another_format_is_not_sent(connect: Connect) -> None:
    """What was appended before the format was changed is noise to a session that begins with the new one."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        client.append_audio(b"\1\2" * 480)
        client.update_session({"input_audio_format": "g711_ulaw"}).result(HANG)
        client.append_audio(b"\3" * 800)
        lose(client, service)
        client.append_audio(b"\4" * 800)
        come_back(client)
        client.commit_audio().result(HANG)

        found: Any = service.connections[-1].received
        appended = [c["audio"] for c in found if c["type"] == "input_audio_buffer.append"]
        assert b"".join(map(base64.b64decode, appended)) == b"\3" * 800 + b"\4" * 800


def test_sound_after_the_last_commit_is_sent(connect: Connect) -> None:
    """And none before it, nor what was cleared; each commit has the samples that were before it."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        client.append_audio(b"\1\0" * 4_800)
        client.commit_audio().result(HANG)
        client.append_audio(b"\2\0" * 4_800)
        client.clear_audio_buffer().result(HANG)
        client.append_audio(b"\3\0" * 4_800)
        lose(client, service)
        client.append_audio(b"\4\0" * 4_800)
        first = client.commit_audio()
        client.append_audio(b"\5\0" * 4_800)
        second = client.commit_audio()
        come_back(client)
        items = [future.result(HANG).item_id for future in (first, second)]

        held = {item.id: bytes(item.parts[0].audio) for item in service.connections[-1]._engine.conversation}
        assert held[items[0]] == b"\3\0" * 4_800 + b"\4\0" * 4_800
        assert held[items[1]] == b"\5\0" * 4_800
        assert len(held) == 3
