"""
What is behind one client; :mod:`azure_rt_audio.client` is its public API.

:mod:`.engine` connects the parts: :mod:`.attempt` is one connection, :mod:`.sender` sends commands,
:mod:`.readiness` waits for the session, :mod:`.listeners` and :mod:`.waiters` receive events.
"""

from .engine import Engine

__all__ = ["Engine"]
