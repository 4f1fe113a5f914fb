"""
The machines of one client, knitted together; :mod:`azure_rt_audio.client` is their public face.

:mod:`.engine` knits; :mod:`.outgoing` is the way out, :mod:`.readiness` the waiting for the session.
"""

from .engine import Engine

__all__ = ["Engine"]
