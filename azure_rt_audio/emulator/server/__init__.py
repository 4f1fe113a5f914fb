"""
Sockets and threads.

* :mod:`.server` listens, :mod:`.connection` serves one client, :mod:`.tls` ends TLS in front of them;
* :mod:`.handshake` checks requests, :mod:`.faults` holds the injected faults;
* :mod:`.request_log` remembers what was received and sent;
* :mod:`.clock` is the time they all go by.
"""
