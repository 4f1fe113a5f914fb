"""A spoken conversation against the emulator, with devices whose time passes as the test says."""

from __future__ import annotations

import base64
import contextlib
import logging
import subprocess
import sys
import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_devices import BLOCK, QUIET, StageMicrophone, StageSpeaker
from listeners import HANG, NO_VAD, Aside, Connect, Probe, Stage, message, ready

from azure_rt_audio import AzureRealTimeAudio, ModelStatusEnum
from azure_rt_audio.audio.g711 import ulaw_encode
from azure_rt_audio.audio.resample import resample
from azure_rt_audio.devices import DeviceLost, DeviceOpened, Microphone, Played, Speaker
from azure_rt_audio.emulator import Close, Emulator, FunctionCall, Reply, Say, before
from azure_rt_audio.errors import ConnectionClosedError, DeviceError, MissingExtraError, RealtimeError
from azure_rt_audio.voice import FirstSound, Interrupted, Levels, SelfInterruption, VoiceSession

SPEECH = [BLOCK] * 10
PAUSE = [QUIET] * 30
LONG = "This answer is long enough to be spoken over, and goes on for quite a while after that."

IDLE, LISTENING, THINKING, SPEAKING = ModelStatusEnum


@pytest.fixture(autouse=True)
def _nothing_to_complain_of(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A conversation leaves no warning in the log, unless a test expects it and clears the log."""
    caplog.set_level(logging.INFO)
    yield
    complaints = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert complaints == []


class Talk:
    """A conversation with its devices."""

    def __init__(self, client: AzureRealTimeAudio, **options: Any) -> None:
        self.client = client
        self.microphone = StageMicrophone()
        self.speaker = StageSpeaker()
        self.errors = Probe()
        self.events = Probe()
        client.on("error", self.errors)
        self.voice = VoiceSession(
            client, self.microphone, self.speaker, echo=options.pop("echo", "headphones"), **options
        )

    def ask(self, text: str = "Say it.") -> None:
        self.client.create_conversation_item(message(text))
        self.client.create_response()

    def answered(self) -> str:
        """Wait for an answer to something written, and return its item."""
        finished = self.speaker.finished
        self.ask()
        self.speaker.wait_until_finished(finished + 1)
        return self.speaker.items[-1]

    def speak_over(self) -> None:
        """The user says something, and the session has heeded it."""
        stops = self.speaker.stops
        self.microphone.bring(*SPEECH)
        self.speaker.wait_until_stopped(stops + 1)


Talks = Callable[..., Talk]


@pytest.fixture
def talks(connect: Connect) -> Iterator[Talks]:
    """A function that begins a conversation, which is ended before its client."""
    begun: list[Talk] = []

    def begin(
        *,
        service: Emulator | None = None,
        is_ready: bool = True,
        client: dict[str, Any] | None = None,
        **options: Any,
    ) -> Talk:
        make = ready if is_ready else lambda connect, **given: connect(**given)
        talk = Talk(make(connect, service=service, **(client or {})), **options)
        begun.append(talk)
        talk.voice.start()
        return talk

    yield begin
    for talk in begun:
        assert talk.voice.close(HANG)
        assert talk.microphone.is_closed.is_set()
        assert talk.speaker.is_closed.is_set()
        assert [error for error in talk.errors.told if not isinstance(error, ConnectionClosedError)] == []


@pytest.fixture
def talker() -> Iterator[Emulator]:
    """A service that says something long, as fast as it can."""
    with Emulator(pace=0, responder=lambda *_: LONG, keep_audio=True) as service:
        yield service


def sent_audio(service: Emulator) -> bytes:
    """Return the sound that came in."""
    return b"".join(base64.b64decode(c["audio"]) for c in service.received("input_audio_buffer.append"))


def said(service: Emulator, item_id: str) -> bytes:
    """Return the sound of an item, as the service sent it."""
    deltas = service.sent("response.audio.delta")
    return b"".join(base64.b64decode(d["delta"]) for d in deltas if d["item_id"] == item_id)


# ------------------------------------------------------------ a turn


def test_a_question_and_its_answer(talks: Talks, talker: Emulator) -> None:
    """What the microphone brings arrives as it was; what the service says is played as it was."""
    talk = talks(service=talker)
    blocks = [*SPEECH, *PAUSE]

    talk.microphone.bring(*blocks)
    talk.speaker.wait_until_finished()
    item = talk.speaker.items[0]
    talk.speaker.play_out()

    assert said(talker, item) == talk.speaker.heard(item)
    assert sent_audio(talker) == b"".join(blocks)


def test_the_status_follows_the_speaker(talks: Talks, talker: Emulator) -> None:
    """The service is done at once; the status is speaking until the last of it has been heard."""
    statuses = Probe()
    talk = talks(service=talker)
    talk.client.on("status_changed", statuses)
    talk.answered()
    assert [statuses.next().status for _ in range(2)] == [THINKING, SPEAKING]

    talk.speaker.play_on(100)
    assert talk.client.status is SPEAKING
    talk.speaker.play_out()

    assert statuses.next().status is IDLE
    assert statuses.told == []


def test_the_first_sound(talks: Talks, talker: Emulator) -> None:
    """The time from the end of the question to the first sound is told, once an answer."""
    events = Probe()
    talk = talks(service=talker, on_event=events)
    talk.microphone.bring(*SPEECH, *PAUSE)
    talk.speaker.wait_until_finished()
    talk.speaker.play_on(40)

    first = events.until(lambda event: isinstance(event, FirstSound))[-1]

    assert first.latency_ms is not None
    assert 0 <= first.latency_ms < HANG * 1000  # on a stage 40 ms may pass in no time


def test_an_answer_to_something_written_has_no_latency(talks: Talks, talker: Emulator) -> None:
    """Nobody has finished speaking, so there is nothing to measure from."""
    events = Probe()
    talk = talks(service=talker, on_event=events)
    talk.answered()
    talk.speaker.play_on(40)

    assert events.until(lambda event: isinstance(event, FirstSound))[-1].latency_ms is None


def test_levels(talks: Talks, talker: Emulator) -> None:
    """Both levels are told while the microphone runs, and a muted one is silent."""
    events = Probe()
    talk = talks(service=talker, on_event=events)

    talk.microphone.bring(*SPEECH)
    loud = events.until(lambda event: isinstance(event, Levels) and event.microphone_db > -100)[-1]
    talk.voice.is_muted = True
    talk.microphone.bring(*SPEECH)
    events.until(lambda event: isinstance(event, Levels) and event.microphone_db == -100)

    assert -20 < loud.microphone_db < -15
    assert loud.speaker_db == -100
    assert talk.voice.is_muted


def test_a_muted_microphone_sends_silence(talks: Talks, talker: Emulator) -> None:
    """The service goes on hearing, and so notices that the user has finished."""
    talk = talks(service=talker)
    talk.voice.is_muted = True

    talk.microphone.bring(*SPEECH)
    talker.wait_for_command("input_audio_buffer.append", count=len(SPEECH))

    assert sent_audio(talker) == bytes(len(b"".join(SPEECH)))


def test_speech_before_the_connection_is_up(talks: Talks) -> None:
    """What is said while the service is being reached is sent when it is, in order."""
    blocks = [bytes([number, 0]) * 480 for number in range(100)]
    with Emulator(pace=0, keep_audio=True, faults=None) as service:
        service.faults.add(before("session.created", Say({"type": "test.early"})))
        talk = talks(service=service, is_ready=False)
        talk.microphone.bring(*blocks)
        service.wait_for_command("input_audio_buffer.append", count=len(blocks))

        assert sent_audio(service) == b"".join(blocks)
        talk.voice.close()


# ------------------------------------------------------------ interruption


def test_an_answer_is_spoken_over(talks: Talks, talker: Emulator) -> None:
    """The speaker is silent at once, and the service is told the milliseconds that were heard."""
    events = Probe()
    talk = talks(service=talker, on_event=events)
    item = talk.answered()
    talk.speaker.play_on(1234)

    talk.speak_over()

    command = talker.wait_for_command("conversation.item.truncate")
    assert (item, 0, 1234) == tuple(command[k] for k in ("item_id", "content_index", "audio_end_ms"))
    told = events.until(lambda event: isinstance(event, Interrupted))[-1]
    assert told.by_user
    assert [(item, 1234)] == [(cut.item_id, cut.heard_ms) for cut in told.cuts]
    with talk.client.events("conversation.item.truncated", timeout=HANG):
        assert talk.client.retrieve_item(item).result(HANG).item.id == item
    assert not talk.speaker.is_playing


def test_an_answer_that_is_still_coming(talks: Talks) -> None:
    """The service stops it; what it had sent meanwhile is not played, and the cut is where it was heard."""
    with Emulator(pace=4, responder=lambda *_: LONG) as service:
        talk = talks(service=service)
        talk.ask()
        talk.speaker.wait_for_ms(500)
        talk.speaker.play_on(321)

        talk.speak_over()

        assert service.wait_for_command("conversation.item.truncate")["audio_end_ms"] == 321
        done = (
            talk.client.wait_for("response.done", timeout=HANG) if not service.sent("response.done") else None
        )
        assert done is None or done.response.status == "cancelled"
        assert not talk.speaker.is_playing
        assert service.received("response.cancel") == []
        talk.voice.close()


def test_an_answer_of_which_nothing_was_heard(talks: Talks, talker: Emulator) -> None:
    """The service refuses to cut at 0, so the message is deleted."""
    talk = talks(service=talker)
    item = talk.answered()

    talk.speak_over()

    assert talker.wait_for_command("conversation.item.delete")["item_id"] == item
    assert talker.received("conversation.item.truncate") == []


def test_an_answer_that_was_heard_out(talks: Talks, talker: Emulator) -> None:
    """Who speaks when nothing plays interrupts nothing."""
    talk = talks(service=talker)
    talk.answered()
    talk.speaker.play_out()

    talk.speak_over()
    talk.client.clear_audio_buffer().result(HANG)

    assert talker.received("conversation.item.truncate") == []
    assert talker.received("conversation.item.delete") == []


def test_two_interruptions_in_a_row(talks: Talks, talker: Emulator) -> None:
    """One cut is enough."""
    talk = talks(service=talker)
    talk.answered()
    while talk.client._engine.response_queue.is_busy:  # its end comes after its sound
        talk.client.clear_audio_buffer().result(HANG)
    talk.speaker.play_on(500)

    talk.speak_over()
    talk.voice.interrupt()
    talk.voice.interrupt()
    talk.speaker.wait_until_stopped(3)
    talk.client.clear_audio_buffer().result(HANG)

    assert len(talker.received("conversation.item.truncate")) == 1
    assert talker.received("response.cancel") == []


def test_an_item_that_is_gone_already(talks: Talks, talker: Emulator) -> None:
    """The program deleted the message while it was playing: the refusal is of no interest to anybody."""
    everything = Probe()
    talk = talks(service=talker)
    item = talk.answered()
    talk.speaker.play_on(500)
    talk.client.delete_item(item).result(HANG)
    talk.client.on("*", everything)

    talk.speak_over()
    talker.wait_for_command("conversation.item.truncate")
    talk.client.clear_audio_buffer().result(HANG)

    assert [event["error"]["code"] for event in talker.sent("error")] == ["item_truncate_invalid_item_id"]
    cleared = everything.until(lambda event: event.type == "input_audio_buffer.cleared")
    assert "error" not in [event.type for event in cleared]


def test_an_item_that_was_cut_shorter_already(talks: Talks, talker: Emulator) -> None:
    """The program truncated it by hand: a refusal that names no command is as uninteresting."""
    talk = talks(service=talker)
    item = talk.answered()
    talk.speaker.play_on(500)
    talk.client.truncate_item(item, 0, 100).result(HANG)

    talk.speak_over()
    talker.wait_for_command("conversation.item.truncate", count=2)
    talk.client.clear_audio_buffer().result(HANG)

    assert [event["error"]["code"] for event in talker.sent("error")] == ["invalid_value"]


def test_a_service_that_does_not_stop_by_itself(talks: Talks) -> None:
    """With interrupt_response off the session says it, and the rest of the answer is not played."""
    quiet = {"turn_detection": {"type": "server_vad", "interrupt_response": False}}
    with Emulator(pace=4, responder=lambda *_: LONG) as service:
        talk = talks(service=service, client={"session_config": quiet})
        with talk.client.events("response.done", timeout=HANG) as done:
            talk.ask()
            talk.speaker.wait_for_ms(300)
            talk.speaker.play_on(200)
            talk.speak_over()

            assert next(done).response.status == "cancelled"
        assert service.wait_for_command("conversation.item.truncate")["audio_end_ms"] == 200
        assert not talk.speaker.is_playing
        talk.voice.close()


def test_a_cancel_that_comes_too_late(talks: Talks, talker: Emulator) -> None:
    """The response ends in the moment in which it is cancelled: nobody hears of that refusal either."""
    talk = talks(service=talker)
    everything = Probe()
    talk.client.on("*", everything)
    hub = talk.client._engine

    hub.interruption.cancel("resp_of_yesterday")
    hub.interruption.cancel()
    talk.client.clear_audio_buffer().result(HANG)

    assert [event["error"]["code"] for event in talker.sent("error")] == ["response_cancel_not_active"] * 2
    seen = everything.until(lambda event: event.type == "input_audio_buffer.cleared")
    assert "error" not in [event.type for event in seen]


def test_the_program_interrupts(talks: Talks) -> None:
    """By hand it is the same, and the service is told to stop."""
    events = Probe()
    with Emulator(pace=4, responder=lambda *_: LONG) as service:
        talk = talks(service=service, on_event=events, client={"session_config": NO_VAD}, push_to_talk=True)
        with talk.client.events("response.done", timeout=HANG) as done:
            talk.ask()
            talk.speaker.wait_for_ms(300)
            talk.speaker.play_on(123)
            talk.voice.interrupt()

            assert next(done).response.status == "cancelled"
        assert service.wait_for_command("conversation.item.truncate")["audio_end_ms"] == 123
        assert not events.until(lambda event: isinstance(event, Interrupted))[-1].by_user
        talk.voice.close()


def test_interrupted_before_it_began(talks: Talks) -> None:
    """A response that was asked for and has not begun is stopped when it begins, and not heard."""
    with Emulator(pace=4, first_delay=0.2, responder=lambda *_: LONG) as service:
        talk = talks(service=service)
        with talk.client.events("response.done", timeout=HANG) as done:
            talk.ask()
            talk.voice.interrupt()

            assert next(done).response.status == "cancelled"
        assert talk.speaker.items == []
        talk.ask()
        talk.speaker.wait_for_ms(100)
        talk.voice.close()


def test_a_function_call_between(talks: Talks) -> None:
    """The preface is still playing when the second answer comes: one is cut, the other deleted."""
    replies = iter([Reply("Let me see.", calls=(FunctionCall("look", {}),)), Reply(LONG)])
    with Emulator(pace=0, responder=lambda *_: next(replies)) as service:
        talk = talks(service=service)
        with talk.client.events("response.done", timeout=HANG) as done:
            talk.ask()
            call = next(done).response.function_calls[0]
            talk.client.create_conversation_item(
                {"type": "function_call_output", "call_id": call.call_id, "output": "seen"}
            )
            talk.client.create_response()
            next(done)
        talk.speaker.wait_until_finished(2)
        first, second = talk.speaker.items
        talk.speaker.play_on(50)

        talk.speak_over()

        truncate = service.wait_for_command("conversation.item.truncate")
        assert (first, 50) == (truncate["item_id"], truncate["audio_end_ms"])
        assert service.wait_for_command("conversation.item.delete")["item_id"] == second
        talk.voice.close()


def test_an_interruption_waits_for_no_listener(talks: Talks, talker: Emulator) -> None:
    """The program's own listener is busy; the speaker is stopped all the same."""
    busy = Stage()
    talk = talks(service=talker)
    talk.answered()
    talk.speaker.play_on(500)
    talk.client.once("input_audio_buffer.cleared", busy)
    talk.client.clear_audio_buffer()
    assert busy.entered.wait(HANG)

    talk.speak_over()
    command = talker.wait_for_command("conversation.item.truncate")
    busy.go_on.set()

    assert command["audio_end_ms"] == 500


def test_a_response_beside_the_conversation_is_not_played(talks: Talks, talker: Emulator) -> None:
    """It is the program's: it may not even be speech for this user."""
    talk = talks(service=talker)

    talk.client.create_response({"conversation": "none"}).result(HANG)
    talk.answered()

    assert len(talk.speaker.items) == 1


# ------------------------------------------------------------ push to talk


def test_push_to_talk(talks: Talks, talker: Emulator) -> None:
    """Only what is said while the button is down is sent; then the answer is asked for."""
    talk = talks(service=talker, push_to_talk=True)
    talk.microphone.bring(*PAUSE)
    talk.voice.press()
    talk.microphone.bring(*SPEECH)
    talker.wait_for_command("input_audio_buffer.append", count=1)
    talk.voice.release()
    talk.speaker.wait_until_finished()

    assert talk.client.session is not None
    assert talk.client.session.turn_detection is None
    assert BLOCK in sent_audio(talker)
    names = [command["type"] for command in talker.received()]
    assert names[-2:] == ["input_audio_buffer.commit", "response.create"]


@pytest.mark.parametrize("echo", ["half_duplex", "gate"])
def test_a_press_loses_no_word(talks: Talks, talker: Emulator, echo: str) -> None:
    """The answer has just been stopped; what is said at once is sent, whatever the echo policy."""
    talk = talks(service=talker, push_to_talk=True, echo=echo)
    talk.answered()
    talk.speaker.play_on(500)

    talk.voice.press()
    talk.speaker.wait_until_stopped()
    talk.microphone.bring(*SPEECH)
    talker.wait_for_command("input_audio_buffer.append", count=len(SPEECH))
    talk.voice.release()

    assert sent_audio(talker) == b"".join(SPEECH)
    talker.wait_for_command("response.create", count=2)


def test_too_short_a_press(talks: Talks, talker: Emulator) -> None:
    """Less than 100 ms is no message: it is thrown away, and is no error."""
    talk = talks(service=talker, push_to_talk=True)

    talk.voice.press()
    talk.microphone.bring(BLOCK, BLOCK)
    talker.wait_for_command("input_audio_buffer.append", count=2)
    talk.voice.release()
    talker.wait_for_command("input_audio_buffer.clear")
    talk.voice.press()
    talk.voice.release()
    talk.voice.press()
    talk.microphone.bring(*SPEECH)
    talker.wait_for_command("input_audio_buffer.append", count=12)
    talk.voice.release()
    talk.speaker.wait_until_finished()

    assert len(talker.received("input_audio_buffer.clear")) == 1
    assert len(talker.received("input_audio_buffer.commit")) == 1


def test_a_press_does_not_stop_the_answer_to_what_is_said_in_it(talks: Talks, talker: Emulator) -> None:
    """However late the press gets to silence what was before it, the answer is asked for after that."""
    talk = talks(service=talker, push_to_talk=True)
    late = threading.Event()

    talk.voice._worker.submit(lambda _: late.wait(HANG), None)
    talk.voice.press()
    talk.microphone.bring(*SPEECH)
    talk.voice.release()
    with contextlib.suppress(TimeoutError):  # it would come now if it did not wait
        talker.wait_for_command("response.create", timeout=0.3)
    late.set()

    talk.speaker.wait_until_finished()


def test_a_press_interrupts(talks: Talks) -> None:
    """Who presses the button wants to speak: the answer stops and is cut where it was heard."""
    with Emulator(pace=4, responder=lambda *_: LONG) as service:
        talk = talks(service=service, push_to_talk=True)
        with talk.client.events("response.done", timeout=HANG) as done:
            talk.ask()
            talk.speaker.wait_for_ms(300)
            talk.speaker.play_on(222)
            talk.voice.press()

            assert next(done).response.status == "cancelled"
        assert service.wait_for_command("conversation.item.truncate")["audio_end_ms"] == 222
        talk.voice.close()


class Tireless(StageMicrophone):
    """A microphone that always has another block, also when it is asked not to wait for one."""

    def __init__(self, block: bytes) -> None:
        super().__init__()
        self.block = block
        self.is_asked_again = threading.Event()  # and again, after a release

    def read(self, timeout: float) -> bytes:
        if not timeout:
            self.is_asked_again.set()
        return self.block if not timeout or self.is_asked_again.wait(0.01) else BLOCK


@pytest.mark.parametrize("block", [BLOCK, b""], ids=["sound", "nothing"])
def test_a_turn_ends_though_the_microphone_does_not(
    client: AzureRealTimeAudio, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, block: bytes
) -> None:
    """Of one that is faster than it is sent, as much belongs to the turn as one may have kept."""
    monkeypatch.setattr("azure_rt_audio.voice.session._RECORDED_MS", 200)
    microphone = Tireless(block)
    with VoiceSession(client, microphone, StageSpeaker(), echo="headphones", push_to_talk=True) as voice:
        voice.press()
        emulator.wait_for_command("input_audio_buffer.append", count=10)
        voice.release()

        emulator.wait_for_command("input_audio_buffer.commit")


def test_a_turn_that_does_not_end_does_not_hinder_the_end(
    client: AzureRealTimeAudio, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes the session does not wait for what was recorded before the release."""
    monkeypatch.setattr("azure_rt_audio.voice.session._RECORDED_MS", 10**12)
    microphone = Tireless(BLOCK)
    with VoiceSession(client, microphone, StageSpeaker(), echo="headphones", push_to_talk=True) as voice:
        voice.press()
        emulator.wait_for_command("input_audio_buffer.append")
        voice.release()
        assert microphone.is_asked_again.wait(HANG)

        assert voice.close(HANG)


def test_a_button_that_is_not_there(talks: Talks) -> None:
    """An open microphone has no button."""
    talk = talks()

    for act in (talk.voice.press, talk.voice.release):
        with pytest.raises(RuntimeError, match="push_to_talk=True"):
            act()


def test_nobody_notices_the_end_of_a_turn(talks: Talks, caplog: pytest.LogCaptureFixture) -> None:
    """An open microphone in a session without turn detection is worth a warning."""
    talk = talks(client={"session_config": NO_VAD})
    talk.microphone.bring(*SPEECH)
    talk.client.clear_audio_buffer().result(HANG)
    talk.voice.close()

    assert "turn detection is off" in caplog.text
    caplog.clear()


# ------------------------------------------------------------ devices


def test_devices_that_come_and_go(talks: Talks, talker: Emulator) -> None:
    """What the devices tell is told on, but for what was played."""
    events = Probe()
    talk = talks(service=talker, on_event=events)
    lost = DeviceLost("output", "Loudspeaker", "it disappeared")
    assert talk.speaker.on_event is not None
    assert talk.microphone.on_event is not None

    talk.speaker.on_event(Played("a", 480, 20, True))
    talk.speaker.on_event(lost)
    talk.microphone.on_event(opened := DeviceOpened("input", "Microphone", 48_000, 20))

    told = events.until(lambda event: event == opened)
    assert [lost, opened] == [event for event in told if not isinstance(event, Levels)]


def test_who_listened_to_a_device_still_does(client: AzureRealTimeAudio) -> None:
    """The program's own listeners of its devices are called as well."""
    microphone, speaker, theirs, samples = StageMicrophone(), StageSpeaker(), Probe(), Probe()
    microphone.on_event = speaker.on_event = theirs
    speaker.on_played = lambda pcm, when: samples((pcm, when))
    with VoiceSession(client, microphone, speaker):
        assert speaker.on_event is not None
        speaker.on_event("news")
        assert speaker.on_played is not None
        speaker.on_played(b"\x01\x00", 2.0)

    assert theirs.told == ["news"]
    assert samples.told == [(b"\x01\x00", 2.0)]


def test_a_microphone_that_brings_nothing(talks: Talks, talker: Emulator) -> None:
    """While one is lost and another not yet opened the answers are played, and the status follows."""
    talk = talks(service=talker)
    talk.answered()
    statuses = Probe()
    talk.client.on("status_changed", statuses)
    talk.speaker.play_out()

    assert statuses.next().status is IDLE


# ------------------------------------------------------------ formats


@pytest.mark.parametrize("audio_format", ["g711_ulaw", "g711_alaw"])
def test_a_telephone(talks: Talks, audio_format: str) -> None:
    """A G.711 session hears and speaks through the same devices, and is cut at the same milliseconds."""
    config = {"input_audio_format": audio_format, "output_audio_format": audio_format}
    with Emulator(pace=0, responder=lambda *_: LONG, keep_audio=True) as service:
        talk = talks(service=service, client={"session_config": config})
        item = talk.answered()
        played_ms = talk.speaker.waiting_ms()
        talk.speaker.play_on(1000)
        talk.microphone.bring(*SPEECH)  # the resampler holds some of it back
        talk.speak_over()

        assert abs(len(said(service, item)) / 8 - played_ms) <= 1
        assert service.wait_for_command("conversation.item.truncate")["audio_end_ms"] == 1000
        if audio_format == "g711_ulaw":
            sent = sent_audio(service)
            assert sent == ulaw_encode(resample(b"".join(SPEECH * 2), 24_000, 8_000))[: len(sent)]
        talk.voice.close()


def test_push_to_talk_by_telephone(talks: Talks) -> None:
    """The last of what was said is sent before the commit: 100 ms are enough in G.711, too."""
    config = {"input_audio_format": "g711_ulaw", "turn_detection": None}
    with Emulator(pace=0, keep_audio=True) as service:
        talk = talks(service=service, client={"session_config": config}, push_to_talk=True)
        talk.voice.press()
        talk.microphone.bring(*[BLOCK] * 5)
        service.wait_for_command("input_audio_buffer.append")
        talk.voice.release()
        service.wait_for_command("input_audio_buffer.commit")

        assert len(sent_audio(service)) == 800
        talk.speaker.wait_until_finished()
        talk.voice.close()


# ------------------------------------------------------------ echo


def test_half_duplex(talks: Talks, talker: Emulator) -> None:
    """While the answer plays the service hears silence, so nothing interrupts it."""
    talk = talks(service=talker, echo="half_duplex")
    talk.answered()
    talk.speaker.play_on(500)

    talk.microphone.bring(*SPEECH)
    talker.wait_for_command("input_audio_buffer.append", count=len(SPEECH))

    assert not any(sent_audio(talker))
    assert talk.speaker.is_playing


def test_an_assistant_that_hears_itself(talks: Talks, caplog: pytest.LogCaptureFixture) -> None:
    """After the third interruption by its own voice the user is told, and the log once."""
    events = Probe()
    # A turn begins late enough for the echo to be recognised, and ends before the next one.
    detection = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 200}
    alone = {"turn_detection": {**detection, "create_response": False}}
    with Emulator(pace=0, responder=lambda *_: LONG, keep_audio=True) as service:
        talk = talks(service=service, on_event=events, client={"session_config": alone})
        for number in range(1, 5):
            item = talk.answered()
            echo = said(service, item)[:48_000]
            talk.speaker.now = talk.microphone.now
            talk.speaker.play_on(1000)
            later = bytes(4_800) + echo
            talk.microphone.bring(*(later[at : at + 960] for at in range(0, 24_000, 960)))
            talk.speaker.wait_until_stopped(number)
            if number == 3:
                hint = events.until(lambda event: isinstance(event, SelfInterruption))[-1]
            talk.microphone.bring(*PAUSE)
            service.wait_for_command("input_audio_buffer.append", count=number * (25 + len(PAUSE)))
        talk.voice.close()

    assert hint.interruptions == 3
    assert "headphones" in hint.advice
    assert caplog.text.count("the assistant interrupts itself") == 1
    caplog.clear()


def test_a_policy_that_does_not_exist(client: AzureRealTimeAudio) -> None:
    """It is refused with those that do."""
    with pytest.raises(ValueError, match='"headphones", "half_duplex", "gate", "cancel"'.replace('"', "'")):
        VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="none")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["usb", 3])
