"""
Where listeners run.

A dispatcher is anything with ``submit(callback, event)``: it sees to it that ``callback(event)``
is called once, later or now, on the thread it stands for, in the order of submission.

* :class:`WorkerDispatcher`: a thread of their own, one at a time. The default.
* :class:`InlineDispatcher`: the reader thread itself. The shortest way, for listeners that only
  note something down.
* :class:`QueueDispatcher`: whichever thread calls ``run_pending``, for programs with a loop.
* :class:`NotebookDispatcher`: a thread of their own, and the cell that registered them. The default in
  Jupyter.
* :class:`TkDispatcher`, :class:`QtDispatcher`: the thread of a window, which they close the client with.
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
    """Return a new worker thread; in a Jupyter kernel one that knows of cells."""
    return WorkerDispatcher() if kernel_shell() is None else NotebookDispatcher()
