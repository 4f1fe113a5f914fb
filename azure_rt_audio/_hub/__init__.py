"""
The machines of one client, knitted together; :mod:`azure_rt_audio.client` is their public face.

:mod:`.hub` knits; :mod:`.outgoing` is the way out, :mod:`.readiness` the waiting for the session.
"""

from .hub import Hub

__all__ = ["Hub"]
