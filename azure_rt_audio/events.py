"""
Every event a client can report: one class per event of the service, named after GA's name of it.

``"response.output_audio.delta"`` is ``ResponseOutputAudioDelta``. ``event.type`` is GA's name with every
service, ``event.wire_type`` the name that was received, ``event.raw`` the whole message. :class:`Init`,
:class:`StatusChanged` and :class:`Closed` are made by the client itself. A class can be given wherever a name
can (``on``, ``once``, ``off``, ``wait_for``, ``events``); :class:`PartEvent` and :class:`Event` stand for all
events below them.
"""

from .protocol import events
from .protocol.events import *  # noqa: F403
from .protocol.events import local
from .protocol.events.local import *  # noqa: F403

__all__ = []
__all__ += events.__all__
__all__ += local.__all__
