"""
A client's events as Qt signals.

Importing it needs the ``qt`` extra, or another binding with ``qtpy``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .client import AzureRealTimeAudio
from .dispatch import QtDispatcher
from .dispatch.qt import importing_qt
from .protocol.events import EVENT_CLASSES
from .protocol.events.local import Closed, Init, StatusChanged

if TYPE_CHECKING:
    from PySide6.QtCore import QObject, Signal  # for type checkers
else:
    with importing_qt("RealtimeSignals"):
        from qtpy.QtCore import QObject, Signal

__all__ = ["RealtimeSignals"]


class RealtimeSignals(QObject):
    """
    One signal per event of a client, named like the event with underscores for dots.

    ::

        signals = RealtimeSignals(client, window)
        signals.response_audio_transcript_delta.connect(window.show_words)

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

    init: Signal = Signal(object)
    status_changed: Signal = Signal(object)
    error: Signal = Signal(object)
    closed: Signal = Signal(object)

    session_created: Signal = Signal(object)
    session_updated: Signal = Signal(object)
    transcription_session_created: Signal = Signal(object)
    transcription_session_updated: Signal = Signal(object)
    rate_limits_updated: Signal = Signal(object)
    session_closed: Signal = Signal(object)
    session_input_transcript_delta: Signal = Signal(object)
    session_output_transcript_delta: Signal = Signal(object)
    session_output_audio_delta: Signal = Signal(object)
    conversation_created: Signal = Signal(object)
    conversation_item_created: Signal = Signal(object)
    conversation_item_done: Signal = Signal(object)
    conversation_item_retrieved: Signal = Signal(object)
    conversation_item_truncated: Signal = Signal(object)
    conversation_item_deleted: Signal = Signal(object)
    conversation_item_input_audio_transcription_delta: Signal = Signal(object)
    conversation_item_input_audio_transcription_segment: Signal = Signal(object)
    conversation_item_input_audio_transcription_completed: Signal = Signal(object)
    conversation_item_input_audio_transcription_failed: Signal = Signal(object)
    input_audio_buffer_committed: Signal = Signal(object)
    input_audio_buffer_cleared: Signal = Signal(object)
    input_audio_buffer_speech_started: Signal = Signal(object)
    input_audio_buffer_speech_stopped: Signal = Signal(object)
    input_audio_buffer_timeout_triggered: Signal = Signal(object)
    input_audio_buffer_dtmf_event_received: Signal = Signal(object)
    output_audio_buffer_started: Signal = Signal(object)
    output_audio_buffer_stopped: Signal = Signal(object)
    output_audio_buffer_cleared: Signal = Signal(object)
    response_created: Signal = Signal(object)
    response_done: Signal = Signal(object)
    response_output_item_added: Signal = Signal(object)
    response_output_item_done: Signal = Signal(object)
    response_content_part_added: Signal = Signal(object)
    response_content_part_done: Signal = Signal(object)
    response_text_delta: Signal = Signal(object)
    response_text_done: Signal = Signal(object)
    response_audio_transcript_delta: Signal = Signal(object)
    response_audio_transcript_done: Signal = Signal(object)
    response_audio_delta: Signal = Signal(object)
    response_audio_done: Signal = Signal(object)
    response_function_call_arguments_delta: Signal = Signal(object)
    response_function_call_arguments_done: Signal = Signal(object)
    response_mcp_call_arguments_delta: Signal = Signal(object)
    response_mcp_call_arguments_done: Signal = Signal(object)
    response_mcp_call_in_progress: Signal = Signal(object)
    response_mcp_call_completed: Signal = Signal(object)
    response_mcp_call_failed: Signal = Signal(object)
    mcp_list_tools_in_progress: Signal = Signal(object)
    mcp_list_tools_completed: Signal = Signal(object)
    mcp_list_tools_failed: Signal = Signal(object)

    def __init__(self, client: AzureRealTimeAudio, parent: Any = None) -> None:
        super().__init__(parent)
        dispatcher = QtDispatcher(self)
        dispatcher.host(client)
        for name in (*EVENT_CLASSES, *(cls.TYPE for cls in (Init, StatusChanged, Closed))):
            client.on(name, _weakly_emit(self, name.replace(".", "_")), dispatcher=dispatcher)


def _weakly_emit(signals: RealtimeSignals, name: str) -> Callable[[Any], None]:
    """Return a listener that emits a signal as long as *signals* exists."""
    reference = weakref.ref(signals)

    def emit(payload: Any) -> None:
        alive = reference()
        if alive is not None:
            getattr(alive, name).emit(payload)

    return emit
