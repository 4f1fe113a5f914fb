"""
What all parts of the emulator share.

* :mod:`.session`: a session's settings, :mod:`.conversation`: its items, both in no dialect's spelling;
* :mod:`.replies`: answers, and what a responder, a recogniser and a synthesiser are;
* :mod:`.background`: work on threads of its own, handed over as futures;
* :mod:`.pcm`: audio formats and their conversion.
"""
