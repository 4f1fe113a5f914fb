"""
Where listeners run.

A dispatcher is any object with ``submit(callback, event)``. It calls ``callback(event)`` once, now or later,
on its thread, in the order of submission.

* :class:`WorkerDispatcher`: a worker thread, one listener at a time. The default.
* :class:`InlineDispatcher`: the I/O thread itself. The shortest path, for listeners that return at once.
* :class:`QueueDispatcher`: the thread that calls ``run_pending``, for programs with their own loop.
* :class:`NotebookDispatcher`: a worker thread, with output in the cell that registered the listener. The
  default in Jupyter.
* :class:`TkDispatcher`, :class:`QtDispatcher`: the thread of a window; its end closes the client.
"""

from __future__ import annotations

from .base import Dispatcher, InlineDispatcher
from .notebook import NotebookDispatcher, kernel_shell
from .qt import QtDispatcher
from .queued import QueueDispatcher
from .tk import TkDispatcher
from .worker import WorkerDispatcher

__all__ = [
    "Dispatcher",
    "InlineDispatcher",
    "NotebookDispatcher",
    "QtDispatcher",
    "QueueDispatcher",
    "TkDispatcher",
    "WorkerDispatcher",
]


def default_dispatcher() -> WorkerDispatcher:
    """Return a new :class:`WorkerDispatcher`; in a Jupyter kernel a :class:`NotebookDispatcher`."""
    return WorkerDispatcher() if kernel_shell() is None else NotebookDispatcher()
