"""A recording as one HTML page, which needs no network."""

from .page import write_page

__all__ = ["write_page"]
