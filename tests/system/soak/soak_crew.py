"""
What users do all day: long conversations, short ones, forgotten ones, listeners that come and go.

Threads: each member of the crew is one thread and does one thing over and over, at its own pace. What
surprises it is noted, and it goes on with a new client.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Annotated, Any, Final

from soak_talk import PATIENCE, Kind, Site, Surprise, Talk, Tally, expect

from azure_rt_audio import AzureRealTimeAudio, RealtimeError
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta
from azure_rt_audio.tools import Tools

__all__ = ["Asker", "Dropper", "Fickle", "Member", "Talker", "Visitor"]

KINDS: Final = [
    Kind(dialect, is_tls, dispatcher)
    for dispatcher in ("worker", "inline", "queue")
    for dialect, is_tls in (("ga", False), ("preview", True), ("ga", True), ("preview", False))
]
"""All there are."""
_BETWEEN_DELTAS: Final = 1.0
"""Seconds within which a talker is sent one as a rule."""
_MISSED_IN_A_ROW: Final = 10


class Member(threading.Thread):
    """
    One of the crew.

    Args:
        pause: Seconds between two turns.
    """

    def __init__(self, name: str, site: Site, tally: Tally, stop: threading.Event, pause: float) -> None:
        super().__init__(name=f"soak-{name}", daemon=True)
        self.site = site
        self.tally = tally
        self.stop = stop
        self.pause = pause
        self.turns = 0
        self.last_turn = time.monotonic()

    def run(self) -> None:
        """Take turns until told to stop."""
        while not self.stop.is_set():
            try:
                self.turn()
            except Exception as exc:  # noqa: BLE001 - a soak goes on, and tells in the end
                self.tally.surprise(self.name, exc)
                self.recover()
            self.turns += 1
            self.last_turn = time.monotonic()
            self.stop.wait(self.pause)

    def turn(self) -> None:
        """Do what it does, once."""
        raise NotImplementedError

    def recover(self) -> None:
        """Get over a surprise."""

    def finish(self) -> None:
        """Take leave; called when all members have stopped."""


class Talker(Member):
    """One long conversation, from the beginning to the end of the soak."""

    def __init__(self, number: int, kind: Kind, deltas: int, *rest: Any) -> None:
        over = "tls" if kind.is_tls else "plain"
        super().__init__(f"talker-{kind.dialect}-{over}-{kind.dispatcher}", *rest)
        self._number = number  # lest all of them do the same at the same time
        self._kind = kind
        self._deltas = deltas
        self.talk: Talk | None = None

    def turn(self) -> None:
        """Speak, be answered, and now and then something larger or shorter."""
        talk = self.talk = self.talk or Talk(self.site, self.tally, self._kind).ready()
        talk.append(20, pause=lambda: self.stop.wait(0.005))
        talk.commit()
        which = (self.turns + self._number) % 10
        orders = f"deltas={self._deltas} seconds=0.7"
        if which == 3:
            response = talk.answer(orders, cancel_after=5)
            # On a busy machine the cancellation comes when the service has sent all of it.
            expect(response.status in ("cancelled", "completed"), f"a cancelled response {response.status}")
        elif which == 7:
            talk.answer("deltas=1 bytes=1000000")
            talk.create_item(self.turns, 300_000)
        else:
            talk.answer(orders, by_handle=which % 2 == 0)
        talk.forget()

    def recover(self) -> None:
        """Begin another conversation."""
        talk, self.talk = self.talk, None
        if talk is not None:
            with contextlib.suppress(RealtimeError, Surprise):
                talk.announce()  # else what was appended would count as lost as well
            talk.client.close(1.0)

    def finish(self) -> None:
        """Say goodbye."""
        if self.talk is not None:
            self.talk.close()
            self.talk = None


class Visitor(Member):
    """Comes, says something, gets an answer and goes."""

    def turn(self) -> None:
        """One visit."""
        talk = Talk(self.site, self.tally, KINDS[self.turns % len(KINDS)]).ready()
        try:
            talk.append(3, size=960)
            talk.commit()
            talk.answer("deltas=10 bytes=960")
            talk.append(3, size=960)  # written before the goodbye, and still delivered
            talk.close()
        finally:
            talk.client.close(1.0)


class Dropper(Member):
    """Forgets to close: the connection must end when nobody refers to the client any more."""

    def turn(self) -> None:
        """Forget one."""
        client = self._forget(KINDS[self.turns % len(KINDS)])
        gc.collect()
        # The I/O thread may hold it for as long as it delivers an event.
        deadline = time.monotonic() + PATIENCE
        while client() is not None and time.monotonic() < deadline:
            self.stop.wait(0.01)
            gc.collect()
        expect(client() is None, "a client that nobody holds is still there")

    def _forget(self, kind: Kind) -> weakref.ReferenceType[AzureRealTimeAudio]:
        talk = Talk(self.site, self.tally, kind).ready()
        talk.append(5)
        talk.announce()
        self.tally.add("dropped")
        return weakref.ref(talk.client)


class Fickle(Member):
    """Adds listeners to the long conversations and takes them away again, in every way there is."""

    def __init__(self, talkers: list[Talker], *rest: Any) -> None:
        super().__init__("fickle", *rest)
        self._missed = 0
        self._talkers = talkers

    def turn(self) -> None:
        """Add some and take them away."""
        talk = self._talkers[self.turns % len(self._talkers)].talk
        if talk is None:
            return
        client = talk.client
        told = threading.Event()

        def listener(_: object) -> None:
            told.set()

        subscriptions = [client.on(name, listener) for name in ("response.audio.delta", "response.done", "*")]
        client.once("response.created", listener)
        for subscription in subscriptions:
            subscription.cancel()
        client.on(ResponseOutputAudioDelta, listener)
        client.off(ResponseOutputAudioDelta, listener)
        client.off("response.created", listener)
        try:
            self._wait(client, self.turns % 4)
        except TimeoutError:
            self._missed += 1  # a talker that has stopped is sent nothing any more
            expect(self._missed < _MISSED_IN_A_ROW, "a conversation has fallen silent")
        else:
            self._missed = 0
        self.tally.add("listeners", 6)

    def _wait(self, client: AzureRealTimeAudio, which: int) -> None:
        if which == 0:
            client.wait_for("response.audio.delta", timeout=_BETWEEN_DELTAS)
        elif which == 1:
            with client.events("response.audio.delta", timeout=_BETWEEN_DELTAS) as events:
                for _ in itertools.islice(events, 3):
                    self.tally.add("streamed")
        elif which == 2:
            with contextlib.suppress(TimeoutError):
                client.wait_for("no.such.event", timeout=0.01)


class Asker(Member):
    """Asks the emulator: text, functions, and answers that are interrupted; a new client every while."""

    _CLIENT_TURNS: Final = 30

    def __init__(self, *rest: Any) -> None:
        super().__init__("asker", *rest)
        self._client: AzureRealTimeAudio | None = None
        self._tools = Tools(get_weather)

    def turn(self) -> None:
        """Ask one thing."""
        client = self._client = self._client or self._connect()
        asks: list[Callable[[AzureRealTimeAudio], None]] = [self._text, self._function, self._interrupted]
        asks[self.turns % len(asks)](client)
        self.tally.add("asked")
        if self.turns % self._CLIENT_TURNS == self._CLIENT_TURNS - 1:
            self.finish()

    def _connect(self) -> AzureRealTimeAudio:
        kind = KINDS[self.turns // self._CLIENT_TURNS % 4]
        self.tally.add("connects")
        options = self.site.options(kind, "gpt-realtime", emulator=True)
        session = {"turn_detection": None, "modalities": ["text"], "tools": self._tools.declarations}
        client = AzureRealTimeAudio(
            {**options, "session_config": session}, {"ssl_context": self.site.tls}, reconnect=None
        )
        self.tally.clients.add(client)
        client.on("error", self.tally.note_error)
        client.wait_until_ready(PATIENCE)
        return client

    def _text(self, client: AzureRealTimeAudio) -> None:
        wanted = f"number {self.turns}"
        said = client.ask(f"Say: {wanted}", timeout=PATIENCE).text
        expect(said == wanted, f"asked to say {wanted!r} it said {said!r}")

    def _function(self, client: AzureRealTimeAudio) -> None:
        response = client.ask("What is the weather in Lisbon?", timeout=PATIENCE)
        expect(response.function_calls, f"no function was called, but {response.text!r} said")
        for call in response.function_calls:
            client.create_conversation_item(self._tools.call(call))
        said = client.create_response().result(PATIENCE).text
        expect("sunny" in said, f"the function's answer did not arrive: {said!r}")

    def _interrupted(self, client: AzureRealTimeAudio) -> None:
        part = {"type": "input_text", "text": "Count to 30"}
        client.create_conversation_item({"type": "message", "role": "user", "content": [part]})
        pending = client.create_response({"modalities": ["text", "audio"]})
        for number, _ in enumerate(pending.audio(PATIENCE)):
            if number == 2:
                pending.cancel()
        status = pending.result(PATIENCE).status
        expect(status in ("cancelled", "completed"), f"an interrupted answer ended as {status}")

    def recover(self) -> None:
        """Begin anew."""
        client, self._client = self._client, None
        if client is not None:
            client.close(1.0)

    def finish(self) -> None:
        """Say goodbye."""
        client, self._client = self._client, None
        if client is not None and not client.close():
            raise Surprise("close() did not end the threads")


def get_weather(city: Annotated[str, "Name of the city"]) -> dict[str, str]:
    """Tell the present weather of a city."""
    return {"city": city, "sky": "sunny"}
