"""Sockets, the handshake, faults and the log of requests."""
