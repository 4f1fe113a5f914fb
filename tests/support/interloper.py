"""Another thread that sends something right after a given command."""

from __future__ import annotations

from listeners import Aside, message

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._session.taps import Tap

OTHER = "said by another thread"


class Interloper(Tap):
    """
    Has another thread create an item as soon as a command was sent whose bytes contain *mark*; once.

    The thread that has sent the command goes on when the item was sent, too.
    """

    def __init__(self, client: AzureRealTimeAudio, mark: str) -> None:
        self._client = client
        self._mark = mark.encode()
        self.has_come = False
        client._engine.taps.add(self)

    def on_sent(self, connection: int, payload: bytes, when: float) -> None:
        """A command was accepted for sending."""
        if self._mark in payload and not self.has_come:
            self.has_come = True
            Aside(lambda: self._client.create_conversation_item(message(OTHER))).result()
