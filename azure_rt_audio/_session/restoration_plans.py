"""
Plans what each session is given of the conversation: within the budget, and with the sound that there is.

Where connections end again and again while they are given it, it may be the reason: it is halved after two
such deaths, and left out after four.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from .._log import get_logger
from ..options import ReconnectPolicy
from ..protocol.budget import Budget
from ..protocol.conversation import Conversation, ConversationEntry
from ..protocol.dialects import Dialect
from ..protocol.history import History
from ..protocol.items import FunctionCallItem, FunctionCallOutputItem
from ..protocol.restoration import UNHEARD, Restoration, plan_restoration
from .input_sound import InputSound
from .older_turns import OlderTurns
from .restorer import Restorer

__all__ = ["RestorationPlans"]

log: logging.Logger = get_logger(__name__)

_HALVED_AFTER, _EMPTY_AFTER = 2, 4


class RestorationPlans:
    """
    The plans of one client.

    Args:
        older_turns: Sound that was retrieved.

    Attributes:
        deaths: Connections in a row that ended while the conversation was restored on them.
    """

    def __init__(
        self,
        policy: ReconnectPolicy,
        dialect: Dialect,
        conversation: Conversation,
        sound: InputSound,
        older_turns: OlderTurns,
    ) -> None:
        self._policy = policy
        self._dialect = dialect
        self._conversation = conversation
        self._sound = sound
        self._older_turns = older_turns
        self.deaths = 0

    def plan(self, running: Collection[str] = (), previous: Restoration | None = None) -> Restoration:
        """Return what a session is to be given after *previous*, but for the items of these responses."""
        if self.deaths >= _HALVED_AFTER:
            log.warning(
                "! %d connections ended while the conversation was restored; %s of it is restored now",
                self.deaths,
                "half" if self.deaths < _EMPTY_AFTER else "nothing",
            )
        without = {key for response_id in running for key in self._conversation._outputs.keys(response_id)}
        entries = [entry for entry in self._conversation.entries if entry.item.id not in without]
        sound, cut_s = self._sound.of_turns(self._conversation._input_format), self._sound.cut_turns()
        for item_id, theirs in self._older_turns.sound.items():
            if len(theirs) > len(sound.get(item_id, "")) and self._conversation._is_in_input_format(item_id):
                sound[item_id] = theirs
                cut_s.pop(item_id, None)
        return self._planned(entries, sound, previous, cut_s)

    def lacking_sound(self, running: Collection[str] = ()) -> list[str]:
        """Return the ids of turns, in order, whose sound is needed and is not kept, or not as a whole."""
        plan, cut = self.plan(running), self._sound.cut_turns()
        wanted = {item_id for item_id, why in plan.lost.items() if why == UNHEARD}
        wanted.update(cut.keys() & plan.shortened.keys())
        placed = [entry.item.id for entry in self._conversation.entries if entry.item.id in wanted]
        lacking = [*filter(None, placed), *filter(self._conversation._is_awaited, cut)]
        return list(filter(self._conversation._is_in_input_format, lacking))

    def hand_over(self, restorer: Restorer) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
        """Have a session take over, and tell the mirror; return what :meth:`Restorer.hand_over` does."""
        restored, shortened, lost = restorer.hand_over()
        self._conversation._note_session(shortened, lost)
        return restored, shortened, lost

    def names(self, running: Collection[str]) -> set[str]:
        """Return the ids of the items and calls that these responses have made so far."""
        keys = {key for response_id in running for key in self._conversation._outputs.keys(response_id)}
        items = (entry.item for entry in self._conversation.entries if entry.item.id in keys)
        return keys | {item.call_id for item in items if isinstance(item, FunctionCallItem) and item.call_id}

    def plan_history(self, history: History, input_audio_format: str) -> Restoration:
        """Return what the first session is to be given; its sound only if it is in the session's format."""
        is_same = history.input_audio_format == input_audio_format
        return self._planned(history.entries, history.sound if is_same else {})

    def _planned(
        self,
        entries: Sequence[ConversationEntry],
        sound: Mapping[str, str],
        previous: Restoration | None = None,
        cut_s: Mapping[str, float] | None = None,
    ) -> Restoration:
        policy = self._policy
        budget, restore = Budget(policy.max_items, policy.max_characters), policy.restore
        if self.deaths >= _HALVED_AFTER:
            budget, restore = budget.halved(), restore if self.deaths < _EMPTY_AFTER else "none"
        answered = {e.item.call_id for e in entries if isinstance(e.item, FunctionCallOutputItem)}
        calls = {e.item.call_id for e in entries if isinstance(e.item, FunctionCallItem) and e.item.call_id}
        return plan_restoration(
            entries,
            self._dialect,
            restore=restore,
            budget=budget,
            sound=sound,
            cut_s=cut_s,
            pending=calls - answered,
            previous=previous,
        )
