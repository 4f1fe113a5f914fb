"""
An emulator of the service, for tests and for work without a network.

::

    from azure_rt_audio.emulator import Emulator

    with Emulator() as service:
        client = AzureRealTimeAudio(service.options())

It serves both dialects at their real paths, with the real refusals, and uses nothing of this library's
client: it may be tested with any client. Its packages, each of which imports only from those below it:

* :mod:`.server`: sockets, handshakes, injected faults, the log of requests, time;
* :mod:`.session`: one session, pure: commands in, events out;
* :mod:`.dialects`: what differs between the dialects; :mod:`.speech`: responders, recognisers, synthesisers
  and detectors of speech, all replaceable;
* :mod:`.model`: what these share.

The server needs the ``[emulator]`` extra, asked for when one is started; the recogniser, the synthesiser
and the Silero detector need ``[speech]``; everything else needs neither.
"""

from __future__ import annotations

from .model.conversation import Conversation, Item, Part
from .model.replies import Failure, FunctionCall, Reply
from .model.session import Session
from .replay.comparison import Difference
from .server.clock import Clock, ManualClock, SystemClock
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
from .session.behaviour import Behaviour
from .session.engine import Close, SessionEngine
from .speech.chat_model import ChatModel
from .speech.recogniser import Recogniser
from .speech.rule_responder import default_responder
from .speech.scripted_recogniser import default_recogniser
from .speech.silero import SileroDetector
from .speech.synthesiser import Synthesiser
from .speech.tones import speak, synthesise
from .speech.vad import Detector, EnergyDetector

__all__ = [
    "Attempt",
    "BadFrame",
    "Behaviour",
    "ChatModel",
    "Clock",
    "Close",
    "Connection",
    "Conversation",
    "Delay",
    "Detector",
    "Difference",
    "Drop",
    "Emulator",
    "EnergyDetector",
    "Failure",
    "Faults",
    "FunctionCall",
    "IgnorePings",
    "Item",
    "ManualClock",
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
    "SystemClock",
    "after",
    "after_seconds",
    "at_handshake",
    "before",
    "default_recogniser",
    "default_responder",
    "on_command",
    "speak",
    "synthesise",
]
