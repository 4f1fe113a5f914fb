"""The screen of ``talk`` on textual's own test terminal: a real conversation, keys, and narrow places."""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from fake_devices import BLOCK, QUIET, StageMicrophone, StageSpeaker
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, SendLag, Tool, Tools
from azure_rt_audio._cli.talk.conversation_log import EVENTS, ConversationLog
from azure_rt_audio._cli.talk.view import TalkView
from azure_rt_audio.dispatch import QueueDispatcher
from azure_rt_audio.emulator import (
    Close,
    Emulator,
    Faults,
    FunctionCall,
    Refuse,
    Reply,
    after,
    at_handshake,
)
from azure_rt_audio.voice import VoiceSession

pytestmark = pytest.mark.thorough

LONG = "This answer is long enough to be spoken over, and it goes on for quite a while after that."


class Talk:
    """A conversation and its screen."""

    def __init__(
        self, emulator: Emulator, client: AzureRealTimeAudio, queue: QueueDispatcher, *, push_to_talk: bool
    ) -> None:
        self.emulator = emulator
        self.microphone, self.speaker = StageMicrophone(), StageSpeaker()
        self.dialogue = ConversationLog()
        for event in EVENTS:
            client.on(event, self.dialogue.update)
        client.on("error", self.dialogue.update)
        self.voice = VoiceSession(
            client,
            self.microphone,
            self.speaker,
            echo="headphones",
            push_to_talk=push_to_talk,
            on_event=self.dialogue.update,
        )
        self.view = TalkView(self.dialogue, queue.run_pending, self.voice, "a service", "voice: alloy")

    def lines(self) -> list[str]:
        """What can be read on the screen, line by line."""
        rows: dict[float, str] = {}
        cells = r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>'
        for x, y, text in re.findall(cells, self.view.export_screenshot()):
            row = rows.get(float(y), "").ljust(round(float(x) / 12.2))  # a cell is that wide
            rows[float(y)] = row + html.unescape(text).replace("\xa0", " ")
        return [row.rstrip() for _, row in sorted(rows.items())]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to be so, while the screen goes on."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + HANG
        while not condition():
            assert clock() < deadline, "\n".join(self.lines())
            await asyncio.sleep(0.02)

    async def until_shown(self, text: str) -> None:
        """Wait for a text on the screen."""
        await self.until(lambda: any(text in line for line in self.lines()))


TRANSCRIBED: Final = {"session_config": {"input_audio_transcription": {"model": "gpt-4o-transcribe"}}}


def play(
    story: Callable[[Talk, Any], Awaitable[None]],
    *,
    size: tuple[int, int] = (90, 24),
    push_to_talk: bool = False,
    tools: Tools | None = None,
    **service: Any,
) -> Talk:
    """Run a conversation on a screen, with somebody at its keyboard, to the end of the story."""
    with Emulator(pace=0, **service) as emulator:
        queue = QueueDispatcher()
        options = {**emulator.options(), **TRANSCRIBED}
        with contextlib.closing(AzureRealTimeAudio(options, dispatcher=queue, tools=tools)) as client:
            talk = Talk(emulator, client, queue, push_to_talk=push_to_talk)
            with talk.voice:

                async def main() -> None:
                    async with talk.view.run_test(size=size) as pilot:
                        await story(talk, pilot)

                asyncio.run(main())
    return talk


SPEECH = [*[BLOCK] * 10, *[QUIET] * 30]


def test_both_sides_are_shown() -> None:
    """What is asked and answered, the status, the latency, the levels and the keys are on the screen."""

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("you How are you?")
        await talk.until_shown("model " + LONG[:30])
        await talk.until_shown("● speaking")
        talk.speaker.level_db = -20.0
        talk.speaker.play_on(200)
        await talk.until_shown("answered after")
        await talk.until_shown("m Mute")
        talk.microphone.bring(BLOCK)

        def level_is_shown() -> bool:
            """Levels are told with sound, a few times a second: one block may be none of them."""
            talk.microphone.bring(QUIET)
            return any("-20 dB" in line for line in talk.lines())

        await talk.until(level_is_shown)
        shown = talk.lines()
        assert shown[0].strip() == "a service"
        assert "voice: alloy" in shown[1]
        assert "█" in shown[-2]
        assert "m Mute" in shown[-1]
        assert "Talk / send" not in shown[-1]
        talk.speaker.play_out()
        await talk.until_shown("● idle")

    play(story, recogniser=["How are you?"], responder=lambda *_: LONG)


