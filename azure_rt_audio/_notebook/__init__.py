"""The live view of a conversation in a notebook: what it shows, and the widgets that show it."""

from .view import show

__all__ = ["show"]
