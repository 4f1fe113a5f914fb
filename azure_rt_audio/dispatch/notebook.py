"""
Listeners in a Jupyter notebook: a thread of their own, whose output lands in the cell they come from.

A kernel's main thread runs cells, and while one waits in :meth:`ask` it runs nothing else; so listeners
have a thread, and no event loop is needed or touched. What they print, display or raise belongs to the
cell that registered them. A message finds its cell by the request that it names as its parent, and
ipykernel keeps that in three ways, all of which are served:

* from 7.4 on, ``shell.set_thread_parent()`` says it for the calling thread;
* before that, in 7, context variables hold it, so the listener runs in a copy of the cell's context;
* in 6 a context variable holds it for printing; for displaying there is one for all threads, so
  what a thread displays is readdressed on its way, by a hook that is the thread's own.

A cell that is run again closes the clients that it made before, before it makes new ones; and a client that
no variable holds any more is removed from IPython's history of results, so that it is collected.

**Threads and locks.** Listeners run on ``azure-rt-events-N``; clients may be made on any thread.
``_Cells._lock`` guards who was made where; it is a leaf and never held while a client is closed.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from .base import Call
from .worker import WorkerDispatcher

__all__ = ["NotebookDispatcher", "kernel_shell"]

_request: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar(
    "azure_rt_audio_request", default=None
)
"""The request whose cell a listener belongs to, while it runs."""


def kernel_shell() -> Any:
    """Return IPython's shell if this is a Jupyter kernel, else ``None``. Imports nothing elsewhere."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if hasattr(shell, "kernel") else None


class NotebookDispatcher(WorkerDispatcher):
    """
    Runs listeners on a thread of their own, with their output in the cell that registered them.

    What a client in a notebook has by default. Elsewhere it is a :class:`WorkerDispatcher`.

    **Threads.** As :class:`WorkerDispatcher`.
    """

    def place(self) -> Call:
        """Return what calls a listener so that its output lands in this cell."""
        shell = kernel_shell()
        if shell is None:
            return _simply
        context = contextvars.copy_context()
        request = _request.get() or shell.get_parent()

        def call(*what: Any) -> object:
            # A copy, because a context can be entered once at a time.
            return context.copy().run(_call_for, shell, request, *what)

        return call

    def host(self, client: Any) -> None:
        """Close the clients that earlier runs of this cell have made."""
        shell = kernel_shell()
        if shell is not None:
            _cells_of(shell).move_in(client, _request.get() or shell.get_parent())


def _simply(function: Callable[..., object], *arguments: Any) -> object:
    return function(*arguments)


def _call_for(
    shell: Any, request: dict[str, Any], function: Callable[..., object], *arguments: Any
) -> object:
    _request.set(request)
    if hasattr(shell, "set_thread_parent"):
        shell.set_thread_parent(request)  # ends with the context
        return function(*arguments)
    with _readdressed(shell.display_pub, request.get("header", {})):
        return function(*arguments)


@contextmanager
def _readdressed(publisher: Any, header: Any) -> Iterator[None]:
    """Have what this thread displays belong to another request. For ipykernel before 7.4."""

    def readdress(message: dict[str, Any]) -> dict[str, Any]:
        message["parent_header"] = header
        return message

    if not hasattr(publisher, "register_hook"):  # output is being captured by the cell that runs
        yield
        return
    publisher.register_hook(readdress)
    try:
        yield
    finally:
        publisher.unregister_hook(readdress)


class _Cells:
    """The clients of a notebook, by the cells that made them. Keeps none of them alive."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lock = threading.Lock()  # leaf
        self._made: list[tuple[str, str, weakref.ref[Any]]] = []  # cell, run of it; guarded by _lock
        self._named: weakref.WeakSet[Any] = weakref.WeakSet()  # main thread only
        shell.events.register("post_run_cell", self._forget_the_nameless)

    def move_in(self, client: Any, request: Mapping[str, Any]) -> None:
        """Note a new client, and close those of earlier runs of its cell. Blocks as ``close`` does."""
        cell, run = _cell_of(request), str(request.get("header", {}).get("msg_id"))
        with self._lock:
            alive = [(c, r, ref) for c, r, ref in self._made if ref() is not None]
            leaving = [ref for c, r, ref in alive if c == cell and r != run]
            self._made = [entry for entry in alive if entry[2] not in leaving]
            self._made.append((cell, run, weakref.ref(client)))
        for reference in leaving:
            tenant = reference()
            if tenant is not None:
                tenant.close()

    def _forget_the_nameless(self, _: object = None) -> None:
        """
        Remove from IPython's history what once had a name and has none any more.

        ``Out``, ``_`` and their like would keep a client, and its connection, for as long as the kernel runs.
        """
        variables = self._shell.user_ns
        with self._lock:
            clients = [client for _, _, ref in self._made if (client := ref()) is not None]
        for client in clients:
            if any(value is client and not _is_history(name) for name, value in variables.items()):
                self._named.add(client)
            elif client in self._named:
                self._forget(client)

    def _forget(self, client: Any) -> None:
        shell = self._shell
        for holder in (*shell.all_ns_refs, shell.user_ns.get("_oh", {})):
            for key in [key for key, value in holder.items() if value is client]:
                del holder[key]
        for name in _LATEST:
            if getattr(shell.displayhook, name, None) is client:
                setattr(shell.displayhook, name, None)


_LATEST: Final = ("_", "__", "___")


def _is_history(name: str) -> bool:
    """Whether IPython keeps results in it: ``_``, ``__``, ``___``, and ``_1``, ``_2``, …."""
    return name in _LATEST or (name[:1] == "_" and name[1:].isdigit())


def _cell_of(request: Mapping[str, Any]) -> str:
    """Return what stays the same when a cell is run again: its id, or its text for who sends none."""
    metadata = request.get("metadata") or {}
    return str(metadata.get("cellId") or request.get("content", {}).get("code"))


@functools.cache
def _cells_of(shell: Any) -> _Cells:
    """Those of the kernel, which has one shell."""
    return _Cells(shell)
