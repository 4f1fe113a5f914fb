"""Waiting, deadlines and the order of exit."""
