"""Decodes events and encodes commands."""

from .codec import (
    build,
    build_item,
    decode_event,
    decode_message,
    dumps,
    encode,
    encode_append,
    prepare,
    to_json,
    typed,
    write_other,
)
from .expressible import check_expressible
from .quirks import Quirks

__all__ = [
    "Quirks",
    "build",
    "build_item",
    "check_expressible",
    "decode_event",
    "decode_message",
    "dumps",
    "encode",
    "encode_append",
    "prepare",
    "to_json",
    "typed",
    "write_other",
]
