"""
A client of the soak, with everything counted that it sends and is sent.

Threads and locks: a :class:`Talk` is used by one thread at a time; its listeners run where its dispatcher
has them run. ``Tally._lock`` is a leaf and guards the counters.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import attrs
from soak_numbers import Checker, are_whole, numbered, words

from azure_rt_audio import AzureRealTimeAudio, InlineDispatcher, QueueDispatcher, RealtimeError
from azure_rt_audio.protocol.events import ResponseDone, ResponseOutputAudioDelta
from azure_rt_audio.protocol.events.local import Closed
from azure_rt_audio.protocol.responses import Response

__all__ = ["PATIENCE", "Kind", "Site", "Surprise", "Talk", "Tally", "expect"]

PATIENCE: Final = 20.0
"""Seconds after which a wait counts as a hang."""
_SHOWN: Final = 20
"""Surprises that are kept in words."""
_VERSIONS: Final = {"ga": "v1", "preview": "2025-04-01-preview"}


class Surprise(Exception):  # noqa: N818 - it is what it says
    """Something happened that the library does not promise."""


def expect(claim: object, otherwise: str) -> None:
    """Raise :class:`Surprise` unless the claim is true."""
    if not claim:
        raise Surprise(otherwise)


@attrs.frozen
class Kind:
    """Which dialect, over what, with listeners where: ``worker``, ``inline`` or ``queue``."""

    dialect: str
    is_tls: bool
    dispatcher: str = "worker"


class Tally:
    """
    What has happened so far.

    **Threads.** Any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf; guards the counters
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self.surprises: list[str] = []  # the first ones
        self.clients: weakref.WeakSet[AzureRealTimeAudio] = weakref.WeakSet()

    def add(self, name: str, count: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += count

    def note_error(self, error: RealtimeError) -> None:
        """Count what a listener of ``error`` was told, by its kind."""
        facts = (getattr(error, name, None) for name in ("status", "close_code", "code"))
        which = next((f" {fact}" for fact in facts if fact is not None), "")
        with self._lock:
            self._errors[type(error).__name__ + which] += 1

    def surprise(self, who: str, what: BaseException) -> None:
        """Note something that should not have happened."""
        self.add("surprises")
        if len(self.surprises) < _SHOWN:
            self.surprises.append(f"{who}: {type(what).__name__}: {what}")

    def snapshot(self) -> Counter[str]:
        """Return a copy of the counters."""
        with self._lock:
            return self._counts.copy()

    def errors(self) -> Counter[str]:
        """Return a copy of the errors by kind."""
        with self._lock:
            return self._errors.copy()


@attrs.frozen
class Site:
    """Where the service is, as it says itself."""

    facts: dict[str, Any]
    tls: ssl.SSLContext
    only_tls: bool = False

    def options(self, kind: Kind, deployment: str, *, emulator: bool = False) -> dict[str, Any]:
        """Return what a client needs."""
        is_tls = kind.is_tls or self.only_tls
        port = self.facts[f"{'wss' if is_tls else 'ws'}{'_emulator' if emulator else ''}_port"]
        return {
            "host_name": f"{'wss://localhost' if is_tls else 'ws://127.0.0.1'}:{port}",
            "api_version": _VERSIONS[kind.dialect],
            "deployment": deployment,
            "api_key": "emulator-key",
            "session_config": {"turn_detection": None, "modalities": ["text", "audio"]},
        }


class Talk:
    """
    A client of the counting service.

    Args:
        deployment: How it is to be treated; see ``soak_service.py``.
        queue: Where listeners run if the kind says ``queue``; ``None`` for one that this object
            serves while it waits.
        options: For the connection.
    """

    def __init__(
        self,
        site: Site,
        tally: Tally,
        kind: Kind,
        deployment: str = "soak",
        queue: QueueDispatcher | None = None,
        **options: Any,
    ) -> None:
        self._tally = tally
        self._queue = QueueDispatcher() if kind.dispatcher == "queue" and queue is None else None
        self._finished = threading.Semaphore(0)  # one for each response.done that a listener was told of
        self._ended = threading.Event()
        self._outcome: RealtimeError | None = None
        self._appended = 0
        self.errors: list[RealtimeError] = []
        self.heard = Checker(self._note_lost, lambda: tally.add("corrupted"))
        where = {"queue": queue or self._queue, "inline": InlineDispatcher()}.get(kind.dispatcher)
        tally.add("connects")
        self.client = AzureRealTimeAudio(
            site.options(kind, deployment),
            {"ssl_context": site.tls, **options},
            dispatcher=where,
            reconnect=None,  # what is counted is what one connection loses
        )
        tally.clients.add(self.client)
        # These listeners hold the client that holds them, as those of a program do.
        self.client.on(ResponseOutputAudioDelta, self._hear)
        self.client.on(ResponseDone, self._finish)
        self.client.on("error", self._note_error)
        self.client.on("closed", self._note_end)

    # Listeners.

    def _hear(self, event: ResponseOutputAudioDelta) -> None:
        self._tally.add("events")
        self.heard.take(event.audio)

    def _finish(self, event: ResponseDone) -> None:
        self.heard.finish(int((event.response.metadata or {})["sent"]))
        self._tally.add("responses")
        self._finished.release()

    def _note_lost(self, pieces: int) -> None:
        self._tally.add("lost", pieces)
        print(f"{self.client!r}: {pieces} deltas are missing", file=sys.stderr, flush=True)  # noqa: T201

    def _note_error(self, error: RealtimeError) -> None:
        self.errors.append(error)
        self._tally.note_error(error)

    def _note_end(self, event: Closed) -> None:
        self._outcome = event.error
        self._ended.set()

    # What a program does.

    def ready(self) -> Talk:
        """Wait until the session is ready."""
        self.client.wait_until_ready(PATIENCE)
        return self

    def append(self, pieces: int, size: int = 4800, pause: Callable[[], object] = lambda: None) -> None:
        """Send so many pieces of sound, with a pause after each."""
        for _ in range(pieces):
            self.client.append_audio(numbered(self._appended, size))
            self._appended += 1  # not if that raised: then it was not queued
            self._tally.add("sends")
            pause()

    def commit(self) -> str:
        """Have the service count what it received so far; return the item's name."""
        event = self.client.commit_audio().result(PATIENCE)
        arrived = int(event.item_id.rpartition("_")[2])
        if arrived != self._appended:
            self._tally.add("lost", abs(self._appended - arrived))
            raise Surprise(f"{arrived} appends arrived instead of {self._appended}")
        return str(event.item_id)

    def answer(self, orders: str, *, by_handle: bool = False, cancel_after: int = 0) -> Response:
        """
        Ask for a response and check all of it, where listeners run and, on request, through its handle.

        Args:
            orders: What it is to be like.
            cancel_after: Cancel it after so many pieces.
        """
        taken = attrs.evolve(self.heard)
        pending = self.client.create_response({"instructions": orders})
        if by_handle or cancel_after:
            for number, sound in enumerate(pending.audio(PATIENCE), 1):
                taken.take(sound)
                if number == cancel_after:
                    pending.cancel()
        response = pending.result(PATIENCE)
        if by_handle:
            taken.finish(int((response.metadata or {})["sent"]))
        expect(self.wait(lambda: self._finished.acquire(blocking=False)), "no listener was told of the end")
        return response

    def create_item(self, number: int, size: int) -> str:
        """Send a text of so many characters and check what comes back; return the item's name."""
        text = words(number, size)
        part = {"type": "input_text", "text": text}
        event = self.client.create_conversation_item(
            {"type": "message", "role": "user", "content": [part]}
        ).result(PATIENCE)
        back: Any = event.item
        if back.content[0].text != text or not are_whole(text):
            self._tally.add("corrupted")
        return str(back.id)

    def forget(self) -> None:
        """Delete all items: the mirror of a conversation grows with it, as it should."""
        for done in [
            self.client.delete_item(entry.item.id or "") for entry in self.client.conversation.entries
        ]:
            done.result(PATIENCE)

    def wait(self, is_so: Callable[[], object]) -> bool:
        """Wait until something is so, and run listeners meanwhile if they are ours to run."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not is_so():
            if time.monotonic() > deadline:
                return False
            if self._queue is not None:
                self._queue.run_pending(0.02)
            else:
                pause.wait(0.005)
        return True

    def run(self, queue: QueueDispatcher) -> None:
        """Run the listeners of a queue from now on, while this object waits."""
        self._queue = queue

    def wait_closed(self) -> RealtimeError:
        """Wait until listeners know that the connection is over, and return why it is."""
        expect(self.wait(self._ended.is_set), "no listener was told that the connection is over")
        assert self._outcome is not None
        return self._outcome

    def announce(self) -> None:
        """Say how much has been appended; what is said before the goodbye must arrive."""
        part = {"type": "input_text", "text": f"total {self._appended}"}
        self.client.create_conversation_item({"type": "message", "role": "user", "content": [part]})

    def close(self) -> None:
        """Announce, and say goodbye."""
        self.announce()
        expect(self.client.close(), "close() did not end the threads")
