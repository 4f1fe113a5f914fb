"""Threads, the time they wait, and their end: what every part of the library may use."""
