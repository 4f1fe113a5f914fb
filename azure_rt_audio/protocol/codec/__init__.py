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
)

__all__ = [
    "build",
    "build_item",
    "decode_event",
    "encode",
    "encode_append",
    "prepare",
    "to_json",
    "typed",
]