def test_the_keys_do_what_they_say() -> None:
    """``m`` mutes and unmutes, ``i`` stops the answer where it was heard, ``q`` leaves."""

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until_shown("● idle")
        await pilot.press("m")
        await talk.until_shown("● muted")
        assert talk.voice.is_muted
        await pilot.press("m")
        await talk.until_shown("● idle")
        assert not talk.voice.is_muted

        talk.microphone.bring(*SPEECH)
        await talk.until_shown("● speaking")
        talk.speaker.wait_until_finished()
        talk.speaker.play_on(1_000)
        await pilot.press("i")
        await talk.until_shown("… [interrupted]")
        assert not any("quite a while after that" in line for line in talk.lines())
        await pilot.press("q")

    talk = play(story, recogniser=["How are you?"], responder=lambda *_: LONG)
    assert (talk.view.return_code, talk.dialogue.end) == (0, None)


def test_ctrl_c_leaves() -> None:
    """It is the same as ``q``, as everywhere else."""

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until_shown("● idle")
        await pilot.press("ctrl+c")

    assert play(story).view.return_code == 0


def test_push_to_talk() -> None:
    """The space bar begins to record, and the second time has it answered; what is said else is not heard."""

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until_shown("space records")
        await talk.until_shown("Talk / send")
        talk.microphone.bring(*SPEECH)
        await pilot.press("space")
        await talk.until_shown("● recording")
        talk.microphone.bring(*SPEECH)
        await talk.until(lambda: talk.microphone.read(0.0) is None)
        await pilot.press("space")
        await talk.until_shown("you Here I am.")
        await talk.until_shown("model " + LONG[:30])

    play(story, push_to_talk=True, recogniser=["Here I am."], responder=lambda *_: LONG)


def test_a_narrow_terminal() -> None:
    """On 40 columns and 14 lines the words are wrapped, the meters stacked, and nothing is cut off."""

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("after that.")
        await talk.until_shown("m Mute")
        shown = talk.lines()
        words = " ".join(line.strip() for line in shown)
        assert LONG in words
        assert [line.split()[0] for line in shown[-3:]] == ["you", "model", "m"]
        assert max(map(len, shown)) <= 40

    play(story, size=(40, 14), recogniser=["How are you?"], responder=lambda *_: LONG)


def test_a_long_conversation_stays_at_its_end() -> None:
    """The newest line is in view; who has scrolled back, with the keys for that, is left there."""

    async def story(talk: Talk, pilot: Any) -> None:
        for number in range(30):
            talk.dialogue.note(f"note {number}.")
        await talk.until_shown("note 29.")
        assert not any("note 0." in line for line in talk.lines())
        await pilot.press("home")
        await talk.until_shown("note 0.")
        talk.dialogue.note("note 30.")
        await pilot.pause(0.2)
        assert any("note 0." in line for line in talk.lines())

    play(story)


def test_a_model_cannot_drive_the_terminal() -> None:
    """Control characters in an answer do not reach the screen, and markup is text."""

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("[red]No[/red]\\x1b]0;owned\\x07done")
        assert all(line.isprintable() for line in talk.lines())

    play(story, recogniser=["How are you?"], responder=lambda *_: "[red]No[/red]\x1b]0;owned\x07done")


def send_mail(to: str) -> str:
    """Send mail."""
    return f"sent to {to}\x1b[31m"


