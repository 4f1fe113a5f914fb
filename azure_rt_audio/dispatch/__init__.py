"""
Where listeners run.

A dispatcher is anything with ``submit(callback, event)``: it sees to it that ``callback(event)``
is called once, later or now, on the thread it stands for, in the order of submission.

* :class:`WorkerDispatcher`: a thread of their own, one at a time. The default.
* :class:`InlineDispatcher`: the reader thread itself. The shortest way, for listeners that only
  note something down.
* :class:`QueueDispatcher`: whichever thread calls ``run_pending``, for programs with a loop.
"""

from .base import Dispatcher, InlineDispatcher
from .queued import QueueDispatcher
from .worker import WorkerDispatcher

__all__ = ["Dispatcher", "InlineDispatcher", "QueueDispatcher", "WorkerDispatcher"]
