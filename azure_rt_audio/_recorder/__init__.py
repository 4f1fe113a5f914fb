"""
Records a client into a file.

:mod:`.recorder` is the public class, :mod:`.tap` what it hangs into a session, :mod:`.writer` the thread that
writes, :mod:`.lines` makes lines of what happened, :mod:`.redaction` leaves out what must not be recorded.
:mod:`.configuration` is the header. The format is that of :mod:`azure_rt_audio.recording`.
"""

from .recorder import Record, Recorder, make_recorder

__all__ = ["Record", "Recorder", "make_recorder"]
