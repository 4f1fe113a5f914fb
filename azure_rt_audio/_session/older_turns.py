"""
The sound of turns of the user that have no transcript, and that the client does not keep any more.

The session that is about to be replaced still has it. It is asked when another connection begins to be made,
and what comes until that one is configured, or within 2 s of that, is restored on it. What comes later, or
never, is lost, as it would be without.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from .._concurrency.weak_call import weakly
from .._log import get_logger
from ..errors import ConnectionClosedError
from ..protocol.commands import ConversationItemRetrieve
from ..protocol.items import ConversationItem, MessageItem
from .attempt import Attempt
from .sender import CommandSender
from .waiter import Waiter
from .waiters import Waiters

__all__ = ["OlderTurns"]

log: logging.Logger = get_logger(__name__)

_MOST: Final = 16
"""Turns that are asked for; all that may come of them is held in memory."""


class OlderTurns:
    """
    What a session is asked for before it is replaced.

    Attributes:
        sound: Base64 by the ids of items, in the format of the session's input.
    """

    def __init__(self, sender: CommandSender, waiters: Waiters) -> None:
        self._sender = sender
        self._waiters = waiters
        self._asked: dict[str, tuple[Waiter, Future[Any]]] = {}
        self._is_open = False
        self.sound: dict[str, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether something that was asked for is neither there nor refused."""
        return any(not future.done() for _, future in self._asked.values())

    def ask(self, attempt: Attempt, item_ids: Sequence[str]) -> None:
        """Ask a session for the sound of the newest of these items, which are in their order."""
        self.forget()
        self._is_open = True
        try:
            for item_id in item_ids[-_MOST:]:
                self._ask_for(attempt, item_id)
        except (
            ConnectionClosedError,
            ValueError,
        ) as exc:  # it is about to end; or a strange id
            log.debug("= %s", exc)

    def _ask_for(self, attempt: Attempt, item_id: str) -> None:
        event_id = self._sender.new_event_id()
        payload = self._sender.encode(ConversationItemRetrieve(event_id=event_id, item_id=item_id))
        # Nothing answers it: it is there so that a refusal is told to nobody.
        future = Future[Any]()
        waiter = Waiter((), future, event_id=event_id, is_quiet=True)
        self._waiters.add(waiter)
        self._asked[item_id] = waiter, future
        attempt.ids.retrieve(item_id, weakly(self._take, item_id))
        attempt.send(payload, 0.0)

    def _take(self, item_id: str, item: ConversationItem) -> None:
        if (asked := self._asked.pop(item_id, None)) is not None:
            self._waiters.discard(asked[0])
        parts = (item.content or ()) if isinstance(item, MessageItem) else ()
        sound = next((part.audio for part in parts if part.audio), None)
        if sound is not None and self._is_open:
            self.sound[item_id] = sound

    def stop(self) -> None:
        """Take no more: the new session is given what there is."""
        self._is_open = False

    def forget(self) -> None:
        """Nothing of it is needed any more."""
        self.stop()
        self.sound.clear()
        for waiter, _ in self._asked.values():
            self._waiters.discard(waiter)
        self._asked.clear()
