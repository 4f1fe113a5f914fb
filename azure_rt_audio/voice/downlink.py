"""From the service to the speaker, and back to the service what was not heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..audio.converter import Converter
from ..audio.pcm import bytes_per_ms
from ..devices.interfaces import SpeakerLike
from ..protocol.events import ResponseCreated, ResponseDone, ResponseOutputAudioDelta, ResponseOutputAudioDone
from ..protocol.latency import Latency
from ..protocol.turn import is_out_of_band
from .events import FirstSound, Interrupted, VoiceEvent
from .played import PlayedAudio

if TYPE_CHECKING:
    from ..client import AzureRealTimeAudio

__all__ = ["Downlink"]

_RATE_HZ: Final = 24_000


class Downlink:
    """
    Plays answers and takes back what is not heard of them.

    Args:
        tell: Called with what a user interface may show.

    **Threads.** One thread at a time: the session's own listener thread.
    """

    def __init__(
        self,
        client: AzureRealTimeAudio,
        speaker: SpeakerLike,
        tell: Callable[[VoiceEvent], None],
    ) -> None:
        self._engine = client._engine
        self._speaker = speaker
        self._tell = tell
        self._ledger = PlayedAudio()
        self._converters: dict[str, Converter] = {}
        self._latency = Latency()  # of the next answer
        self._is_next_unwanted = False  # it was cancelled before it began
        self._awaited: tuple[str, str, Latency] | None = None  # response and item not heard yet

    # ------------------------------------------------------------ what the service says

    def on_created(self, event: ResponseCreated) -> None:
        """A response has begun."""
        if not self._speaker.is_playing:
            self._ledger.forget_heard()
        if event.response.id is None:
            return
        is_beside = is_out_of_band(event.response)
        self._ledger.begin(event.response.id, is_beside=is_beside)
        if self._is_next_unwanted and not is_beside:
            self._is_next_unwanted = False
            self._ledger.turn_away(event.response.id)

    def on_delta(self, event: ResponseOutputAudioDelta) -> None:
        """Sound has come."""
        session = self._engine.session
        audio_format = (session.output_audio_format if session is not None else None) or "pcm16"
        duration_ms = len(event.audio) / bytes_per_ms(audio_format)
        is_first = event.response_id != self._ledger.latest
        if not self._ledger.receive(event.response_id, event.item_id, duration_ms):
            return
        if is_first:
            self._awaited = (event.response_id, event.item_id, self._latency)
            self._latency = Latency()
        converter = self._converters.get(event.item_id)
        if converter is None:
            converter = self._converters[event.item_id] = Converter(from_format=audio_format, to_hz=_RATE_HZ)
        self._play(event.item_id, converter.feed(event.audio))

    def on_audio_done(self, event: ResponseOutputAudioDone) -> None:
        """All sound of an item has come."""
        converter = self._converters.pop(event.item_id, None)
        if converter is not None:
            self._play(event.item_id, converter.finish())
        if self._ledger.complete(event.item_id):
            self._speaker.finish(event.item_id)

    def on_done(self, event: ResponseDone) -> None:
        """A response is over; what came of it after it had been interrupted was not heard."""
        for cut in self._ledger.end(event.response.id or ""):
            self._engine.interruption.truncate_unheard(cut.item_id, cut.heard_ms)

    def _play(self, item_id: str, pcm: bytes) -> None:
        if pcm:
            self._speaker.play(pcm, item_id=item_id)

    # ------------------------------------------------------------ the user's turn

    def asked(self, when: float) -> None:
        """The user finished speaking then, on the monotonic clock; what is heard next is the answer."""
        self._latency.ask(when)

    def interrupt(self, *, by_user: bool, is_service_told: bool) -> None:
        """
        Be silent at once, and take back what was not heard.

        Args:
            is_service_told: Whether the service stops the response by itself.
        """
        stopped = {played.item_id: played.ms for played in self._speaker.stop()}
        self._awaited = None
        self._converters.clear()
        self._is_next_unwanted = False
        if not is_service_told:
            response_id = self._engine.interruption.stop_response()
            if response_id:
                self._ledger.turn_away(response_id)
            self._is_next_unwanted = response_id == ""
        cuts = self._ledger.interrupt(stopped)
        for cut in cuts:
            self._engine.interruption.truncate_unheard(cut.item_id, cut.heard_ms)
        if cuts:
            self._tell(Interrupted(cuts=cuts, by_user=by_user))

    # ------------------------------------------------------------ what is heard

    def look(self, now: float) -> None:
        """Let the status follow the speaker, and notice the first sound of an answer."""
        latest = self._ledger.latest
        if latest is None:
            return
        self._notice_first_sound(now)
        if self._speaker.is_playing:
            self._engine.follow_speaker(latest, is_playing=True)
        elif self._ledger.is_over(latest):
            self._engine.follow_speaker(latest, is_playing=False)

    def _notice_first_sound(self, now: float) -> None:
        if self._awaited is None:
            return
        response_id, item_id, latency = self._awaited
        played_ms = self._speaker.played_ms(item_id)
        if played_ms > 0:
            self._awaited = None
            seconds = latency.since_asked(now - played_ms / 1000)  # the speaker's clock has gone on since now
            latency_ms = None if seconds is None else seconds * 1000
            self._tell(FirstSound(response_id=response_id, latency_ms=latency_ms))
