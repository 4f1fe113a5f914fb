"""Decodes events and encodes commands."""

from .codec import (
    build,
    build_item,
    decode_event,
    encode,
    encode_append,
    prepare,
    to_json,
    typed,
    write_other,
)
from .quirks import Quirks

__all__ = [
    "Quirks",
    "build",
    "build_item",
    "decode_event",
    "encode",
    "encode_append",
    "prepare",
    "to_json",
    "typed",
    "write_other",
]
