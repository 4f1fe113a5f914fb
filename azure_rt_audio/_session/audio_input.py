"""
How sound of any kind gets into the service's input buffer.

Sound at a rate of its own is a stream: the filter that resamples it remembers the last chunk and holds
back up to 80 ms, so that chunks join without a click.

**Threads and locks.** Any thread. Callers that move the stream on do so one after the other, in the order of
arrival, because pieces must go out in the order in which they were converted. No lock is held meanwhile;
the wait for earlier callers is bounded, on the I/O thread to a moment. ``AudioInput._changed`` is a leaf.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import pybase64

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..audio.channels import Channel, Mixer
from ..audio.containers import check_is_no_file
from ..audio.converter import Converter
from ..audio.files import AudioReader
from ..audio.g711 import resembles_pcm16
from ..audio.pcm import decode_base64, to_pcm16
from ..audio.resample import check_rate
from ..audio.samples import AudioLike, check_whole, interleaved, octets
from ..audio.warning import tell
from ..protocol.checks import MAX_APPEND_BYTES
from .sender import CommandSender
from .user_turn import UserTurn

__all__ = ["AudioInput"]

_MAX_PIECE: Final = MAX_APPEND_BYTES // 12 * 12
"""Bytes of sound in one message; a cut there cuts neither frames nor base64."""

_NO_RATE: Final = "{} was given without sample_rate_hz: pass the rate of the audio, too"

_BLOCK_SECONDS: Final = 0.1
"""How much of a file is sent at a time."""

_IO_THREAD_TIMEOUT: Final = 0.2
"""Seconds that the I/O thread waits for its turn, which may itself depend on it, before it goes without."""

_RECHECK: Final = 0.1
"""Seconds after which a waiting caller looks again: Ctrl-C can swallow a notification."""


class AudioInput:
    """
    The audio that a client sends, with the state of its one converted stream.

    Args:
        audio_format: The session's input format.
        turn: Told when sound is sent.

    **Threads.** Any thread; see the module.
    """

    def __init__(self, sender: CommandSender, audio_format: Callable[[], str], turn: UserTurn) -> None:
        self._turn = turn
        self._sender = sender
        self._audio_format = audio_format
        self._changed = Condition()  # leaf; guards _turns
        self._turns: tuple[threading.Lock, ...] = ()  # in order of arrival; those of callers at it are locked
        self.converter: Converter | None = None
        """Of a stream that has begun and may hold something back. Written in turn, as is _kind."""
        self._kind: tuple[int, int, str, str] | None = None

    # ------------------------------------------------------------ sending

    def append(
        self,
        audio: str | AudioLike,
        sample_rate_hz: int | None,
        channels: int | None,
        channel: Channel = "mix",
    ) -> None:
        """Send audio; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.append_audio`."""
        if sample_rate_hz is not None:
            self._append_stream(audio, sample_rate_hz, channels, channel)
            return
        _check_rate_is_given(channels, channel)
        sound = self._sound(audio)
        self._sender.wait_to_send()
        if self.converter is not None:
            self.finish()
        self._send(sound, audio.encode() if isinstance(audio, str) else None)

    def _append_stream(
        self, audio: str | AudioLike, sample_rate_hz: int, channels: int | None, channel: Channel
    ) -> None:
        """Convert the next chunk and send what is ready; another kind of sound begins another stream."""
        check_rate("sample_rate_hz", sample_rate_hz)
        check_is_no_file(audio)
        sound = _decoded(audio) if isinstance(audio, str) else audio
        pcm, channels = interleaved(sound, channels)
        Mixer(channels, channel)  # raises for a channel that there is not, before the wait
        self._sender.wait_to_send()
        self._in_turn(lambda: self._convert(pcm, sample_rate_hz, channels, channel))

    def _convert(self, pcm: bytes | memoryview, sample_rate_hz: int, channels: int, channel: Channel) -> None:
        kind = (sample_rate_hz, channels, channel, self._audio_format())
        if self.converter is None or kind != self._kind:
            fresh = Converter(from_hz=sample_rate_hz, channels=channels, channel=channel, to_format=kind[-1])
            self._finish()
            self.converter, self._kind = fresh, kind
        self._send(self.converter.feed(pcm))

    def send_file(
        self,
        path: str | os.PathLike[str],
        is_realtime: bool,
        progress: Callable[[float, float], object] | None,
        channel: Channel = "mix",
    ) -> None:
        """Send a file; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.send_audio_file`."""
        self._sender.check_may_wait()
        with AudioReader(path, channel) as file:
            self._sender.wait_to_send()
            converter = Converter(from_hz=file.sample_rate_hz, to_format=self._audio_format())
            self.finish()
            began, sent = time.monotonic(), 0.0
            for block in file.blocks(_BLOCK_SECONDS):
                self._sender.wait_for_connection()  # rather than more than is kept for the next one
                self._send(converter.feed(block), is_live=is_realtime)
                sent += len(block) / 2 / file.sample_rate_hz
                if progress is not None:
                    progress(sent, file.seconds)
                if is_realtime:
                    threading.Event().wait(max(0.0, began + sent - time.monotonic()))
            self._send(converter.finish(), is_live=is_realtime)

    def _send(self, sound: bytes, text: bytes | None = None, *, is_live: bool = True) -> None:
        """
        Send what is in the session's format; nothing, if it is empty.

        Args:
            text: Its base64, if that is at hand.
            is_live: Whether it is spoken now, and may be dropped if the line is too slow.
        """
        if not sound:
            return
        self._turn.has_sound = True
        if len(sound) <= _MAX_PIECE:
            self._sender.send_sound(sound, text, is_live=is_live)
            return
        for start in range(0, len(sound), _MAX_PIECE):
            self._sender.send_sound(sound[start : start + _MAX_PIECE], is_live=is_live)

    # ------------------------------------------------------------ encoding

    def recording(
        self,
        audio: AudioLike,
        sample_rate_hz: int | None,
        channels: int | None,
        channel: Channel = "mix",
    ) -> bytes:
        """Return the base64 of a whole recording in the session's format."""
        check_is_no_file(audio)
        if sample_rate_hz is None:
            _check_rate_is_given(channels, channel)
            return pybase64.b64encode(self._sound(audio))
        check_rate("sample_rate_hz", sample_rate_hz)
        pcm, channels = interleaved(audio, channels)
        check_whole(len(pcm), channels)
        converter = Converter(
            from_hz=sample_rate_hz, channels=channels, channel=channel, to_format=self._audio_format()
        )
        return pybase64.b64encode(converter.feed(pcm) + converter.finish())

    def _sound(self, audio: str | AudioLike) -> bytes:
        """Return the bytes of what is in the session's format already, or PCM16 in an array."""
        audio_format = self._audio_format()
        is_pcm16 = audio_format == "pcm16"
        if isinstance(audio, str):
            sound = _decoded(audio)
            if len(sound) % 2 and is_pcm16:
                raise ValueError("audio has an odd number of bytes; PCM16 has two bytes per frame")
            return sound
        if is_pcm16 or isinstance(audio, os.PathLike):  # a path is refused, with a remedy
            return bytes(to_pcm16(audio))
        check_is_no_file(audio)
        try:
            sound = bytes(octets(audio, audio_format))
        except TypeError as exc:
            raise TypeError(
                f"a {audio_format} session takes bytes, one per frame, not {type(audio).__name__}; "
                "pass its sample_rate_hz as well, and it is converted"
            ) from exc
        if resembles_pcm16(sound):
            tell(
                f"the sound seems to be PCM16, and is sent as {audio_format}, the session's input format, "
                "which makes noise of it: pass its sample_rate_hz as well, 24000 for that of read_audio(), "
                "and it is converted"
            )
        return sound

    # ------------------------------------------------------------ the end of a stream

    def finish(self) -> None:
        """End the stream and send what it held back."""
        if self.converter is not None:
            self._in_turn(self._finish)

    def drop(self) -> None:
        """End the stream and forget what it held back."""
        if self.converter is not None:
            self._in_turn(self._forget)

    def _finish(self) -> None:
        converter, self.converter = self.converter, None
        # The tail is in the format that the session had; if that has changed, it would be noise.
        if converter is not None and self._kind is not None and self._kind[-1] == self._audio_format():
            self._send(converter.finish())

    def _forget(self) -> None:
        self.converter = None

    def _in_turn(self, step: Callable[[], None]) -> None:
        """Run *step* after those of earlier callers. Ctrl-C may strike anywhere: the turn always ends."""
        turn = threading.Lock()
        try:
            with turn:  # shows that this caller is at it, and is released in one step of the interpreter
                with self._changed.lock:
                    earlier = tuple(other for other in self._turns if other.locked())
                    self._turns = (*earlier, turn)
                if earlier:
                    self._wait_for(earlier)
                step()
        finally:
            with self._changed.lock:
                self._changed.notify_all()

    def _wait_for(self, earlier: tuple[threading.Lock, ...]) -> None:
        is_io_thread = self._sender.owns_this_thread()
        timeout = _IO_THREAD_TIMEOUT if is_io_thread else self._sender.timeout
        deadline = Deadline(timeout, self._sender.clock)

        def is_next() -> bool:
            return not any(other.locked() for other in earlier)

        while not self._changed.wait_until(is_next, Deadline(_RECHECK)):
            if deadline.expired:
                if is_io_thread:
                    return
                raise TimeoutError(f"another thread has been appending audio for {timeout} seconds")


def _check_rate_is_given(channels: int | None, channel: str) -> None:
    if channels is not None or channel != "mix":
        raise ValueError(_NO_RATE.format("channels" if channels is not None else "channel"))


def _decoded(text: str) -> bytes:
    sound = decode_base64(text)
    check_is_no_file(sound)
    return sound
