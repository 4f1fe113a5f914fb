"""
Gives a new session the conversation: the items are created, and their acknowledgements matched.

What leaves "restoring": every item acknowledged or refused; the end of the connection; ``RESTORE_TIMEOUT``
without a word about an item, when the attempt is given up.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from .._log import get_logger
from ..errors import ConnectionClosedError
from ..protocol.commands import Command, ConversationItemCreate
from ..protocol.events import ConversationItemAdded, ConversationItemDone, Error, Event
from ..protocol.items import (
    ContentPart,
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
)
from ..protocol.restoration import Restoration
from ..protocol.restored_texts import call_as_text, output_as_text
from ..protocol.service_errors import service_error
from .attempt import Attempt

__all__ = ["RESTORE_TIMEOUT", "Restorer"]

log: logging.Logger = get_logger(__name__)

RESTORE_TIMEOUT: Final = 10.0
"""Seconds without a word about any item, after which an attempt is given up."""


class Restorer:
    """
    Creates the items of a plan on one connection, in order.

    Args:
        encode: Checks and encodes a command.
        new_event_id: Makes ids for the commands.
        on_done: Called when all items that were asked for have been answered.
        clock: Seconds that never run backwards.

    Attributes:
        plan: What the new session is given.
        planned: The same, once it is followed.
    """

    def __init__(
        self,
        attempt: Attempt,
        encode: Callable[[Command], bytes],
        new_event_id: Callable[[], str],
        on_done: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self.plan = Restoration()
        self.planned: Restoration | None = None
        self._attempt = attempt
        self._encode = encode
        self._new_event_id = new_event_id
        self.on_done = on_done
        self._clock = clock
        self._created: list[ConversationItem] = []
        self._known: set[str] = set()  # ids of those, and the service's
        self._waiting: collections.OrderedDict[str, ConversationItem] = collections.OrderedDict()
        self._commands: dict[str, str] = {}  # what creates an item that is waited for, by its id
        self._ids: dict[str, str] = {}  # the service's, where they are others
        self._shortened: dict[str, str] = {}
        self._lost: dict[str, str] = {}
        self._calls: dict[str, str] = {}  # names by call id of those that are a text, without an output
        self._written: set[str] = set()  # outputs that are a part of a text, as their calls were refused
        self._undone: set[str] = set()  # the service's ids of items whose conversation.item.done is to come
        self._heard_at = clock()

    @property
    def is_done(self) -> bool:
        """Whether all has been answered."""
        return not self._waiting

    @property
    def is_overdue(self) -> bool:
        """Whether the service has been silent for too long."""
        return bool(self._waiting) and self._clock() - self._heard_at >= RESTORE_TIMEOUT

    def follow(self, plan: Restoration, note: str | None = None) -> bool:
        """
        Create what is not there yet; calls ``on_done``, at once if nothing is missing.

        Args:
            note: For the model, after it; the program does not hear of that item.

        Returns:
            ``False`` if what was created is not the beginning of the plan: another connection is needed.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        count = len(self._created)
        if list(plan.items[:count]) != self._created:
            return False
        self.plan = self.planned = plan
        self._heard_at = self._clock()
        for item in plan.items[count:]:
            self._create(item)
        if note is not None:
            self._send(MessageItem(role="system", content=[ContentPart(type="input_text", text=note)]))
        if self.is_done:
            self.on_done()
        return True

    def add(self, plan: Restoration) -> None:
        """
        Create what is not there yet, after :meth:`hand_over`; the answers are not waited for, and not told.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        for item in plan.items:
            if item.id and item.id not in self._known:
                self._attempt.ids.hide(item)
                self._create(item)

    def hand_over(self) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
        """
        Have the connection's ids translated from now on.

        Returns:
            The items that it has, those that it has with less than they had, and those that it has not, by
            the ids that the program knows; the latter two with what is missing, and why.
        """
        sources = self.plan.sources
        lost = {**self.plan.lost, **{sources.get(key, key): why for key, why in self._lost.items()}}
        shortened = {sources.get(key, key): why for key, why in self._shortened.items()}
        texts = {
            sources.get(item.id, item.id): item
            for item in self._created
            if item.id and isinstance(item, MessageItem) and item.role == "assistant"
        }
        ids = {sources.get(item.id, item.id): item.id for item in self._created if item.id}
        ids.update((sources.get(key, key), theirs) for key, theirs in self._ids.items())
        other = {ours: theirs for ours, theirs in ids.items() if ours != theirs}
        self._attempt.ids.begin(other, texts, self._undone, self._calls)
        restored = tuple(name for name in self.plan.restored if name not in lost)
        return restored, {**self.plan.shortened, **shortened}, lost

    def _create(self, item: ConversationItem) -> None:
        self._created.append(item)
        self._known.add(item.id or "")
        self._send(item)

    def _send(self, item: ConversationItem, previous_id: str | None = None) -> None:
        if isinstance(item, FunctionCallOutputItem) and (name := self._calls.pop(item.call_id or "", None)):
            self._shortened[item.id or ""] = "a function call, restored as text"
            item = output_as_text(name, item)
        event_id = self._new_event_id()
        create = ConversationItemCreate(event_id=event_id, item=item, previous_item_id=previous_id)
        try:
            payload = self._encode(create)
        except ValueError as exc:  # the program sent it raw, or the service took what it refuses now
            self._lost[item.id or ""] = str(exc)
            return
        self._waiting[event_id] = item
        self._commands[item.id or ""] = event_id
        self._attempt.send(payload, 0.0)

    def on_event(self, event: Event) -> bool:
        """Take an event of the connection; return whether it is about what was created here."""
        if isinstance(event, ConversationItemAdded):
            # No conversation.item.done follows in the preview protocol.
            return self._added(event.item, is_undone=event.wire_type != "conversation.item.created")
        if isinstance(event, ConversationItemDone):
            is_known = event.item.id in self._undone
            self._undone.discard(event.item.id or "")
            return self._added(event.item, is_undone=False) or is_known
        return isinstance(event, Error) and self._refused(event)

    def _write_call(self, call: FunctionCallItem) -> None:
        """Create a text in the place of a call, and of its output, which the service refuses without it."""
        at = self._created.index(call)
        output = next(
            (
                item
                for item in self._created[at:]
                if isinstance(item, FunctionCallOutputItem) and item.call_id == call.call_id
            ),
            None,
        )
        for item in (call, output):
            if item is not None:
                self._shortened[item.id or ""] = "a function call, restored as text"
        if output is not None:
            self._written.add(output.id or "")
        elif call.call_id:
            self._calls[call.call_id] = call.name or ""
        before = (item.id or "" for item in reversed(self._created[:at]))
        previous = next((key for key in before if key not in self._lost and key not in self._written), None)
        self._send(
            call_as_text(call, output), "root" if previous is None else self._ids.get(previous, previous)
        )

    def _added(self, item: ConversationItem, *, is_undone: bool) -> bool:
        """Match an item that the service has: by its id, or else by the order."""
        found = self._commands.get(item.id or "")
        if found not in self._waiting:
            found = None
        if found is None and self._waiting and item.id and item.id not in self._known:
            found = next(iter(self._waiting))
            asked = self._waiting[found]
            if type(asked) is not type(item):
                return False
            self._ids[asked.id or ""] = item.id
            self._known.add(item.id)
        if found is None:
            return False
        self._heard_at = self._clock()
        del self._waiting[found]
        if is_undone:
            self._undone.add(item.id or "")
        if self.is_done:
            self.on_done()
        return True

    def _refused(self, event: Error) -> bool:
        error = service_error(event)
        item = self._waiting.pop(error.event_id, None) if error.event_id is not None else None
        if item is None:
            if error.event_id is not None or not self._waiting or not (error.param or "").startswith("item"):
                return False
            _, item = self._waiting.popitem(
                last=False
            )  # one that names no command: they are answered in order
        self._heard_at = self._clock()
        item_id = item.id or ""
        if isinstance(item, FunctionCallItem) and item_id not in self._shortened:
            log.warning(
                "! the service does not take back a function call, so it is restored as text: %s", error
            )
            with contextlib.suppress(ConnectionClosedError):  # its end is about to be told
                self._write_call(item)
        elif item_id in self._written:
            self._written.discard(item_id)  # an output, which has become a part of that text
        else:
            log.warning("! an item could not be restored: %s", error)
            self._shortened.pop(item_id, None)
            self._lost[item_id] = f"refused by the service: {error.message}"
        if self.is_done:
            self.on_done()
        return True
