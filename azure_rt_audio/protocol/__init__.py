"""
The protocol: pure, without threads, sockets or a clock.

``session``, ``items``, ``responses`` and ``tools`` have the objects in messages, ``commands`` the client's
events, ``events`` the service's; ``codec`` encodes and decodes them, ``dialects`` knows the differences
between GA and preview.
"""
