"""A guard in a spoken conversation: the speaker falls silent, and the answer is cut to what was heard."""

from __future__ import annotations

import threading

import pytest
from fake_devices import StageMicrophone, StageSpeaker
from listeners import HANG, Probe, message

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.events import ConversationItemTruncated, GuardTripped
from azure_rt_audio.voice import Interrupted

TALE = "Once upon a time there was a king who had a secret, and he told it to a reed by the river at night."


@pytest.mark.parametrize("is_over", [True, False], ids=["all has come", "it still comes"])
def test_the_answer_is_cut_to_what_was_heard(dialect: str, is_over: bool) -> None:
    """Whether it is still coming, or all of it is there and only played on."""
    go_on, heard = threading.Event(), Probe()
    speaker = StageSpeaker()

    def guard(text: str) -> str | None:
        if "king" not in text:
            return None
        assert go_on.wait(HANG)
        return "a king"

    with (
        Emulator(responder=lambda *_: TALE, pace=0 if is_over else 4) as service,
        AzureRealTimeAudio(service.options(dialect), guard=guard) as client,
        client.talk(StageMicrophone(), speaker, echo="headphones", on_event=heard),
        client.events(GuardTripped, timeout=HANG) as tripped,
        client.events(ConversationItemTruncated, timeout=HANG) as truncated,
    ):
        client.create_conversation_item(message("tell"))
        pending = client.create_response()
        if is_over:
            speaker.wait_until_finished()
        else:
            speaker.wait_for_ms(500)
        speaker.play_on(321)
        go_on.set()
        event, cut = next(tripped), next(truncated)
        speaker.wait_until_stopped()
        response = pending.result(HANG)
        (told,) = (
            one for one in heard.until(lambda e: isinstance(e, Interrupted)) if isinstance(one, Interrupted)
        )
        is_playing = speaker.is_playing
        entry = client.conversation.get(cut.item_id)
        deleted = service.received("conversation.item.delete")

    assert (event.reason, event.response_id) == ("a king", response.id)
    assert (response.status, response.reason) == ("cancelled", "guard")
    assert cut.audio_end_ms == 321
    assert [(one.item_id, one.heard_ms) for one in told.cuts] == [(cut.item_id, 321)]
    assert not told.by_user
    assert not is_playing
    assert entry is not None
    assert deleted == []


def test_the_conversation_goes_on(dialect: str) -> None:
    """What is asked for meanwhile comes, and is played; a stop that comes late disturbs nobody."""
    go_on = threading.Event()
    speaker = StageSpeaker()
    answers = iter([TALE, "Something else."])

    def guard(text: str) -> str | None:
        if text.startswith("Once"):
            assert go_on.wait(HANG)
            return "a tale"
        return None

    with (
        Emulator(responder=lambda *_: next(answers), pace=0) as service,
        AzureRealTimeAudio(service.options(dialect), guard=guard) as client,
        client.talk(StageMicrophone(), speaker, echo="headphones"),
        client.events(GuardTripped, timeout=HANG) as tripped,
    ):
        client.create_conversation_item(message("tell"))
        first = client.create_response()
        speaker.wait_until_finished()
        speaker.play_out()  # all of it was heard before the guard has made up its mind
        client.create_conversation_item(message("something else"))
        second = client.create_response()
        speaker.wait_until_finished(2)
        go_on.set()
        next(tripped)
        assert first.result(HANG).reason == "guard"
        assert second.result(HANG).is_completed
        client.wait_until_ready()
        assert speaker.is_playing
        speaker.play_out()
        heard = len(speaker.heard(speaker.items[-1]))

    assert heard > 0
    assert speaker.stops <= 1  # at the end of the voice session
