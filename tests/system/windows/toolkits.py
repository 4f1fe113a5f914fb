"""What the tests want of a window, from either toolkit."""

from __future__ import annotations

import tkinter
from collections.abc import Callable
from typing import Any, Protocol

from listeners import HANG

from azure_rt_audio import QtDispatcher, TkDispatcher
from azure_rt_audio.dispatch import Dispatcher

__all__ = ["TOOLKITS", "QtWindow", "TkWindow", "Window"]


class Window(Protocol):
    """A window, the loop of its toolkit, and a dispatcher for it."""

    dispatcher: Dispatcher

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        """Have a function called by the loop; what it raises is raised by :meth:`run`."""

    def run(self, seconds: float = HANG) -> None:
        """Run the loop until it is stopped, or the window is destroyed; fail after that many seconds."""

    def stop(self, event: object = None) -> None:
        """Stop the loop."""

    def nest(self) -> None:
        """Run a loop within the loop, as a modal dialogue does, until it is stopped."""

    def new_dispatcher(self) -> Dispatcher:
        """Return another dispatcher for the window."""

    def destroy(self) -> None:
        """Destroy the window, if it has not been yet."""


class _Loop:
    """What both have in common: failures that come out where they are looked for."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    def guarded(self, function: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            try:
                function()
            except BaseException as exc:  # noqa: BLE001 - raised again by run
                self.failures.append(exc)
                self.stop()

        return call

    def stop(self, event: object = None) -> None:
        raise NotImplementedError

    def hang(self) -> None:
        self.failures.append(AssertionError("the loop was not stopped in time"))
        self.stop()

    def raise_failure(self) -> None:
        if self.failures:
            raise self.failures.pop()


class TkWindow(_Loop):
    """A window of Tk."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tkinter.Tk()
        self.dispatcher: Dispatcher = TkDispatcher(self.root)
        self._is_destroyed = False

    def new_dispatcher(self) -> Dispatcher:
        return TkDispatcher(self.root)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        self.root.after(round(seconds * 1000), self.guarded(function))

    def run(self, seconds: float = HANG) -> None:
        guard = self.root.after(round(seconds * 1000), self.hang)
        self.root.mainloop()
        if not self._is_destroyed:
            self.root.after_cancel(guard)
        self.raise_failure()

    def stop(self, event: object = None) -> None:
        self.root.setvar("is_over", True)
        self.root.quit()

    def nest(self) -> None:
        self.root.wait_variable("is_over")

    def destroy(self) -> None:
        if not self._is_destroyed:
            self._is_destroyed = True
            self.root.destroy()


class QtWindow(_Loop):
    """A window of Qt."""

    def __init__(self) -> None:
        super().__init__()
        from PySide6 import QtCore, QtWidgets

        self.core: Any = QtCore
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self.widget: Any = QtWidgets.QWidget()
        self.widget.show()
        self.dispatcher: Dispatcher = QtDispatcher(self.widget)
        self._loops: list[Any] = []

    def new_dispatcher(self) -> Dispatcher:
        return QtDispatcher(self.widget)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        self.core.QTimer.singleShot(round(seconds * 1000), self.guarded(function))

    def run(self, seconds: float = HANG) -> None:
        guard = self.core.QTimer()
        guard.setSingleShot(True)
        guard.timeout.connect(self.hang)
        guard.start(round(seconds * 1000))
        self.nest()
        guard.stop()
        self.raise_failure()

    def stop(self, event: object = None) -> None:
        for loop in self._loops:
            loop.quit()

    def nest(self) -> None:
        self._loops.append(self.core.QEventLoop())
        self._loops[-1].exec()
        self._loops.pop()

    def destroy(self) -> None:
        if self.widget is not None:
            widget, self.widget = self.widget, None
            widget.deleteLater()
            self.core.QCoreApplication.sendPostedEvents(widget, self.core.QEvent.Type.DeferredDelete)
            self.stop()


TOOLKITS: dict[str, Callable[[], Window]] = {"tk": TkWindow, "qt": QtWindow}
