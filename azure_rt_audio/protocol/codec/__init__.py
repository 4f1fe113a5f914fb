"""Bytes in, event out; command in, bytes out."""

from .codec import (
    COMMAND_CLASSES,
    build,
    build_item,
    decode_command,
    decode_event,
    encode,
    encode_append,
    prepare,
    structure,
    to_json,
    typed,
)

__all__ = [
    "COMMAND_CLASSES",
    "build",
    "build_item",
    "decode_command",
    "decode_event",
    "encode",
    "encode_append",
    "prepare",
    "structure",
    "to_json",
    "typed",
]
