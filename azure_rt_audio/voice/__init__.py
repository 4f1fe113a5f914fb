"""
A spoken conversation with microphone and speaker.

:class:`VoiceSession`, or ``client.talk()``, streams in both directions and handles barge-in. Its events for
user interfaces, passed to ``on_event``:

* :class:`Levels`: levels of microphone and speaker;
* :class:`FirstSound`: playback of an answer began, with its latency;
* :class:`Interrupted`: an answer was interrupted, and where;
* :class:`SelfInterruption`: the microphone picks up the speaker, with the remedy;
* the events of :mod:`azure_rt_audio.devices`: a device was lost, another one opened.

Needs the ``audio`` extra; ``echo="cancel"`` the ``echo`` extra as well.
"""

from ..devices.interfaces import MicrophoneLike, Played, SpeakerLike
from .echo import EchoPolicy
from .events import FirstSound, Interrupted, Levels, SelfInterruption, VoiceEvent
from .played import Cut
from .session import VoiceSession

__all__ = [
    "Cut",
    "EchoPolicy",
    "FirstSound",
    "Interrupted",
    "Levels",
    "MicrophoneLike",
    "Played",
    "SelfInterruption",
    "SpeakerLike",
    "VoiceEvent",
    "VoiceSession",
]