def test_the_name_of_a_device_is_no_device(client: AzureRealTimeAudio, device: Any) -> None:
    """Whoever passes what Microphone takes is told to pass one."""
    with pytest.raises(TypeError, match=r"microphone is .*: pass a device, Microphone\("):
        client.talk(device, StageSpeaker())
    with pytest.raises(TypeError, match=r"speaker is .*: pass a device, Speaker\("):
        client.talk(StageMicrophone(), device)


def test_a_device_made_for_another_rate(client: AzureRealTimeAudio) -> None:
    """What would be heard too high or too low is refused; a device of no rate of its own is believed."""
    with pytest.raises(ValueError, match=r"the microphone has sample_rate_hz=48000, .* needs 24000"):
        client.talk(Microphone(sample_rate_hz=48_000), StageSpeaker())
    with pytest.raises(ValueError, match=r"the speaker has sample_rate_hz=16000, .* needs 24000"):
        client.talk(StageMicrophone(), Speaker(sample_rate_hz=16_000))


def test_a_canceller_that_is_not_installed(
    client: AzureRealTimeAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "livekit", None)

    with pytest.raises(MissingExtraError, match=r"azure-rt-audio\[echo\]"):
        VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="cancel")


# ------------------------------------------------------------ the end


def test_the_client_ends(talks: Talks) -> None:
    """When the conversation is closed, so are the devices, by themselves."""
    talk = talks()

    talk.client.close()

    assert talk.voice.wait(HANG)
    assert talk.microphone.is_closed.is_set()
    assert talk.speaker.is_closed.is_set()
    assert not talk.voice.is_open


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_an_end_that_nobody_asked_for_is_raised(
    caplog: pytest.LogCaptureFixture, is_waited_for: bool
) -> None:
    """By every wait for the end; then the log need not say it as well."""
    with Emulator(pace=0) as service:
        client = AzureRealTimeAudio(service.options())
        client.wait_until_ready(HANG)
        voice = VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="headphones")
        voice.start()
        waiting = Aside(voice.wait) if is_waited_for else None
        while is_waited_for and not client._engine.waiters._told_of_end:
            voice._has_ended.wait(0.005)
        service.inject(Close(4000, "session_expired"))
        if not is_waited_for:
            assert voice._has_ended.wait(HANG)
        for _ in range(2):
            with pytest.raises(ConnectionClosedError, match="4000"):
                waiting.result() if waiting is not None else voice.wait(HANG)
        assert voice.close(HANG)
        client.close()

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (0 if is_waited_for else 1)
    caplog.clear()


