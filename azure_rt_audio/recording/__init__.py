"""
Reads the recordings of conversations, which a :class:`~azure_rt_audio.Recorder` writes.

``Recording.load("session.rta")`` has the header, the entries in the order of time, and the lines that could
not be read. It needs no client, no device and no network.
"""

from .format import (
    ConnectionEnded,
    Dropped,
    End,
    Entry,
    Header,
    Heard,
    LevelsMeasured,
    ListenerFailed,
    Lost,
    Note,
    Opened,
    Received,
    Reconnected,
    Reconnecting,
    Sent,
    ToolEnded,
    ToolStarted,
    UnknownEntry,
)
from .recording import Problem, Recording

__all__ = [
    "ConnectionEnded",
    "Dropped",
    "End",
    "Entry",
    "Header",
    "Heard",
    "LevelsMeasured",
    "ListenerFailed",
    "Lost",
    "Note",
    "Opened",
    "Problem",
    "Received",
    "Reconnected",
    "Reconnecting",
    "Recording",
    "Sent",
    "ToolEnded",
    "ToolStarted",
    "UnknownEntry",
]
