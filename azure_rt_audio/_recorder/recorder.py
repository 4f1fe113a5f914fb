"""The recorder: what a program sees of a recording while it is made."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from .._paths import checked_path
from .._repr import also_half_made
from .._transport import WebSocketState
from .._version import __version__
from ..errors import RecordingError
from ..options import AzureRealTimeOptions
from .configuration import configuration
from .redaction import Redaction
from .tap import RecorderTap
from .writer import RecordingWriter

if TYPE_CHECKING:
    from .._session.engine import Engine

__all__ = ["Record", "Recorder", "make_recorder"]

_SMALLEST_BYTES: Final = 65536

Record: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""What ``record=`` takes: a path, or the arguments of a :class:`Recorder` as a mapping."""


class _Client(Protocol):
    """What a recorder needs of a client."""

    @property
    def _engine(self) -> Engine: ...

    @property
    def options(self) -> AzureRealTimeOptions: ...


class Recorder:
    """
    Records a conversation into a file, from now on.

    ::

        with Recorder(client, "session.rta") as recorder:
            client.ask("Hello!")

    ``record="session.rta"`` of the client records from the very beginning. The file is read by
    :class:`azure_rt_audio.recording.Recording`, and its format is documented. It holds what was said, and no
    key, token or value of a header.

    The file is at most 0.5 seconds behind and is only appended to, so a program that is killed leaves a file
    that can be read. A disk that is too slow or full, or a file that somebody deletes, costs the recording,
    never the conversation: it is logged once, and is in :attr:`error`.

    Args:
        client: An :class:`~azure_rt_audio.AzureRealTimeAudio`, connected or not. It is not kept alive.
        path: A file that does not exist yet.
        sound: ``"none"`` records the size of the sound in place of the sound, which is 3.8 MB per minute and
            direction in PCM16.
        redact: ``"texts"`` leaves out what is said, instructions, and descriptions, arguments and results of
            tools; their names stay. A function is called with each such text, on the thread that writes, and
            returns what to record.
        max_bytes: Begin another file before one is larger: ``session-2.rta``, ``session-3.rta``, …
        max_seconds: Begin another file when one is older.
        max_files: Delete the oldest of more files.

    Raises:
        FileExistsError: There is such a file already.
        OSError: The file cannot be made, or not be written to.
        ValueError: An argument cannot be right; names it.

    **Threads.** Any method may be called from any thread. ``azure-rt-recorder-N`` writes.
    """

    def __init__(
        self,
        client: _Client,
        path: str | os.PathLike[str],
        *,
        sound: Literal["wire", "none"] = "wire",
        redact: Callable[[str], str] | Literal["texts"] | None = None,
        max_bytes: int | None = None,
        max_seconds: float | None = None,
        max_files: int | None = None,
    ) -> None:
        from ..recording.format import FORMAT, VERSION  # not with the package: most programs record nothing

        if sound not in ("wire", "none"):
            raise ValueError(f'sound must be "wire" or "none", not {sound!r}')
        if not (redact is None or redact == "texts" or callable(redact)):
            raise ValueError(f'redact must be "texts", a function or None, not {redact!r}')
        _check("max_bytes", max_bytes, _SMALLEST_BYTES)
        _check("max_seconds", max_seconds, 1)
        _check("max_files", max_files, 1)
        engine = client._engine
        secrets = engine.attempts.secrets
        redaction = Redaction(sound, redact, secrets.reveal)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "library": __version__,
            "sound": sound,
            "redact": redact if redact is None or redact == "texts" else "function",
            "configuration": redaction.fields(configuration(client.options, engine.websocket_options)),
        }
        if not os.fspath(checked_path(path, "record")):  # which is the present folder to Path
            raise ValueError("record is empty: give the file to record into, or None to record nothing")
        self._writer = RecordingWriter(
            Path(path),
            header,
            redaction,
            max_bytes=max_bytes,
            max_seconds=max_seconds,
            max_files=max_files,
        )
        attempts = weakref.ref(engine.attempts)

        def is_closing() -> bool:
            alive = attempts()
            return alive is None or alive.is_closing

        tap = RecorderTap(self._writer, is_closing)
        self._taps = weakref.ref(engine.taps)
        self._tap = weakref.ref(tap)  # the session's: it is gone with the client, and the recording then ends
        self._finalizer = weakref.finalize(tap, self._writer.drop)
        self._finalizer.atexit = False  # at exit its turn comes after the connections'
        engine.taps.add(tap)
        for attempt in engine.attempts.alive:
            if attempt.connection.state is WebSocketState.OPEN:
                self._writer.put("opened", {"connection": attempt.number, "is_late": True})

    @also_half_made
    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Recorder {self.path}, {state}{'' if self.error is None else ', incomplete'}>"

    @property
    def path(self) -> Path:
        """The file that is being written, or was written last."""
        return self._writer.paths[-1]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files of a divided recording that there still are, in order."""
        return self._writer.paths

    @property
    def is_open(self) -> bool:
        """Whether it records."""
        return self._writer.is_open

    @property
    def error(self) -> RecordingError | None:
        """Why something is missing from the recording; ``None`` if nothing is."""
        return self._writer.error

    def note(self, text: str) -> None:
        """Write *text* into the recording, such as what the user complained about. Does not wait."""
        self._writer.put("note", {"text": text})

    def flush(self, timeout: float = 2.0) -> bool:
        """
        Wait until what happened by now is in the file.

        Args:
            timeout: Seconds to wait for the disk.

        Returns:
            Whether all of it is: ``False`` also for good once :attr:`error` says that something is missing.
        """
        return self._writer.wait_written(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """
        End the recording and close the file. Idempotent; from any thread.

        Args:
            timeout: Seconds to wait for the disk.

        Returns:
            Whether all of it is in the file, and that is closed. If not, :attr:`error` says why; a file that
            is not closed yet will be when the disk allows.
        """
        taps, tap = self._taps(), self._tap()
        if taps is not None and tap is not None:
            taps.remove(tap)
        self._writer.finish()
        return self._writer.join_or_complain(timeout) and self.error is None

    def _close_with_connection(self) -> None:
        """End the recording as soon as the connection has ended. Does not wait."""
        tap = self._tap()
        if tap is None:
            self._writer.finish()
        else:
            tap.finish_with_connection()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def make_recorder(client: _Client, record: Record) -> Recorder:
    """
    Return the recorder that ``record=`` asks for.

    Raises:
        OSError, ValueError, TypeError: As :class:`Recorder`.
    """
    if isinstance(record, Mapping):
        if "path" not in record:
            raise ValueError('record has no "path"; give the file to record into')
        return Recorder(client, **record)
    if not isinstance(record, str | os.PathLike):
        raise TypeError(f"record must be a path, or a mapping with one, not {type(record).__name__}")
    return Recorder(client, record)


def _check(name: str, value: float | None, low: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number or None, not {type(value).__name__}")
    if not value >= low:
        raise ValueError(f"{name} must be at least {low:g}, not {value!r}")
