"""
A spoken conversation with microphone and speaker.

:class:`VoiceSession`, or ``client.talk()``, streams both ways and lets the user interrupt. What it tells a
user interface, through ``on_event``:

* :class:`Levels`: how loud both sides are;
* :class:`FirstSound`: an answer begins to be heard, and how long that took;
* :class:`Interrupted`: an answer was stopped, and where;
* :class:`SelfInterruption`: the microphone hears the speaker, and what to do about it;
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
