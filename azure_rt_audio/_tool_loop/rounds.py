"""The rounds of one session whose results are not answered yet."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from .call import Round

__all__ = ["Rounds"]

_ACKNOWLEDGED: Final = 5.0
"""Seconds after which an output counts as acknowledged: that may have been lost."""


class Rounds:
    """
    The rounds of one session, until their results are answered.

    Attributes:
        lock: A leaf. Guards all that follows, the rounds, their calls, and the follow-ups.
        open: By response.
        due: Those whose outputs are all out, and which nothing that has begun answers.
        has_ended: Nothing is answered any more.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: dict[str, Round] = {}
        self.due: list[Round] = []
        self.has_ended = False

    def settle_locked(self, current: Round) -> bool:
        """Move a round on whose outputs are out; return whether nothing follows for who still waits."""
        if not (current.is_over and current.is_out) or current in self.due:
            return False
        if current.is_wanted and not current.is_in_vain:
            self.due.append(current)
            return False
        self.open.pop(current.response_id, None)
        return current.is_wanted

    def drop_due_locked(self, current: Round) -> bool:
        """Have nothing ask for the answer to a round; return whether it was due."""
        if current not in self.due:
            return False
        self.due.remove(current)
        self.open.pop(current.response_id, None)
        return True

    def take_answered_locked(
        self, now: float, rounds: Iterable[Round], *, for_nobody: bool = False, but: Round | None = None
    ) -> list[Round]:
        """
        Take out of what is due what a response answers that begins now, besides these rounds.

        Args:
            for_nobody: Leave what somebody waits for.
            but: The calls of the response itself.
        """
        latest = now - _ACKNOWLEDGED
        answered = [
            one
            for one in self.due
            if one is not but
            and (one in rounds or (one.is_known(latest) and not (for_nobody and one.is_awaited)))
        ]
        return self.take_locked(answered)

    def take_locked(self, rounds: Iterable[Round]) -> list[Round]:
        """Take rounds out of what is due, as far as they are."""
        return [one for one in list(rounds) if self.drop_due_locked(one)]