def test_a_device_that_fails_is_raised(client: AzureRealTimeAudio) -> None:
    """The conversation cannot go on without it; the connection does."""

    class Broken(StageMicrophone):
        def read(self, timeout: float | None = None) -> bytes | None:
            if failing.wait(0.01):
                raise DeviceError("the microphone has caught fire")
            return None

    failing = threading.Event()
    with VoiceSession(client, Broken(), StageSpeaker(), echo="headphones") as voice:
        waiting = Aside(voice.wait)
        while not voice._waiting:
            voice._has_ended.wait(0.005)
        failing.set()
        with pytest.raises(DeviceError, match="fire"):
            waiting.result()
    assert client.ask("Still there?", timeout=HANG).is_completed


class Doomed(StageMicrophone):
    """A microphone that fails, and fails again when it is closed."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure
        self.failing = threading.Event()

    def read(self, timeout: float | None = None) -> bytes | None:
        if self.failing.wait(0.01):
            raise self.failure
        return None

    def close(self) -> None:
        super().close()
        raise self.failure


class Mute(StageSpeaker):
    """A speaker that neither stops nor closes without an error."""

    def stop(self) -> Any:
        raise OSError("no such device")

    def close(self) -> None:
        super().close()
        raise OSError("no such device")


@pytest.mark.parametrize("failure", [DeviceError("gone"), OSError("gone"), CancelledError("gone")], ids=repr)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # what is no error of ours
def test_devices_that_fail_at_the_end_keep_nobody_waiting(
    client: AzureRealTimeAudio, caplog: pytest.LogCaptureFixture, failure: BaseException
) -> None:
    """Whatever they raise, the session ends, the waits for it end, and another one may start."""
    microphone, speaker = Doomed(failure), Mute()
    voice = VoiceSession(client, microphone, speaker, echo="headphones")
    voice.start()
    waiting = Aside(voice.wait)
    microphone.failing.set()
    with pytest.raises(RealtimeError, match="gone"):
        waiting.result()

    assert voice.close(HANG)
    assert microphone.is_closed.is_set()
    assert speaker.is_closed.is_set()
    assert "Doomed.close" in caplog.text
    assert "Mute.close" in caplog.text
    caplog.clear()
    with VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="headphones") as voice:
        assert voice.is_open


def test_what_a_device_raised_at_the_start_is_what_is_raised(
    client: AzureRealTimeAudio, caplog: pytest.LogCaptureFixture
) -> None:
    """Not what it, or the other one, raises when it is closed after that."""

    class Broken(Doomed):
        def start(self) -> None:
            raise MissingExtraError("A microphone", "audio")

    with pytest.raises(MissingExtraError):
        VoiceSession(client, Broken(OSError("gone")), Mute(), echo="headphones").start()

    caplog.clear()
    with VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="headphones") as voice:
        assert voice.is_open


def test_close_from_its_own_thread(talks: Talks, talker: Emulator) -> None:
    """A listener of the session may close it; it cannot wait for itself, but it ends."""
    closed = Probe()
    holder: list[VoiceSession] = []
    talk = talks(service=talker, on_event=lambda event: closed(holder[0].close()))
    holder.append(talk.voice)
    talk.microphone.bring(BLOCK)

    closed.next()

    assert talk.voice.wait(HANG)


def test_one_at_a_time(client: AzureRealTimeAudio) -> None:
    """A second one of a client is refused while the first goes on, and can be started when that has ended."""
    first, second = (VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="gate") for _ in "12")
    with first:
        with pytest.raises(RuntimeError, match=r"another voice session of this client goes on.*close\(\)"):
            second.start()
        assert not second.is_open
    with second:
        assert second.is_open


def test_before_the_start(client: AzureRealTimeAudio) -> None:
    """What has no effect before it, or no end, is refused with the remedy; closed, it has ended."""
    voice = VoiceSession(client, StageMicrophone(), StageSpeaker(), echo="headphones", push_to_talk=True)
    for call in (voice.wait, lambda: voice.wait(0), voice.interrupt, voice.press, voice.release):
        with pytest.raises(RuntimeError, match=r"not started: use it in a with statement, or call start\(\)"):
            call()
    voice.close()
    assert voice.wait(HANG)


def test_talk(client: AzureRealTimeAudio) -> None:
    """The client makes a session with the devices it is given."""
    microphone, speaker = StageMicrophone(), StageSpeaker()
    with client.talk(microphone, speaker, echo="headphones") as voice:
        assert (voice.microphone, voice.speaker) == (microphone, speaker)
        assert voice.is_open
        assert not voice.is_push_to_talk
        assert not voice.is_muted


def test_a_program_that_does_not_talk_loads_nothing_of_it() -> None:
    """Importing the package brings neither devices nor arithmetic of sound."""
    unwanted = "('numpy', 'azure_rt_audio.voice', 'azure_rt_audio.devices')"
    program = f"import sys, azure_rt_audio; print([m for m in {unwanted} if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_with(client: AzureRealTimeAudio) -> None:
    """In a with statement it begins and ends; it does not begin twice, and not again."""
    microphone, speaker = StageMicrophone(), StageSpeaker()
    with VoiceSession(client, microphone, speaker) as voice:
        voice.start()
        assert voice.is_open
        assert not voice.wait(0)
    assert voice.close(HANG)
    assert microphone.is_closed.is_set()
    with pytest.raises(RuntimeError, match="has ended"):
        voice.start()


def test_a_device_that_cannot_be_opened(client: AzureRealTimeAudio) -> None:
    """What the device raises is raised, and nothing is left running."""

    class Broken(StageMicrophone):
        def start(self) -> None:
            raise MissingExtraError("A microphone", "audio")

    microphone, speaker = Broken(), StageSpeaker()
    with pytest.raises(MissingExtraError):
        VoiceSession(client, microphone, speaker).start()

    assert speaker.is_closed.is_set()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("azure-rt-voice")]


def test_a_listener_that_fails(talks: Talks, talker: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """An error of the program's own is logged and disturbs nothing."""
    told = Probe()
    failures = [ValueError("mine")]

    def fail_first(event: Any) -> None:
        told(event)
        if failures:
            raise failures.pop()

    caplog.clear()
    caplog.set_level(logging.WARNING)
    talk = talks(service=talker, on_event=fail_first)
    talk.microphone.bring(*SPEECH)
    told.next()
    told.next()

    assert "mine" in caplog.text
    caplog.clear()
