"""
Speaking: how sound of any kind gets into the service's input buffer.

Sound at a rate of its own is a stream: the filter that resamples it remembers the last chunk and holds
back up to 80 ms, so that chunks join without a click. :class:`AudioInput` keeps that state for the client.

**Threads and locks.** Any thread. ``AudioInput._turn`` is held by whoever moves the stream on, from the
conversion to the end of the sending, because pieces must go out in the order in which they were
converted; so it is waited for with a bound, by the reader for a moment only.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from itertools import compress, repeat, starmap
from typing import Final

import pybase64

from ._session.engine import Engine
from .audio.converter import Converter
from .audio.files import AudioReader
from .audio.pcm import AudioLike, check_whole, decode_base64, interleaved, to_pcm16
from .audio.resample import check_rate
from .protocol.checks import MAX_APPEND_BYTES
from .protocol.commands import InputAudioBufferClear, InputAudioBufferCommit
from .protocol.events import InputAudioBufferCleared, InputAudioBufferCommitted

__all__ = ["AudioInput", "Speaking"]

_MAX_APPEND_CHARACTERS: Final = MAX_APPEND_BYTES // 12 * 16
"""Four characters hold three bytes; a cut between fours of them cuts between frames too."""

_NO_RATE: Final = "channels was given without sample_rate_hz: pass the rate of the audio, too"

_BLOCK_SECONDS: Final = 0.1
"""How much of a file is sent at a time."""

_READERS_PATIENCE: Final = 0.2
"""Seconds the reader waits for its turn, which may itself depend on the reader, and then goes without."""


class AudioInput:
    """
    The client's one stream of sound that is not in the session's format.

    **Threads.** Any thread; see the module.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self.converter: Converter | None = None
        """Of a stream that has begun, and may hold something back. Written under _turn, as is _kind."""
        self._kind: tuple[int, int, str] | None = None

    def send(self, audio: bytes) -> None:
        """Send what is in the session's format; nothing, if it is empty."""
        text = pybase64.b64encode(audio)
        for start in range(0, len(text), _MAX_APPEND_CHARACTERS):
            self._engine.sender.send_audio(text[start : start + _MAX_APPEND_CHARACTERS])

    def feed(self, audio: str | AudioLike, sample_rate_hz: int, channels: int | None) -> None:
        """Convert the next chunk and send what is ready; another kind of sound begins another stream."""
        check_rate("sample_rate_hz", sample_rate_hz)
        sound = decode_base64(audio) if isinstance(audio, str) else audio
        pcm, channels = interleaved(sound, channels)
        self._engine.ready.wait_to_send()
        self._in_turn(lambda: self._feed(pcm, sample_rate_hz, channels))

    def _feed(self, pcm: bytes | memoryview, sample_rate_hz: int, channels: int) -> None:
        kind = (sample_rate_hz, channels, self._engine.input_audio_format)
        if self.converter is None or kind != self._kind:
            fresh = Converter(from_hz=sample_rate_hz, channels=channels, to_format=kind[-1])
            self._finish()
            self.converter, self._kind = fresh, kind
        self.send(self.converter.feed(pcm))

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
        if (
            converter is not None
            and self._kind is not None
            and self._kind[-1] == self._engine.input_audio_format
        ):
            self.send(converter.finish())

    def _forget(self) -> None:
        self.converter = None

    def _in_turn(self, move: Callable[[], None]) -> None:
        got: list[bool] = []
        is_reader = self._engine.sender.owns_this_thread()
        timeout = _READERS_PATIENCE if is_reader else self._engine.sender.timeout
        seconds = -1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        # Taken and noted, looked at and given back: each is one step, so that Ctrl-C cannot come between.
        give_back = starmap(self._turn.release, compress(repeat(()), got))
        try:
            got.extend(map(self._turn.acquire, (True,), (seconds,)))
            if not any(got) and not is_reader:
                raise TimeoutError(f"another thread has been appending audio for {timeout} seconds")
            move()
        finally:
            deque(give_back, maxlen=0)


