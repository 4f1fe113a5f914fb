"""Runs the tools of a client: calls come from the session, outputs and one answer to them go back."""
