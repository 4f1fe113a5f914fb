"""
The service in miniature, on this machine, for tests and for work without a network.

::

    from azure_rt_audio.emulator import Emulator

    with Emulator() as service:
        client = AzureRealTimeAudio(service.options())

It speaks both dialects at their real paths, with the real refusals, and it knows nothing of this
library's client: any client may be tried on it. From the outside in:

* :mod:`.server`, :mod:`.tls` and :mod:`.connection` are the only ones with sockets and a clock;
* :mod:`.witness` remembers what was seen;
* :mod:`.handshake` decides who may come in, :mod:`.faults` what goes wrong;
* :mod:`.brain` is one session, with :mod:`.commands`, :mod:`.listening`, :mod:`.response` and
  :mod:`.conversation` as its parts; all of them are pure;
* :mod:`.replies`, :mod:`.voice` and the ears are what may be replaced;
* :mod:`.dialects`, :mod:`.tables` and :mod:`.schema` know the wire.

The server needs the ``[emulator]`` extra, asked for when one is started; everything else does not.
"""

from __future__ import annotations

from .brain import Brain, Close, Temper
from .connection import Connection
from .conversation import Conversation, Item, Part
from .faults import (
    BadFrame,
    Delay,
    Drop,
    Faults,
    IgnorePings,
    Redirect,
    Refuse,
    Rule,
    Say,
    SendRaw,
    Silence,
    StopReading,
    Swallow,
    after,
    after_seconds,
    at_handshake,
    before,
    on_command,
)
from .replies import Failure, FunctionCall, Reply, default_ears, default_reply
from .server import Emulator
from .session import Session
from .voice import speak, synthesise
from .witness import Attempt

__all__ = [
    "Attempt",
    "BadFrame",
    "Brain",
    "Close",
    "Connection",
    "Conversation",
    "Delay",
    "Drop",
    "Emulator",
    "Failure",
    "Faults",
    "FunctionCall",
    "IgnorePings",
    "Item",
    "Part",
    "Redirect",
    "Refuse",
    "Reply",
    "Rule",
    "Say",
    "SendRaw",
    "Session",
    "Silence",
    "StopReading",
    "Swallow",
    "Temper",
    "after",
    "after_seconds",
    "at_handshake",
    "before",
    "default_ears",
    "default_reply",
    "on_command",
    "speak",
    "synthesise",
]
