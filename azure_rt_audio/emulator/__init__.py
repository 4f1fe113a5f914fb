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

from .server.connection import Connection
from .server.faults import (
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
from .server.request_log import Attempt
from .server.server import Emulator
from .session.conversation import Conversation, Item, Part
from .session.engine import Behaviour, Close, SessionEngine
from .session.replies import Failure, FunctionCall, Reply, default_ears, default_reply
from .session.state import Session
from .speech.chat_model import ChatModel
from .speech.recogniser import Recogniser
from .speech.silero import SileroDetector
from .speech.synthesiser import Synthesiser
from .speech.tones import speak, synthesise
from .speech.vad import Detector, EnergyDetector

__all__ = [
    "Attempt",
    "BadFrame",
    "Behaviour",
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
    "SessionEngine",
    "Silence",
    "SileroDetector",
    "StopReading",
    "Swallow",
    "Synthesiser",
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
