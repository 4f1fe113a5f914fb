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
* :mod:`.replies`, :mod:`.voice`, :mod:`.vad` and the ears are what may be replaced: :mod:`.recogniser`,
  :mod:`.synthesiser` and :mod:`.silero` understand, speak and listen really, and :mod:`.chat` has a model
  answer; :mod:`.jobs` keeps their work off the connection;
* :mod:`.dialects`, :mod:`.tables` and :mod:`.schema` know the wire.

The server needs the ``[emulator]`` extra, asked for when one is started; the recogniser, the synthesiser
and the Silero detector need ``[speech]``; everything else needs neither.
"""

from __future__ import annotations

from .brain import Brain, Close, Temper
from .chat import ChatModel
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
from .recogniser import Recogniser
from .replies import Failure, FunctionCall, Reply, default_ears, default_reply
from .server import Emulator
from .session import Session
from .silero import SileroDetector
from .synthesiser import Synthesiser
from .vad import Detector, EnergyDetector
from .voice import speak, synthesise
from .witness import Attempt

__all__ = [
    "Attempt",
    "BadFrame",
    "Brain",
    "ChatModel",
    "Close",
    "Connection",
    "Conversation",
    "Delay",
    "Detector",
    "Drop",
    "Emulator",
    "EnergyDetector",
    "Failure",
    "Faults",
    "FunctionCall",
    "IgnorePings",
    "Item",
    "Part",
    "Recogniser",
    "Redirect",
    "Refuse",
    "Reply",
    "Rule",
    "Say",
    "SendRaw",
    "Session",
    "Silence",
    "SileroDetector",
    "StopReading",
    "Swallow",
    "Synthesiser",
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
