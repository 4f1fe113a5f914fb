"""
One session of the service, without sockets, threads or a clock.

:mod:`.engine` takes commands and hands out events. Its parts: :mod:`.commands` carries commands out,
:mod:`.input_audio` holds the input buffer, :mod:`.response` produces one response, :mod:`.events` makes
event objects, :mod:`.behaviour` holds what may be replaced.
"""
