"""
A client's events as Qt signals.

Importing it needs the ``qt`` extra, or another binding with ``qtpy``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .client import AzureRealTimeAudio
from .dispatch import QtDispatcher
from .dispatch.qt import importing_qt
from .protocol.events import EVENT_CLASSES
from .protocol.events.local import LOCAL_EVENTS

with importing_qt("RealtimeSignals"):
    from qtpy.QtCore import QObject, Signal

__all__ = ["RealtimeSignals"]

_NAMES = (*EVENT_CLASSES, *(cls.TYPE for cls in LOCAL_EVENTS))


class RealtimeSignals(QObject):
    """
    One signal per event of a client, named like the event with underscores for dots.

    ::

        signals = RealtimeSignals(client, window)
        signals.response_output_audio_transcript_delta.connect(window.show_words)

    A signal carries the argument of a listener: the session for ``init``, an exception for ``error``,
    otherwise the event. They are emitted on this object's thread by a :class:`QtDispatcher`, wherever the
    client's other listeners run. When this object is destroyed, or the application quits, emission ends and
    the client is closed.

    Args:
        client: The client; neither object keeps the other alive.
        parent: A ``QObject`` that owns this one; without it, keep a reference.

    Raises:
        RuntimeError: If there is no ``QApplication`` yet.

    **Threads.** As any ``QObject``: create it and connect to it on the thread of *parent*.
    """

    # The stub beside this file, which tools/stubs.py writes, has them one by one.
    for _name in _NAMES:
        vars()[_name.replace(".", "_")] = Signal(object)
    del _name

    def __init__(self, client: AzureRealTimeAudio, parent: Any = None) -> None:
        if not isinstance(client, AzureRealTimeAudio):
            raise TypeError(f"client must be an AzureRealTimeAudio, not {type(client).__name__}")
        super().__init__(parent)
        dispatcher = QtDispatcher(self)
        dispatcher.host(client)
        for name in _NAMES:
            client.on(name, _weakly_emit(self, name.replace(".", "_")), dispatcher=dispatcher)


def _weakly_emit(signals: RealtimeSignals, name: str) -> Callable[[Any], None]:
    """Return a listener that emits a signal as long as *signals* exists."""
    reference = weakref.ref(signals)

    def emit(payload: Any) -> None:
        alive = reference()
        if alive is not None:
            getattr(alive, name).emit(payload)

    return emit
