"""
Microphones and speakers: :class:`Microphone`, :class:`Speaker` and :func:`list_devices`.

:class:`SimulatedMicrophone` plays a recording; :class:`SimulatedSpeaker` takes real time and keeps what it
played. They need no device and no extra. :class:`MicrophoneLike` and :class:`SpeakerLike` say what a voice
session asks of any other.

Real ones need the ``audio`` extra (``sounddevice``) and the PortAudio library when the first is opened or
listed; importing this needs neither.

==========================================  ========================================================
thread                                      does
==========================================  ========================================================
PortAudio's, one for each open device       copies a block; waits for nothing, logs nothing
``azure-rt-microphone-N``, ``…-speaker-N``  opens the device, watches it, opens the default instead
``…-events``, ``…-tap``                     run ``on_event`` and ``on_played``, if given
``azure-rt-device-close``                   ends a stream, which a driver can hang in
==========================================  ========================================================
"""

from __future__ import annotations

from ..errors import DeviceError
from .events import DeviceEvent, DeviceLost, DeviceOpened, Played
from .interfaces import MicrophoneLike, SpeakerLike
from .microphone import Microphone
from .portaudio import Device, list_devices
from .simulated import SimulatedMicrophone, SimulatedSpeaker
from .speaker import Speaker

__all__ = [
    "Device",
    "DeviceError",
    "DeviceEvent",
    "DeviceLost",
    "DeviceOpened",
    "Microphone",
    "MicrophoneLike",
    "Played",
    "SimulatedMicrophone",
    "SimulatedSpeaker",
    "Speaker",
    "SpeakerLike",
    "list_devices",
]
