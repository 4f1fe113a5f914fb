"""The live view of a conversation in a notebook."""

from .view import show

__all__ = ["show"]
