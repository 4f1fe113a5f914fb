"""
Microphones and speakers: :class:`Microphone`, :class:`Speaker` and :func:`list_devices`.

:class:`SimulatedMicrophone` plays a recording; :class:`SimulatedSpeaker` takes real time and keeps what it
played. They need no device and no extra. :class:`MicrophoneLike` and :class:`SpeakerLike` are the interfaces
that a voice session needs.

Opening or listing devices needs the ``audio`` extra (``sounddevice``) and the PortAudio library; importing
this package needs neither.

==========================================  ==========================================================
thread                                      task
==========================================  ==========================================================
PortAudio's, one for each open stream       runs the stream callback: copies a block, without blocking
``azure-rt-microphone-N``, ``…-speaker-N``  opens the device, detects its loss, reopens the default
``…-events``, ``…-tap``                     run ``on_event`` and ``on_played``
``azure-rt-device-close``                   stops a stream; a driver may hang there
==========================================  ==========================================================
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
