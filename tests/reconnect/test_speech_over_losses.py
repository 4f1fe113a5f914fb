"""
What was spoken and what another session has of it: the difference is told, to the sample.

Each sample is another one, so that the sound that a service has shows which part of the speech it is.
"""

from __future__ import annotations

import array
import base64
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, ready
from outages import DISTANT, come_back, lose

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.items import MessageItem

VAD = {"turn_detection": {"type": "server_vad", "create_response": False}}
pytestmark = pytest.mark.parametrize("dialect", ["ga"])  # sound is the same in both
SECOND = 48_000
PIECE = 4_800  # bytes: 100 ms


class Speaker:
    """Appends sound that counts up, below what counts as speech, or above it."""

    def __init__(self, client: AzureRealTimeAudio, base: int = 0) -> None:
        self._client = client
        self._base = base
        self.spoken = b""

    def speak(self, seconds: float) -> None:
        """Append so much, in pieces of 100 ms."""
        for _ in range(round(10 * seconds)):
            first = len(self.spoken) // 2
            signed = (
                (self._base + n % 6_000) * (1 if n // 24 % 2 else -1) for n in range(first, first + 2_400)
            )
            piece = array.array("h", signed).tobytes() if self._base else _count(first)
            self.spoken += piece
            self._client.append_audio(piece)


def _count(first: int) -> bytes:
    """Return 100 ms in which each four bytes are a number; far below what is speech only in the mean."""
    return b"".join((first // 2 + n).to_bytes(3, "little") + b"\0" for n in range(PIECE // 4))


def heard(service: Emulator) -> bytes:
    """Return the sound that the last connection was sent."""
    found: Any = service.connections[-1].received
    return b"".join(base64.b64decode(c["audio"]) for c in found if c["type"] == "input_audio_buffer.append")


def told(text: str) -> int:
    """Return the bytes in the seconds that a reason names, which are whole tenths."""
    words = text.split()
    return round(10 * float(words[words.index("s") - 1])) * PIECE


@pytest.mark.parametrize(
    ("session", "limits", "before", "meanwhile", "lost_s"),
    [
        (VAD, {"keep_audio_s": 0.5}, 0.0, 3.1, 2.6),
        (VAD, {"keep_audio_s": 0.5, "keep_turns_s": 0}, 0.0, 3.1, 2.6),
        (VAD, {"keep_audio_s": 0, "keep_turns_s": 0}, 0.0, 3.1, 3.0),  # a piece is kept as a whole
        (NO_VAD, {"keep_audio_s": 0.5, "keep_turns_s": 1}, 0.0, 3.1, 2.1),
        (NO_VAD, {"keep_audio_s": 0.5, "keep_turns_s": 0}, 0.0, 3.1, 2.6),
        (NO_VAD, {"keep_audio_s": 0.5, "keep_turns_s": 1}, 2.5, 0.0, 1.5),
        (NO_VAD, {"keep_audio_s": 0.5, "keep_turns_s": 1}, 0.7, 0.8, 0.5),
        (NO_VAD, {"keep_audio_s": 2}, 0.7, 2.0, 0.0),
    ],
)
def test_sound_of_an_outage(
    session: dict[str, Any],
    limits: dict[str, Any],
    before: float,
    meanwhile: float,
    lost_s: float,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new session hears the end of it; the seconds that it does not hear are told, and logged."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=session, reconnect={**DISTANT, **limits})
        speaker = Speaker(client)
        speaker.speak(before)
        lose(client, service)
        speaker.speak(meanwhile)
        with caplog.at_level(logging.WARNING):
            event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        missing = told(event.lost["sound"]) if event.lost else 0
        assert missing == round(lost_s * SECOND)
        assert heard(service) == speaker.spoken[missing:]
        assert (f"! {event.lost.get('sound')}" in caplog.messages) is bool(lost_s)
        assert ("nothing lost" in str(event)) is not bool(lost_s)


def detected(connect: Connect, service: Emulator) -> tuple[AzureRealTimeAudio, Speaker]:
    """Return a client whose service finds the turns, and of which little is kept, and who speaks to it."""
    policy = {**DISTANT, "keep_audio_s": 0.5, "keep_turns_s": 1}
    client = ready(connect, service=service, session_config=VAD, reconnect=policy)
    return client, Speaker(client, base=8_000)


def test_sound_of_a_turn_under_way(connect: Connect) -> None:
    """What the old session has heard of it counts, too: the new one has to hear it again."""
    with Emulator(pace=0, keep_audio=True) as service:
        client, speaker = detected(connect, service)
        with client.events("input_audio_buffer.speech_started", timeout=HANG) as started:
            speaker.speak(0.5)
            assert next(started).audio_start_ms == 0
        speaker.speak(1.0)
        lose(client, service)
        speaker.speak(1.2)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert event.lost == {"sound": "1.7 s of sound were more than is kept"}
        assert heard(service) == speaker.spoken[told(event.lost["sound"]) :]


def test_silence_before_a_loss_is_not_missed(connect: Connect) -> None:
    """The old session has heard it, and found no speech in it."""
    with Emulator(pace=0) as service:
        policy = {**DISTANT, "keep_audio_s": 0.5}
        client = ready(connect, service=service, session_config=VAD, reconnect=policy)
        client.append_audio(bytes(PIECE))
        for _ in range(30):
            client.append_audio(bytes(PIECE))
        client.update_session({"instructions": "Be brief."}).result(HANG)  # the service is heard
        lose(client, service)

        assert not come_back(client).lost


def test_detection_is_switched_off_after_silence(connect: Connect) -> None:
    """From then on all of it is needed, but not the silence before."""
    with Emulator(pace=0) as service:
        policy = {**DISTANT, "keep_audio_s": 0.5, "keep_turns_s": 1}
        client = ready(connect, service=service, session_config=VAD, reconnect=policy)
        for _ in range(30):
            client.append_audio(bytes(PIECE))
        client.update_session({"instructions": "Be brief."}).result(HANG)
        for _ in range(6):
            client.append_audio(bytes(PIECE))
        client.update_session(NO_VAD).result(HANG)
        lose(client, service)

        assert not come_back(client).lost


def test_a_replay_during_which_sound_is_appended(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no room from what is about to be sent."""
    with Emulator(pace=0, keep_audio=True) as service:
        policy = {**DISTANT, "keep_audio_s": 0.5}
        client = ready(connect, service=service, session_config=VAD, reconnect=policy)
        speaker, journal = Speaker(client), client._engine.journal
        lose(client, service)
        speaker.speak(0.7)
        send = journal._send_sound_to

        def send_late(*of: Any) -> int:
            monkeypatch.undo()
            speaker.speak(0.4)
            return send(*of)

        monkeypatch.setattr(journal, "_send_sound_to", send_late)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert event.lost == {"sound": "0.2 s of sound were more than is kept"}
        assert heard(service) == speaker.spoken[2 * PIECE :]


def test_a_connection_that_ends_during_the_replay(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one that lasts tells what both of them were not given."""
    with Emulator(pace=0, keep_audio=True) as service:
        policy = {**DISTANT, "keep_audio_s": 0.5}
        client = ready(connect, service=service, session_config=VAD, reconnect=policy)
        speaker, journal = Speaker(client), client._engine.journal
        lose(client, service)
        speaker.speak(0.7)

        def cut(attempt: Any, *of: Any) -> int:
            monkeypatch.undo()
            attempt.connection.abort(ConnectionClosedError("cut"))
            raise ConnectionClosedError("cut")

        monkeypatch.setattr(journal, "_send_sound_to", cut)
        come_back(client, "reconnecting")
        speaker.speak(0.3)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert event.lost == {"sound": "0.5 s of sound were more than is kept"}
        assert heard(service) == speaker.spoken[5 * PIECE :]


def test_a_swap_that_is_given_up(connect: Connect) -> None:
    """The old session is given all that was appended while it was held, however little is kept."""
    with Emulator(pace=0, keep_audio=True) as service:
        policy = {**DISTANT, "keep_audio_s": 0, "keep_turns_s": 0}
        client = ready(connect, service=service, session_config=VAD, reconnect=policy)
        speaker, journal = Speaker(client), client._engine.journal
        journal.hold(is_brief=True)
        speaker.speak(1.0)
        journal.replay(client._engine.attempts.current)
        client.clear_audio_buffer().result(HANG)

        assert heard(service) == speaker.spoken


# ---------------------------------------------------------------- turns


def said(service: Emulator) -> dict[str, bytes]:
    """Return the sound of the messages that the last session has, by their ids."""
    items = service.connections[-1]._engine.conversation
    return {item.id: bytes(part.audio) for item in items for part in item.parts if part.audio}


@pytest.mark.parametrize(
    ("limits", "cut_s"),
    [
        ({"keep_audio_s": 0.5, "keep_turns_s": 1}, 2.1),
        ({"keep_audio_s": 1, "keep_turns_s": 0.5}, 2.1),
        ({"keep_audio_s": 0.5, "keep_turns_s": 0}, 2.6),
        ({"keep_turns_s": 3.1}, 0.0),
    ],
)
def test_a_long_turn(limits: dict[str, Any], cut_s: float, connect: Connect) -> None:
    """After a loss its end is restored, and what is missing is told; once, as it is not lost anew."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={**DISTANT, **limits})
        speaker = Speaker(client)
        speaker.speak(3.1)
        item_id = client.commit_audio().result(HANG).item_id
        lose(client, service)
        event = come_back(client)

        assert not event.lost
        assert event.restored == (item_id,)
        missing = told(event.shortened[item_id]) if event.shortened else 0
        assert missing == round(cut_s * SECOND)
        assert said(service) == {item_id: speaker.spoken[missing:]}
        assert event.shortened == ({item_id: f"without {cut_s} s of its beginning"} if cut_s else {})
        if cut_s == 2.1:
            lose(client, service)
            assert not come_back(client).shortened
            assert said(service) == {item_id: speaker.spoken[missing:]}


def test_a_long_turn_that_was_detected(connect: Connect) -> None:
    """It counts from where the service has heard it begin to where it has heard it end."""
    with Emulator(pace=0, keep_audio=True) as service:
        client, speaker = detected(connect, service)
        with client.events("input_audio_buffer.committed", timeout=HANG) as committed:
            speaker.speak(2.0)
            client.append_audio(bytes(SECOND))
            item_id = next(committed).item_id
        whole = said(service)[item_id]
        lose(client, service)
        event = come_back(client)

        assert not event.lost
        (restored,) = said(service).values()
        assert whole.endswith(restored)
        assert told(event.shortened[item_id]) == len(whole) - len(restored) > 0


def test_a_long_turn_before_a_planned_change(connect: Connect) -> None:
    """The old session has all of it, and is asked."""
    with Emulator(pace=0, keep_audio=True) as service:
        policy = {**DISTANT, "keep_audio_s": 0.5, "keep_turns_s": 1}
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=policy)
        speaker = Speaker(client)
        speaker.speak(3.1)
        item_id = client.commit_audio().result(HANG).item_id
        event = client.reconnect().result(HANG)

        assert (event.restored, event.shortened, event.lost) == ((item_id,), {}, {})
        assert said(service) == {item_id: speaker.spoken}


# ---------------------------------------------------------------- what the service counts, too

ULAW = {"input_audio_format": "g711_ulaw"}
PCM16 = {"input_audio_format": "pcm16"}


def loud(client: AzureRealTimeAudio, seconds: float) -> bytes:
    """Append speech in the session's format, and return it."""
    per_second = 8_000 if client._engine.configuration.input_audio_format() == "g711_ulaw" else SECOND
    sound = random.Random(7).randbytes(round(seconds * per_second))
    client.append_audio(sound)
    return sound


def quiet(client: AzureRealTimeAudio, seconds: float) -> None:
    """Append silence in the session's format."""
    is_ulaw = client._engine.configuration.input_audio_format() == "g711_ulaw"
    client.append_audio(b"\xff" * round(8_000 * seconds) if is_ulaw else bytes(round(SECOND * seconds)))


def change_format(client: AzureRealTimeAudio, _: Emulator) -> None:
    """Speak, and go over to the other format."""
    is_ulaw = client._engine.configuration.input_audio_format() == "g711_ulaw"
    quiet(client, 4.1)
    client.update_session(PCM16 if is_ulaw else ULAW).result(HANG)


def change_twice(client: AzureRealTimeAudio, service: Emulator) -> None:
    """There and back, after sound of another length."""
    change_format(client, service)
    quiet(client, 0.7)
    change_format(client, service)


def change_while_held(client: AzureRealTimeAudio, _: Emulator) -> None:
    """Sound is held briefly for the session that goes on, and is never sent, as its format has changed."""
    quiet(client, 0.3)
    journal = client._engine.journal
    journal.hold(is_brief=True)
    quiet(client, 2.0)
    done = client.update_session(ULAW)
    quiet(client, 0.5)
    journal.replay(client._engine.attempts.current)
    done.result(HANG)


def append_raw(client: AzureRealTimeAudio, _: Emulator) -> None:
    """Sound in an event of the program's own making."""
    sound = base64.b64encode(bytes(4 * SECOND)).decode()
    client.send({"type": "input_audio_buffer.append", "audio": sound, "event_id": "mine"})


@pytest.mark.parametrize("session", [{}, ULAW], ids=["pcm16", "ulaw"])
@pytest.mark.parametrize("before", [change_format, change_twice, change_while_held, append_raw])
def test_a_turn_is_found_in_the_sound(
    before: Callable[[AzureRealTimeAudio, Emulator], None], session: dict[str, Any], connect: Connect
) -> None:
    """Where the service counts it, whatever was appended before; it is kept once, and not heard again."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config={**VAD, **session}, reconnect=DISTANT)
        before(client, service)
        with client.events("input_audio_buffer.committed", timeout=HANG) as committed:
            quiet(client, 0.4)  # more than the service takes as part of the turn
            speech = loud(client, 0.6)
            quiet(client, 1.0)
            item_id = next(committed).item_id
        whole = said(service)[item_id]
        lose(client, service)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert (event.restored, event.shortened) == ((item_id,), {})
        (kept,) = said(service).values()
        assert speech in kept
        assert len(kept) == len(whole)
        assert not heard(service).strip(b"\0\xff")


def test_a_turn_in_two_formats(connect: Connect) -> None:
    """What it has in the former is of no use to another session, which is told in seconds."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=VAD, reconnect=DISTANT)
        with client.events("input_audio_buffer.speech_started", timeout=HANG) as started:
            loud(client, 1.5)
            next(started)
        client.update_session(ULAW).result(HANG)
        rest = loud(client, 0.5)
        lose(client, service)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert event.lost == {"sound": "1.5 s of sound were more than is kept"}
        assert heard(service) == rest


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_loss_after_a_change_of_the_format(is_answered: bool, connect: Connect) -> None:
    """No sound has come since: a session that begins in the new format is not given that of the former."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        turn = loud(client, 0.6)
        first = client.commit_audio().result(HANG).item_id
        rest = loud(client, 0.3)
        if is_answered:
            client.update_session(ULAW).result(HANG)
            assert "audio" not in client.conversation.to_dict(sound=True)["items"][0]["content"][0]
            lose(client, service)
        else:  # the next session begins in the former, too
            lose(client, service)
            client.update_session(ULAW)
        event = come_back(client)
        client.clear_audio_buffer().result(HANG)

        assert heard(service) == (b"" if is_answered else rest)
        lost = {
            first: "it has no transcript, and its sound is not kept",
            "sound": "0.3 s of sound were more than is kept",
        }
        assert event.lost == (lost if is_answered else {})
        assert list(said(service).values()) == ([] if is_answered else [turn])


def test_a_turn_from_before_a_change_of_the_format(connect: Connect) -> None:
    """The old session is not asked for its sound, which would be noise to the new one."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        loud(client, 0.5)
        item_id = client.commit_audio().result(HANG).item_id
        client.update_session(ULAW).result(HANG)
        loud(client, 0.2)
        event = client.reconnect().result(HANG)

        assert event.lost[item_id] == "it has no transcript, and its sound is not kept"
        assert not said(service)


def test_an_answer_in_a_format_of_its_own(connect: Connect) -> None:
    """As much of it as was heard is restored."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        response = client.create_response({"output_audio_format": "g711_ulaw"}).result(HANG)
        ms = len(response.audio) // 8
        item_id = response.output[0].id
        client.truncate_item(item_id, 0, ms // 2).result(HANG)
        lose(client, service)

        assert come_back(client).shortened == {item_id: f"only what was heard: {ms // 2} of {ms} ms"}


def test_raw_sound_over_a_loss(connect: Connect) -> None:
    """It is kept as that of ``append_audio`` is; what is no sound is the service's to refuse."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        speaker = Speaker(client)
        speaker.speak(0.2)
        raw = base64.b64encode(speaker.spoken).decode()
        client.send({"type": "input_audio_buffer.append", "audio": raw})
        lose(client, service)
        client.send({"type": "input_audio_buffer.append", "audio": raw})
        come_back(client)
        for audio in ("?", base64.b64encode(b"odd").decode()):
            with client.events("error", timeout=HANG) as refused:
                client.send({"type": "input_audio_buffer.append", "audio": audio, "event_id": "mine"})
                assert next(refused).event_id == "mine"
        client.commit_audio().result(HANG)

        assert list(said(service).values()) == [3 * speaker.spoken]


def test_a_turn_of_which_nothing_is_kept(connect: Connect) -> None:
    """It is lost by its id, also if the service had not described it yet."""
    with Emulator(pace=0, keep_audio=True) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        sound = client._engine.journal.sound
        client.append_audio(bytes(PIECE))
        item_id = client.commit_audio().result(HANG).item_id
        sound._turns.add(item_id, b"", 0.1, 0)
        lose(client, service)

        assert come_back(client).lost == {item_id: "it has no transcript, and its sound is not kept"}
        assert client.conversation.to_dict(sound=True)["items"][0]["content"] == [{"type": "input_audio"}]
        entry = client.conversation.get(item_id)
        assert entry is not None
        assert isinstance(entry.item, MessageItem)