def test_a_tool_waits_for_a_yes_or_no() -> None:
    """Calls are shown with their results; who is asked says y or n, one call after the other."""
    names = ("Ada", "Bo\x1b]0;x\x07", "Cy")

    def reply(conversation: Any, session: Any) -> Any:
        if conversation.items[-1].type == "function_call_output":
            return "That is all."
        return Reply(calls=[FunctionCall("send_mail", {"to": name}) for name in names])

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until_shown("● idle")
        assert not any("Yes" in line for line in talk.lines())
        await pilot.press("y")  # nothing is asked
        talk.microphone.bring(*SPEECH)
        await talk.until_shown('May it run? send_mail({"to": "Ada"})   y yes · n no   (2 more)')
        await talk.until_shown("y Yes")
        await pilot.press("y")
        await talk.until_shown(r'send_mail({"to": "Ada"}) → sent to Ada\x1b[31m')
        await talk.until_shown("(1 more)")
        await pilot.press("n")
        await talk.until_shown('May it run? send_mail({"to": "Cy"})')
        await talk.until_shown("the user has said no")
        await pilot.press("y")
        await talk.until_shown('send_mail({"to": "Cy"}) → sent to Cy')
        await talk.until_shown("model That is all.")
        await talk.until(lambda: not any("y yes" in line or "y Yes" in line for line in talk.lines()))
        assert all(line.isprintable() for line in talk.lines())

    tools = Tools(Tool(send_mail, needs_approval=True))
    talk = play(story, tools=tools, size=(100, 30), recogniser=["Send mail."], responder=reply)
    assert [line.role for line in talk.dialogue.lines] == ["you", "tool", "tool", "tool", "model"]


def test_what_nobody_decides_is_not_asked_for_any_more() -> None:
    """The question goes when the time is over, as the model is told."""

    def reply(conversation: Any, session: Any) -> Any:
        last = conversation.items[-1]
        if last.type == "function_call_output":
            return "Well."
        return Reply(calls=[FunctionCall("send_mail", {"to": "Ada"})])

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("May it run?")
        await talk.until_shown("within 0.5 seconds")
        await talk.until(lambda: not any("May it run?" in line for line in talk.lines()))

    tools = Tools(Tool(send_mail, needs_approval=True, approval_timeout_s=0.5))
    play(story, tools=tools, size=(100, 30), recogniser=["Send mail."], responder=reply)


def test_a_lost_connection_is_told_and_stays() -> None:
    """What happened is on the screen until the user leaves."""

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("q quits")
        await talk.until(lambda: any(line.lstrip().startswith("! ") for line in talk.lines()))
        await pilot.press("q")

    talk = play(story, faults=Faults(after("response.created", Close(4000, "Not any more."))))
    assert talk.dialogue.end is not None


def test_a_connection_that_is_made_again_is_told() -> None:
    """While there is none, the screen says so; then it says what was restored, and the talk goes on."""

    async def story(talk: Talk, pilot: Any) -> None:
        talk.microphone.bring(*SPEECH)
        await talk.until_shown("done")
        talk.speaker.wait_until_finished()
        talk.speaker.play_out()
        talk.emulator.faults.add(at_handshake(Refuse(503)))
        talk.emulator.drop()
        await talk.until_shown("● reconnecting")
        await talk.until_shown("Reconnecting in")
        await talk.until_shown("Connected again after")
        await talk.until(lambda: not any("● reconnecting" in line for line in talk.lines()))
        talk.microphone.bring(*SPEECH)
        await talk.until(lambda: sum("done" in line for line in talk.lines()) == 2)
        await pilot.press("q")

    talk = play(story, recogniser=["How are you?", "And now?"], responder=lambda *_: "done")
    assert talk.dialogue.end is None
    assert [line.role for line in talk.dialogue.lines] == ["you", "model", "note", "note", "you", "model"]
    assert "2 restored, nothing lost" in talk.dialogue.lines[3].text


def test_a_line_that_is_too_slow_is_told() -> None:
    """Beside the status, in seconds, until it has caught up."""

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until_shown("● idle")
        talk.dialogue.update(SendLag(lag_s=3.21, unsent_bytes=1, dropped_s=0.0, is_behind=True))
        await talk.until_shown("lag 3.2 s")
        talk.dialogue.update(SendLag(lag_s=0.1, unsent_bytes=0, dropped_s=0.0, is_behind=False))
        await talk.until(lambda: not any("lag" in line for line in talk.lines()))
        await pilot.press("q")

    assert SendLag in EVENTS
    play(story)


def test_a_connection_that_is_never_made_ends_the_screen() -> None:
    """There is nothing to look at: the command line tells the reason."""

    async def story(talk: Talk, pilot: Any) -> None:
        await talk.until(lambda: not talk.view.is_running)

    talk = play(story, faults=Faults(at_handshake(Refuse(401), times=None)))
    assert "401" in str(talk.dialogue.end)