class Speaking:
    """The part of a client that sound goes into."""

    _engine: Engine
    _audio_input: AudioInput

    def append_audio(
        self, audio: str | AudioLike, sample_rate_hz: int | None = None, channels: int | None = None
    ) -> None:
        """
        Add audio to the service's input buffer. Blocks only while the send backlog is full.

        Left alone, *audio* is in the session's input format. With *sample_rate_hz* it is the next chunk
        of a stream, as from a microphone, which is converted: channels are averaged, the rate changed
        without a click between chunks, G.711 encoded if the session has it. The filter lags by up to 80 ms.
        What it holds back is sent by :meth:`commit_audio`, or before audio of another rate or of none:
        ``append_audio(b"")`` ends a stream and does nothing else. It is forgotten by
        :meth:`clear_audio_buffer` and by ``close``. If the service commits by itself, the stream goes on.

        Args:
            audio: Base64 text; or bytes; or an array of int16 or of float32 in [-1, 1] with the shape
                (frames,) or (frames, channels). Bytes are ``"pcm16"``: int16, little-endian, mono,
                24 000 Hz, where 100 ms are 2 400 frames, 4 800 bytes; in a G.711 session without a
                *sample_rate_hz* they are G.711, and there is no array. More than the service takes at
                a time (15 MiB) is sent in several pieces.
            sample_rate_hz: The rate of *audio*, from 1 000 to 768 000 Hz, always in PCM16. Bytes may then
                end in mid-frame; the rest is expected at the beginning of the next chunk.
            channels: How many are interleaved in bytes, 1 to 8; an array says so itself.

        Raises:
            ValueError: If it is not audio: bad base64, an odd number of bytes, a shape that no audio has.
            TypeError: If it is no audio at all.
            MissingExtraError: If the rate is not the session's, and the ``audio`` extra is not installed.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        if sample_rate_hz is not None:
            self._audio_input.feed(audio, sample_rate_hz, channels)
            return
        if channels is not None:
            raise ValueError(_NO_RATE)
        text = self._base64(audio)
        self._engine.ready.wait_to_send()
        if self._audio_input.converter is not None:
            self._audio_input.finish()
        for start in range(0, len(text), _MAX_APPEND_CHARACTERS):
            self._engine.sender.send_audio(text[start : start + _MAX_APPEND_CHARACTERS])

    def _recording(self, audio: AudioLike, sample_rate_hz: int | None, channels: int | None) -> bytes:
        """Return the base64 of a whole recording in the session's format."""
        if sample_rate_hz is None:
            if channels is not None:
                raise ValueError(_NO_RATE)
            return self._base64(audio)
        check_rate("sample_rate_hz", sample_rate_hz)
        pcm, channels = interleaved(audio, channels)
        check_whole(len(pcm), channels)
        audio_format = self._engine.input_audio_format
        converter = Converter(from_hz=sample_rate_hz, channels=channels, to_format=audio_format)
        return pybase64.b64encode(converter.feed(pcm) + converter.finish())

    def _base64(self, audio: str | AudioLike) -> bytes:
        """Return what is in the session's format already, or PCM16 in an array."""
        audio_format = self._engine.input_audio_format
        is_pcm16 = audio_format == "pcm16"
        if isinstance(audio, str):
            if len(decode_base64(audio)) % 2 and is_pcm16:
                raise ValueError("audio has an odd number of bytes; PCM16 has two bytes per frame")
            return audio.encode()
        if is_pcm16:
            return pybase64.b64encode(to_pcm16(audio))
        if not isinstance(audio, bytes | bytearray | memoryview):
            raise TypeError(
                f"a {audio_format} session takes bytes, one per frame, not {type(audio).__name__}; "
                "pass its sample_rate_hz as well, and it is converted"
            )
        return pybase64.b64encode(audio)

    def send_audio_file(
        self,
        path: str | os.PathLike[str],
        realtime: bool = False,
        progress: Callable[[float, float], object] | None = None,
    ) -> None:
        """
        Add an audio file to the service's input buffer, block by block. Blocks until all of it is sent.

        Any kind that :func:`~azure_rt_audio.audio.read_audio` reads, at any rate, of any length: it is
        never in memory as a whole. Neither a commit nor silence follows. With Ctrl-C, or a *progress* that
        raises, it stops between two blocks, and the client is as good as before.

        Args:
            realtime: Send as fast as it is spoken, as a microphone would; otherwise as fast as the
                connection takes it.
            progress: Called on this thread after each block of 100 ms, with the seconds sent and the
                seconds in all. The latter is the file's own account; of MP3 it may be an estimate.

        Raises:
            ValueError: If the file is empty, damaged, cut short, or no audio; names it and a remedy.
                What came before the damage has been sent.
            OSError: If the file cannot be read.
            MissingExtraError: If the ``audio`` extra is needed and not installed.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
            RuntimeError: On the reader thread, where nothing may block.
        """
        self._engine.sender.check_may_wait()
        with AudioReader(path) as file:
            self._engine.ready.wait_to_send()
            converter = Converter(from_hz=file.sample_rate_hz, to_format=self._engine.input_audio_format)
            self._audio_input.finish()
            began, sent = time.monotonic(), 0.0
            for block in file.blocks(_BLOCK_SECONDS):
                self._audio_input.send(converter.feed(block))
                sent += len(block) / 2 / file.sample_rate_hz
                if progress is not None:
                    progress(sent, file.seconds)
                if realtime:
                    threading.Event().wait(max(0.0, began + sent - time.monotonic()))
            self._audio_input.send(converter.finish())

    def commit_audio(self) -> Future[InputAudioBufferCommitted]:
        """
        Make a user message of the input buffer, which needs 100 ms of audio. Does not wait.

        With server VAD the service commits by itself. A commit does not ask for a response.

        Returns:
            A future of the acknowledging event; fails with a :class:`ServiceError` if it is refused.
        """

        def wait() -> None:
            self._engine.ready.wait_to_send()
            self._audio_input.finish()

        return self._engine.sender.acknowledged(
            InputAudioBufferCommit(event_id=self._engine.sender.new_event_id()),
            self,
            lambda _, event: isinstance(event, InputAudioBufferCommitted),
            wait=wait,
            kind="commit",
            codes=frozenset(("input_audio_buffer_commit_empty",)),
        )

    def clear_audio_buffer(self) -> Future[InputAudioBufferCleared]:
        """Throw the input buffer away. Does not wait; returns a future of the acknowledging event."""

        def wait() -> None:
            self._engine.ready.wait_to_send()
            self._audio_input.drop()

        return self._engine.sender.acknowledged(
            InputAudioBufferClear(event_id=self._engine.sender.new_event_id()),
            self,
            lambda _, event: isinstance(event, InputAudioBufferCleared),
            wait=wait,
            kind="clear",
        )
