"""One session of the service; pure."""
