"""Plays the answers of the service, and truncates the ones that were interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..audio.converter import Converter
from ..audio.pcm import bytes_per_ms, readable_format
from ..devices.interfaces import SpeakerLike
from ..protocol.events import ResponseCreated, ResponseDone, ResponseOutputAudioDelta, ResponseOutputAudioDone
from ..protocol.events.local import GuardTripped
from ..protocol.latency import Latency
from ..protocol.turn import is_filler, is_out_of_band
from .account import Account
from .events import FirstSound, Interrupted, VoiceEvent
from .interfaces import Engine
from .played import PlayedAudio

__all__ = ["Downlink"]

_RATE_HZ: Final = 24_000
_BYTES_PER_MS: Final = 48


class Downlink:
    """
    Decodes and plays audio deltas, and handles barge-in.

    Args:
        emit: Called with events for user interfaces.

    **Threads.** Not shared: the worker of the session.
    """

    def __init__(self, engine: Engine, speaker: SpeakerLike, emit: Callable[[VoiceEvent], None]) -> None:
        self._engine = engine
        self._speaker = speaker
        self._emit = emit
        self._audio = PlayedAudio()
        self._account = Account(engine.taps.heard)
        self._converters: dict[str, Converter] = {}
        self._formats: dict[str, str] = {}  # of responses in progress, where the service says it
        self._latency = Latency()  # of the next answer
        self._must_discard_next = False  # cancelled before response.created
        self._awaited: tuple[str, str, Latency] | None = None  # response and item not heard yet

    # ------------------------------------------------------------ events of the service

    def on_created(self, event: ResponseCreated) -> None:
        """Note a new response."""
        if not self._speaker.is_playing:
            self._audio.drop_completed()
        if event.response.id is None:
            return
        if event.response.output_audio_format is not None:
            self._formats[event.response.id] = event.response.output_audio_format
        is_beside = is_out_of_band(event.response)
        self._audio.begin(
            event.response.id, is_out_of_band=is_beside, is_filler=is_beside and is_filler(event.response)
        )
        if self._engine.interruption.is_unplayed(event.response.id):
            self._audio.discard(event.response.id)
        elif self._must_discard_next and not is_beside:
            self._must_discard_next = False
            self._audio.discard(event.response.id)

    def on_delta(self, event: ResponseOutputAudioDelta) -> None:
        """Play a delta."""
        audio_format = self._format_of(event.response_id)
        duration_ms = len(event.audio) / bytes_per_ms(audio_format)
        if self._engine.interruption.is_unplayed(event.response_id):  # it was given up since, and comes late
            self._audio.discard(event.response_id)
        before = self._audio.latest
        is_first = event.response_id != before
        if not self._audio.receive(event.response_id, event.item_id, duration_ms):
            return
        is_answer = is_first and not self._audio.is_filler(event.response_id)
        if is_answer and self._audio.is_filler(before):
            self._stop_filler()
        if is_answer:
            self._awaited = (event.response_id, event.item_id, self._latency)
            self._latency = Latency()
        converter = self._converters.get(event.item_id)
        if converter is None:
            converter = self._converters[event.item_id] = Converter(from_format=audio_format, to_hz=_RATE_HZ)
        self._play(event.item_id, converter.feed(event.audio))

    def on_audio_done(self, event: ResponseOutputAudioDone) -> None:
        """Play the rest of an item."""
        converter = self._converters.pop(event.item_id, None)
        if converter is not None:
            self._play(event.item_id, converter.finish())
        if self._audio.complete(event.item_id):
            self._account.complete(event.item_id)
            self._speaker.finish(event.item_id)

    def on_done(self, event: ResponseDone) -> None:
        """Truncate the items that arrived after the response was interrupted."""
        self._formats.pop(event.response.id or "", None)
        for cut in self._audio.end(event.response.id or ""):
            self._engine.interruption.truncate_unheard(cut.item_id, cut.heard_ms)

    def _format_of(self, response_id: str) -> str:
        session = self._engine.session
        in_force = session.output_audio_format if session is not None else None
        return readable_format(self._formats.get(response_id, in_force))

    def _play(self, item_id: str, pcm: bytes) -> None:
        if pcm:
            self._account.receive(item_id, len(pcm) / _BYTES_PER_MS)
            self._speaker.play(pcm, item_id=item_id)

    def _stop_filler(self) -> None:
        """Play the answer in place of what filled the silence before, which is all that is played now."""
        self._account.interrupt({played.item_id: played.ms for played in self._speaker.stop()})
        self._converters.clear()
        self._audio.drop_fillers()

    # ------------------------------------------------------------ turns

    def asked(self, when: float) -> None:
        """The user finished speaking then, on the monotonic clock; what is heard next is the answer."""
        self._latency.ask(when)

    def interrupt(self, *, by_user: bool, must_cancel: bool) -> None:
        """
        Stop the speaker at once, and truncate what was not played.

        Args:
            must_cancel: Whether the response is to be cancelled; false if the service does that itself.
        """
        stopped = {played.item_id: played.ms for played in self._speaker.stop()}
        self._account.interrupt(stopped)
        self._awaited = None
        self._converters.clear()
        self._must_discard_next = False
        if must_cancel:
            response_id = self._engine.interruption.stop_response()
            if response_id:
                self._audio.discard(response_id)
            self._must_discard_next = response_id == ""
        cuts = self._audio.interrupt(stopped)
        for cut in cuts:
            self._engine.interruption.truncate_unheard(cut.item_id, cut.heard_ms)
        if cuts:
            self._emit(Interrupted(cuts=cuts, by_user=by_user))

    def on_guard(self, event: GuardTripped) -> None:
        """The guard has stopped an answer, which is cancelled: play no more of it."""
        if not self._audio.is_unheard(event.response_id, self._speaker.played_ms):
            return
        for other in self._audio.others(event.response_id):  # the speaker is emptied of it, too
            self._engine.interruption.cancel(other)
        self.interrupt(by_user=False, must_cancel=False)

    def end(self, stopped_ms: dict[str, float]) -> None:
        """The session ends; *stopped_ms* is what was played of each item that was not played to its end."""
        self._account.interrupt(stopped_ms)

    # ------------------------------------------------------------ playback

    def update(self, now: float) -> None:
        """Update the status from the speaker, and detect the first sound of an answer."""
        latest = self._audio.latest
        if latest is None:
            return
        self._notice_first_sound(now)
        self._account.update(now, self._speaker.played_ms)
        if self._speaker.is_playing:
            self._engine.follow_speaker(latest, is_playing=True)
        elif self._audio.is_over(latest):
            self._engine.follow_speaker(latest, is_playing=False)

    def _notice_first_sound(self, now: float) -> None:
        if self._awaited is None:
            return
        response_id, item_id, latency = self._awaited
        played_ms = self._speaker.played_ms(item_id)
        if played_ms > 0:
            self._awaited = None
            seconds = latency.since_asked(now - played_ms / 1000)  # the speaker's clock has gone on since
            latency_ms = None if seconds is None else seconds * 1000
            self._emit(FirstSound(response_id=response_id, latency_ms=latency_ms))
