"""
Listeners in a Jupyter notebook: on a worker thread, with output in the cell that registered them.

A kernel's main thread runs cells, and is blocked while one waits in :meth:`ask`; so listeners have a thread,
and no event loop is needed or touched. Their output and exceptions belong to the cell that registered them.
A message is assigned to a cell by its parent request, which ipykernel stores in one of three ways, all
supported here:

* from 7.4 on, ``shell.set_thread_parent()`` sets it for the calling thread;
* before that, in 7, in context variables, so the listener runs in a copy of the cell's context;
* in 6, in a context variable for ``print``; for ``display`` in one variable for all threads, so a
  thread-local hook replaces the parent of each message.

When a cell is run again, the clients of its last run are closed before it makes new ones. A client that is
no longer held by a variable is removed from IPython's output history, so that it is collected.

**Threads and locks.** Listeners run on ``azure-rt-events-N``; clients may be made on any thread.
``_Cells._lock`` guards the list of clients; it is a leaf, never held while a client is closed.
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
"""The parent request of a listener, while it runs."""


def kernel_shell() -> Any:
    """Return IPython's shell in a Jupyter kernel, else ``None``; imports IPython only in a kernel."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if hasattr(shell, "kernel") else None


class NotebookDispatcher(WorkerDispatcher):
    """
    Runs listeners on a worker thread, with their output in the cell that registered them.

    The default in a notebook. Elsewhere it behaves as a :class:`WorkerDispatcher`.

    **Threads.** As :class:`WorkerDispatcher`.
    """

    def place(self) -> Call:
        """Return a function that calls a listener with its output in the current cell."""
        shell = kernel_shell()
        if shell is None:
            return _call
        context = contextvars.copy_context()
        request = _request.get() or shell.get_parent()

        def call(*what: Any) -> object:
            # A copy, because a context cannot be entered twice at a time.
            return context.copy().run(_call_with_parent, shell, request, *what)

        return call

    def host(self, client: Any) -> None:
        """Close the clients of earlier runs of the current cell. Blocks as ``close`` does."""
        shell = kernel_shell()
        if shell is not None:
            _cells_of(shell).add(client, _request.get() or shell.get_parent())


def _call(function: Callable[..., object], *arguments: Any) -> object:
    return function(*arguments)


def _call_with_parent(
    shell: Any, request: dict[str, Any], function: Callable[..., object], *arguments: Any
) -> object:
    _request.set(request)
    if hasattr(shell, "set_thread_parent"):
        shell.set_thread_parent(request)  # ends with the context
        return function(*arguments)
    with _reparented(shell.display_pub, request.get("header", {})):
        return function(*arguments)


@contextmanager
def _reparented(publisher: Any, header: Any) -> Iterator[None]:
    """Replace the parent of the messages that this thread displays. For ipykernel before 7.4."""

    def reparent(message: dict[str, Any]) -> dict[str, Any]:
        message["parent_header"] = header
        return message

    if not hasattr(publisher, "register_hook"):  # the running cell captures output
        yield
        return
    publisher.register_hook(reparent)
    try:
        yield
    finally:
        publisher.unregister_hook(reparent)


class _Cells:
    """The clients of a notebook by cell; held weakly."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lock = threading.Lock()  # leaf
        self._made: list[tuple[str, str, weakref.ref[Any]]] = []  # cell, run, client; guarded by _lock
        self._named: weakref.WeakSet[Any] = weakref.WeakSet()  # main thread only
        shell.events.register("post_run_cell", self._drop_unnamed)

    def add(self, client: Any, request: Mapping[str, Any]) -> None:
        """Add a client, and close those of earlier runs of its cell. Blocks as ``close`` does."""
        cell, run = _cell_of(request), str(request.get("header", {}).get("msg_id"))
        with self._lock:
            alive = [(c, r, ref) for c, r, ref in self._made if ref() is not None]
            stale = [ref for c, r, ref in alive if c == cell and r != run]
            self._made = [entry for entry in alive if entry[2] not in stale]
            self._made.append((cell, run, weakref.ref(client)))
        for reference in stale:
            old = reference()
            if old is not None:
                old.close()

    def _drop_unnamed(self, _: object = None) -> None:
        """
        Remove clients from IPython's output history that a variable held once and none does now.

        ``Out``, ``_`` and the like would keep a client and its connection alive as long as the kernel.
        """
        variables = self._shell.user_ns
        with self._lock:
            clients = [client for _, _, ref in self._made if (client := ref()) is not None]
        for client in clients:
            if any(value is client and not _is_history(name) for name, value in variables.items()):
                self._named.add(client)
            elif client in self._named:
                self._drop(client)

    def _drop(self, client: Any) -> None:
        shell = self._shell
        for holder in (*shell.all_ns_refs, shell.user_ns.get("_oh", {})):
            for key in [key for key, value in holder.items() if value is client]:
                del holder[key]
        for name in _LATEST:
            if getattr(shell.displayhook, name, None) is client:
                setattr(shell.displayhook, name, None)


_LATEST: Final = ("_", "__", "___")


def _is_history(name: str) -> bool:
    """Whether a name is IPython's output history: ``_``, ``__``, ``___``, and ``_1``, ``_2``, …."""
    return name in _LATEST or (name[:1] == "_" and name[1:].isdigit())


def _cell_of(request: Mapping[str, Any]) -> str:
    """Return a cell's id; its source for front ends that send no id."""
    metadata = request.get("metadata") or {}
    return str(metadata.get("cellId") or request.get("content", {}).get("code"))


@functools.cache
def _cells_of(shell: Any) -> _Cells:
    """Return the cells of the kernel, which has one shell."""
    return _Cells(shell)
