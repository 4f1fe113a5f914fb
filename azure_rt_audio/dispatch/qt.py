"""
Listeners on the thread of a Qt window.

How the window's thread is reached: by a signal with a queued connection, of which Qt says that "the slot is
invoked when control returns to the event loop of the receiver's thread" (``Qt::QueuedConnection``).
Underneath, that is ``QCoreApplication::postEvent``, documented as thread-safe, which neither waits nor runs
anything. What is not thread-safe is to use an object that is just being destroyed: so the one whose signal
it is has no parent that could destroy it, the end of the window is told to it, and it is kept until a
thread with a window makes another, or Qt's own clearing up at exit, which comes after ours.

Nothing of Qt is imported before a dispatcher is made; ``qtpy`` finds the binding in use.
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

_BINDINGS: Final = ("PySide6", "PyQt6", "PyQt5", "PySide2")  # that qtpy knows


class QtDispatcher:
    """
    Runs listeners on the thread of a Qt window, one at a time, in order, in its event loop.

    They may touch widgets. Between their calls the loop goes on: a turn of it gives them some milliseconds
    at most, so that masses of events do not freeze the window; one listener that takes long does. While one
    shows a modal dialogue, the others wait. What a listener raises is logged.

    When *parent* is destroyed or the application quits, what waits is forgotten, and the clients made with
    this dispatcher are closed in the background.

    Args:
        parent: The ``QObject`` whose end is to be the end and on whose thread listeners run; ``None`` for the
            application, and the thread that makes this.
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    Raises:
        TypeError: If *parent* is no ``QObject``.
        RuntimeError: If there is no ``QApplication`` yet.
        MissingExtraError: If the ``qt`` extra is not installed, nor another binding with ``qtpy``.

    **Threads.** Make it where *parent* lives. Any thread may submit; none waits for the window.
    """

    def __init__(self, parent: Any = None, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        core, courier_class = _binding()
        application = core.QCoreApplication.instance()
        if application is None:
            raise RuntimeError("there is no QApplication yet; make one first")
        if parent is not None and not isinstance(parent, core.QObject):
            raise TypeError(f"parent must be a QObject, not {type(parent).__name__}")
        courier = courier_class(max_backlog_bytes)
        if parent is not None:
            courier.moveToThread(parent.thread())
            parent.destroyed.connect(courier.end)
        application.aboutToQuit.connect(courier.end)
        application.destroyed.connect(courier.end)
        _couriers.difference_update([old for old in _couriers if old.mailbox.is_over])
        _couriers.add(courier)
        # Muted before what the binding has registered, which destroys its objects.
        shutdown.register(shutdown.Stage.WINDOWS, courier.mailbox, Mailbox.mute)
        self._mailbox: Mailbox = courier.mailbox
        courier.called.emit()  # so that the loop is known as soon as it runs

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Have it called by the event loop; forget it if the window is gone. Never blocks.

        Raises:
            DispatchOverflowError: If listeners are too far behind; nothing is dropped silently.
        """
        self._mailbox.put(callback, event)

    def host(self, client: Any) -> None:
        """
        Close *client* when the window is gone. Clients made with this dispatcher do it themselves.

        Raises:
            RuntimeError: If the window is gone already.
        """
        self._mailbox.host(client)

    def __del__(self) -> None:
        mailbox = getattr(self, "_mailbox", None)
        if mailbox is not None:
            mailbox.is_over = True  # without the lock: a finalizer may run in the middle of anything


_couriers: set[Any] = set()
"""Those that may be called, so that no other thread destroys them."""


@contextmanager
def importing_qt(what: str) -> Iterator[None]:
    """Import from ``qtpy`` in this block; see :func:`importing`."""
    if not any(map(importlib.util.find_spec, _BINDINGS)):
        raise MissingExtraError(what, "qt")  # qtpy alone is no use
    with importing("qtpy", "qt", what):
        yield


@functools.cache
def _binding() -> tuple[Any, Any]:
    """Return the module QtCore, and the class of what carries events to a Qt thread."""
    with importing_qt("QtDispatcher"):
        from qtpy import QtCore as core  # noqa: N813 - a module; and there is no typed name for all bindings

    class Courier(core.QObject):  # type: ignore[misc] # of whichever binding
        """What lives on the thread of the window, and is called from all others."""

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

    return core, Courier


class _QtLoop:
    """The event loop of a courier, which is held weakly: Python collects no circle that goes through Qt."""

    def __init__(self, courier: Any, current_thread: Callable[[], Any]) -> None:
        self._courier = weakref.ref(courier)
        self._current_thread = current_thread

    def is_running(self) -> bool:
        return bool(self._current_thread().loopLevel() > 0)

    def ask_for_turn(self) -> None:
        courier = self._courier()
        if courier is not None:
            courier.called.emit()
