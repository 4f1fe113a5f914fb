"""
Events of the service: one class each, named after GA's name.

``TYPE`` is GA's name in both dialects; :mod:`azure_rt_audio.protocol.dialects` knows the other names.
:mod:`azure_rt_audio.events` makes all classes public.
"""

from __future__ import annotations

from . import base, buffers, conversation, response, session
from .base import *  # noqa: F403
from .buffers import *  # noqa: F403
from .conversation import *  # noqa: F403
from .response import *  # noqa: F403
from .session import *  # noqa: F403

__all__ = []
__all__ += base.__all__
__all__ += buffers.__all__
__all__ += conversation.__all__
__all__ += response.__all__
__all__ += session.__all__

EVENT_CLASSES: dict[str, type[base.Event]] = {
    cls.TYPE: cls
    for module in (session, conversation, buffers, response)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, base.Event) and hasattr(cls, "TYPE")
}
"""Every class of a server event by its canonical name."""
