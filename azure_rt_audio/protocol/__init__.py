"""
The protocol: pure, without threads, sockets or a clock.

``session``, ``items``, ``responses`` and ``tools`` are what messages are made of, ``commands`` what
we say, ``events`` what we hear; ``codec`` turns them into bytes and back, and ``dialects`` speaks
GA and preview.
"""
