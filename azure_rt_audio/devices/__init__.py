"""
Microphones and speakers: :class:`Microphone`, :class:`Speaker` and :func:`list_devices`.

Needs the ``audio`` extra (``sounddevice``) and the PortAudio library when the first device is opened or
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
from .microphone import Microphone
from .portaudio import Device, list_devices
from .speaker import Speaker

__all__ = [
    "Device",
    "DeviceError",
    "DeviceEvent",
    "DeviceLost",
    "DeviceOpened",
    "Microphone",
    "Played",
    "Speaker",
    "list_devices",
]
