"""
The service as it was recorded, as a test double.

:mod:`.script` is what is expected and answered on each connection, :mod:`.comparison` finds how a command
differs, :mod:`.engine` plays a script in place of a session, :mod:`.replayed_service` has one for each
connection.
"""
