"""
Listeners on the thread of a Qt window.

Other threads reach the window's thread by a signal with a queued connection: "the slot is invoked when
control returns to the event loop of the receiver's thread" (``Qt::QueuedConnection``). It is implemented by
``QCoreApplication::postEvent``, which is documented as thread-safe, does not block and runs no user code. It
is not safe to use an object while it is destroyed. So the sender of that signal has no parent that could
destroy it, and is kept until another dispatcher is made on a window's thread, or until Qt's cleanup at exit,
which comes after ours.

Qt is imported when the first dispatcher is made; ``qtpy`` selects the binding.
"""

from __future__ import annotations

import functools
import importlib.util
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from .._concurrency import shutdown
from .._extras import importing
from ..errors import MissingExtraError
from .mailbox import PAUSE_MS, Mailbox
from .queued import DEFAULT_BACKLOG_BYTES

__all__ = ["QtDispatcher", "importing_qt"]

_BINDINGS: Final = ("PySide6", "PyQt6", "PyQt5", "PySide2")  # supported by qtpy


class QtDispatcher:
    """
    Runs listeners on the thread of a Qt window, one at a time, in order, in its event loop.

    They may touch widgets. Each iteration of the loop runs listeners for some milliseconds at most, so that
    bursts of events do not freeze the window; a slow listener does. While a listener shows a modal dialogue,
    the others wait. An exception in a listener is logged.

    When *parent* is destroyed or the application quits, queued events are dropped, and the clients made with
    this dispatcher are closed in the background.

    Args:
        parent: The ``QObject`` whose thread runs the listeners and whose destruction ends the dispatcher;
            ``None`` for the application, and the current thread.
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    Raises:
        TypeError: If *parent* is no ``QObject``.
        RuntimeError: If there is no ``QApplication`` yet.
        MissingExtraError: If neither the ``qt`` extra nor another binding with ``qtpy`` is installed.

    **Threads.** Create it on the thread of *parent*. Any thread may submit, without blocking.
    """

    def __init__(self, parent: Any = None, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        core, receiver_class = _binding()
        application = core.QCoreApplication.instance()
        if application is None:
            raise RuntimeError("there is no QApplication yet; create it first")
        if parent is not None and not isinstance(parent, core.QObject):
            raise TypeError(f"parent must be a QObject, not {type(parent).__name__}")
        receiver = receiver_class(max_backlog_bytes)
        if parent is not None:
            receiver.moveToThread(parent.thread())
            parent.destroyed.connect(receiver.end)
        application.aboutToQuit.connect(receiver.end)
        application.destroyed.connect(receiver.end)
        _receivers.difference_update([old for old in _receivers if old.mailbox.is_disposable])
        _receivers.add(receiver)
        # Before the binding's own exit hook, which destroys its objects.
        shutdown.register(shutdown.Stage.WINDOWS, receiver.mailbox, Mailbox.mute)
        self._mailbox: Mailbox = receiver.mailbox
        receiver.called.emit()  # registers the loop in its first iteration

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Queue a call for the event loop; drop it if the window is gone. Does not block.

        Raises:
            DispatchOverflowError: If the queue is full; no event is dropped silently.
        """
        self._mailbox.put(callback, event)

    def host(self, client: Any) -> None:
        """
        Close *client* when the window is destroyed. Clients made with this dispatcher call this themselves.

        Raises:
            RuntimeError: If the window is gone.
        """
        self._mailbox.host(client)

    def serves(self, thread_id: int) -> bool:
        """Whether the window's thread is *thread_id*, its ``threading.get_ident()``."""
        return self._mailbox.serves(thread_id)

    def __del__(self) -> None:
        mailbox = getattr(self, "_mailbox", None)
        if mailbox is not None:
            mailbox.is_over = True  # without the lock, as this is a finalizer


_receivers: set[Any] = set()
"""Referenced here so that no other thread destroys one that is in use."""


@contextmanager
def importing_qt(what: str) -> Iterator[None]:
    """Import from ``qtpy`` in this block; see :func:`importing`."""
    if not any(map(importlib.util.find_spec, _BINDINGS)):
        raise MissingExtraError(what, "qt")  # qtpy without a binding
    with importing("qtpy", "qt", what):
        yield


@functools.cache
def _binding() -> tuple[Any, Any]:
    """Return the module QtCore, and the class that receives events on a Qt thread."""
    with importing_qt("QtDispatcher"):
        from qtpy import QtCore as core  # noqa: N813 - a module; and there is no typed name for all bindings

    class Receiver(core.QObject):  # type: ignore[misc] # of whichever binding
        """Lives on the window's thread; its signal is emitted on any thread."""

        called = core.Signal()

        def __init__(self, max_backlog_bytes: int) -> None:
            super().__init__()
            self.mailbox = Mailbox(max_backlog_bytes, _QtLoop(self, core.QThread.currentThread))
            self._pause = core.QTimer(self)
            self._pause.setSingleShot(True)
            self._pause.timeout.connect(self.turn)
            self.called.connect(self.turn, core.Qt.QueuedConnection)

        @core.Slot()  # type: ignore[untyped-decorator]
        def turn(self) -> None:
            is_more = True
            try:
                _, is_more = self.mailbox.run()
            finally:
                if is_more and not self.mailbox.is_over:
                    self._pause.start(PAUSE_MS)

        @core.Slot()  # type: ignore[untyped-decorator]
        def end(self) -> None:
            self._pause.stop()
            self.mailbox.end()

    return core, Receiver


class _QtLoop:
    """The event loop of a receiver, held weakly: Python collects no reference cycle through Qt."""

    def __init__(self, receiver: Any, current_thread: Callable[[], Any]) -> None:
        self._receiver = weakref.ref(receiver)
        self._current_thread = current_thread

    def is_running(self) -> bool:
        return bool(self._current_thread().loopLevel() > 0)

    def ask_for_turn(self) -> None:
        receiver = self._receiver()
        if receiver is not None:
            receiver.called.emit()
