"""
The thread that writes a recording.

Others leave what happened in a queue, which costs them one append. The thread sleeps while there is nothing;
then it lets entries gather for a quarter of a second, and writes them together. Its queue is bounded: a disk
that is too slow costs entries, one that is full ends the recording. Either is said once.

**Threads and locks.** ``RecordingWriter._changed`` is a leaf; it guards the queue and the state, and is not
held while a line is made or written.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import operator
import queue
import threading
import time
from pathlib import Path
from typing import Any, Final

import orjson

from .._concurrency import shutdown
from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._concurrency.program_end import join_thread
from .._log import get_logger
from ..errors import RecordingError
from .lines import Happening, add_line
from .part_file import PartFile, numbered
from .redaction import Redaction

__all__ = ["RecordingWriter"]

log: logging.Logger = get_logger(__name__)

_GATHER_SECONDS: Final = 0.25
_MUCH_BYTES: Final = 2**20
"""What waits is written at once when it is so much."""
_MAX_WAITING_BYTES: Final = 16 * 2**20
"""What comes while so much waits is lost."""
_ENTRY_BYTES: Final = 200
"""Memory of an entry beside its message, roughly."""

_numbers = itertools.count(1)


class RecordingWriter:
    """
    Writes what it is given into a file, or several.

    Args:
        path: Of the first file.
        header: Its fields, except those that change from part to part.
        max_bytes: Begin another file before this one is larger.
        max_seconds: Begin another file when this one is older.
        max_files: Delete the oldest of more files.

    Attributes:
        paths: The files that there are, the present one last. Replaced, never changed.
        error: Why something is missing; ``None`` if nothing is. Written once.

    Raises:
        OSError: The file cannot be made, or not be written to.
    """

    def __init__(
        self,
        path: Path,
        header: dict[str, Any],
        redaction: Redaction,
        *,
        max_bytes: int | None = None,
        max_seconds: float | None = None,
        max_files: int | None = None,
    ) -> None:
        self._path = path
        self._header = header
        self._redaction = redaction
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._max_files = max_files
        self._began = time.monotonic()
        self._started = time.time()
        self._changed = Condition()
        self._queue: collections.deque[Happening] = collections.deque()  # guarded by _changed
        self._waiting_bytes = 0  # guarded by _changed
        self._lost = [0, 0]  # entries and bytes; guarded by _changed
        self._is_finishing = False  # written once, also without the lock
        # A simple queue, because it alone may be put to in the middle of anything, where finalizers run.
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_over = False  # guarded by _changed
        self._is_writing = False  # guarded by _changed
        self._is_hurried = False  # somebody waits for it; guarded by _changed
        self.error: RecordingError | None = None
        self.paths: tuple[Path, ...] = (path,)
        self._part = 1  # this and the rest: the thread's own, once it runs
        self._part_began = 0.0
        self._part_entries = 0
        self._file = PartFile(path)
        self._thread = threading.Thread(
            target=self._run, name=f"azure-rt-recorder-{next(_numbers)}", daemon=True
        )
        try:
            self._file.write([self._header_line()])
            self._thread.start()
        except BaseException:
            self._file.close()
            raise
        shutdown.register(
            shutdown.Stage.RECORDINGS, self, RecordingWriter.finish, RecordingWriter.join_or_complain
        )

    # ------------------------------------------------------------ any thread

    @property
    def is_open(self) -> bool:
        """Whether what is put is recorded."""
        return not (self._is_finishing or self._is_over)

    def since_beginning(self, moment: float) -> float:
        """Return a moment of the monotonic clock as the ``t`` of the recording."""
        return moment - self._began

    def put(
        self, kind: str, body: bytes | dict[str, Any], connection: int = 0, when: float | None = None
    ) -> None:
        """
        Have something recorded. Does not wait.

        Args:
            kind: As in the format.
            body: The bytes of a message, or the fields of another entry.
            when: On the monotonic clock; ``None`` for now.
        """
        now = time.monotonic() if when is None else when
        size = _ENTRY_BYTES + len(body)
        with self._changed.lock:
            if self._is_finishing or self._is_over:
                return
            waiting = self._waiting_bytes
            total = waiting + size
            if total <= _MAX_WAITING_BYTES:
                self._waiting_bytes = total
                self._queue.append((now, kind, connection, body))
                if not waiting:
                    self._wakeup.put(None)
                elif waiting < _MUCH_BYTES <= total:
                    self._changed.notify_all()
                return
            if not waiting:
                self._wakeup.put(None)
            self._lost[0] += 1
            self._lost[1] += size
        if self.error is None:
            self._complain(f"the disk is too slow for the recording {self._file.path}: entries are missing")

    def finish(self) -> None:
        """Write what waits and close the file, soon. Idempotent; does not wait."""
        self.drop()
        with self._changed.lock:
            self._changed.notify_all()

    def drop(self) -> None:
        """The same for a finalizer, a quarter of a second later: it may run in the middle of anything."""
        self._is_finishing = True
        self._wakeup.put(None)

    def join(self, seconds: float | None) -> bool:
        """Wait for the file to be closed; return whether it is."""
        return join_thread(self._thread, seconds)

    def join_or_complain(self, seconds: float | None) -> bool:
        """The same, and say so if it is not."""
        if self.join(seconds):
            return True
        if self.error is None and threading.current_thread() is not self._thread:
            self._complain(
                f"the recording {self._file.path} was not written to its end within {seconds or 0:.1f} "
                "seconds"
            )
        return False

    def wait_written(self, seconds: float) -> bool:
        """Have what was put by now written, and wait for it; return whether it is, all of it."""
        with self._changed.lock:
            self._is_hurried = True
            self._changed.notify_all()
        is_idle = self._changed.wait_until(
            lambda: self._is_over or (not self._queue and not self._is_writing), Deadline(seconds)
        )
        return is_idle and self.error is None  # it is also over if the disk is full

    def _complain(self, message: str, cause: BaseException | None = None) -> None:
        with self._changed.lock:
            if self.error is not None:
                return
            error = RecordingError(message)
            error.__cause__ = cause
            self.error = error
        log.warning("! %s", message)

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        end = False
        try:
            while not end:
                self._wakeup.get()  # something waits to be written, or it is the end
                self._changed.wait_quietly(
                    lambda: self._is_finishing or self._is_hurried or self._waiting_bytes >= _MUCH_BYTES,
                    Deadline(_GATHER_SECONDS),
                )
                batch, lost, end = self._take()
                if lost[0]:
                    batch.append((time.monotonic(), "lost", 0, {"count": lost[0], "bytes": lost[1]}))
                self._write(batch)
                with self._changed.lock:
                    self._is_writing = False
                    self._changed.notify_all()
            self._write_end(None)
            self._file.close()
        except OSError as exc:
            remedy = "begin another" if isinstance(exc, FileNotFoundError) else "make room and begin another"
            self._complain(
                f"the recording {self._file.path} has ended: {exc.strerror or exc}; {remedy}",
                exc,
            )
            with contextlib.suppress(OSError):
                self._file.close()
        except Exception as exc:  # noqa: BLE001 - an error of ours must not keep anybody waiting
            self._complain(f"the recording {self._file.path} has ended: {type(exc).__name__}", exc)
        finally:
            with self._changed.lock:
                self._is_over = True
                self._queue.clear()
                self._changed.notify_all()
            shutdown.forget(shutdown.Stage.RECORDINGS, self)

    def _take(self) -> tuple[list[Happening], list[int], bool]:
        with self._changed.lock:
            batch = sorted(self._queue, key=operator.itemgetter(0))
            self._queue.clear()
            self._waiting_bytes = 0
            lost, self._lost = self._lost, [0, 0]
            self._is_writing, self._is_hurried = True, False
            return batch, lost, self._is_finishing

    def _write(self, batch: list[Happening]) -> None:
        # The wall clock may have been set: what is written together has its time as it is now.
        started = time.time() - (time.monotonic() - self._began)
        is_divided = self._max_bytes is not None or self._max_seconds is not None
        lines: list[bytes] = []
        size = 0
        for happening in batch:
            pieces = len(lines)
            added = self._add(lines, happening, started)
            if is_divided and self._is_full(size + added, happening[0]):
                line = lines[pieces:]
                del lines[pieces:]
                self._file.write(lines)
                lines, size = line, 0
                self._begin_part(happening[0])
            size += added
            self._part_entries += 1
        self._file.write(lines)

    def _add(self, lines: list[bytes], happening: Happening, started: float) -> int:
        try:
            return add_line(lines, happening, self._began, started, self._redaction)
        except Exception as exc:  # noqa: BLE001 - the user's code; what it raised is told
            self._complain(
                f"redact failed with {type(exc).__name__}; what it was to change is not recorded", exc
            )
            fields = {"text": f"not recorded: redact failed with {type(exc).__name__}"}
            return add_line(lines, (happening[0], "note", 0, fields), self._began, started, self._redaction)

    def _is_full(self, size: int, now: float) -> bool:
        if not self._part_entries:
            return False
        if self._max_bytes is not None and self._file.bytes + size > self._max_bytes:
            return True
        return self._max_seconds is not None and now - self._began - self._part_began >= self._max_seconds

    def _begin_part(self, now: float) -> None:
        part = self._part
        while True:
            part += 1
            try:
                following = PartFile(numbered(self._path, part))
                break
            except FileExistsError:
                continue
        self._write_end(following.path.name)
        self._file.close()
        self._file, self._part, self._part_began = following, part, now - self._began
        self._part_entries = 0
        self._file.write([self._header_line()])
        self.paths = (*self.paths, following.path)
        if self._max_files is not None:
            while len(self.paths) > self._max_files:
                with contextlib.suppress(OSError):
                    self.paths[0].unlink()
                self.paths = self.paths[1:]

    def _header_line(self) -> bytes:
        fields = {
            **self._header,
            "started": round(self._started, 3),
            "t": round(self._part_began, 6),
            "part": self._part,
        }
        return self._redaction.without_secrets(orjson.dumps(fields, default=str) + b"\n")

    def _write_end(self, following: str | None) -> None:
        lines: list[bytes] = []
        self._add(lines, (time.monotonic(), "end", 0, {"next": following}), self._started)
        self._file.write(lines)
