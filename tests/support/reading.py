"""Reads what only a service reads, commands, and single objects; the client itself has no use for either."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar

import orjson
from cattrs import Converter

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol import commands
from azure_rt_audio.protocol.base import ProtocolObject
from azure_rt_audio.protocol.codec.problems import FieldError
from azure_rt_audio.protocol.codec.structure import make_converter
from azure_rt_audio.protocol.commands import Command, TranscriptionSessionUpdate

S = TypeVar("S", bound=ProtocolObject)

COMMAND_CLASSES: Final[Mapping[str, type[Command]]] = {
    cls.TYPE: cls
    for cls in vars(commands).values()
    if isinstance(cls, type) and issubclass(cls, Command) and cls is not Command
}
"""Every class of a client event by its wire name."""


@cache
def _converter() -> Converter:
    return make_converter()


def structure(source: Any, cls: type[S]) -> S:
    """Make one object of the protocol from decoded JSON, or raise ``DecodeError`` with the path."""
    try:
        result: S = _converter().get_structure_hook(cls)(source, cls)
    except FieldError as error:
        raise DecodeError(f"{cls.__name__}: {error.why}", path=f"${error.path}") from None
    return result


def read_command(data: bytes | str) -> Command:
    """Read one frame to the service, in either dialect, or raise ``DecodeError`` with the path."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise DecodeError("not JSON") from None
    if not isinstance(message, dict):
        raise DecodeError("not an object")
    name, fields = message.get("type"), message
    if not isinstance(name, str) or name not in COMMAND_CLASSES:
        raise DecodeError("a frame has no type of a command", path="$.type")
    session = message.get("session")
    if name == "session.update" and isinstance(session, dict) and session.get("type") == "transcription":
        name = TranscriptionSessionUpdate.TYPE
        fields = {**message, "session": {key: value for key, value in session.items() if key != "type"}}
    return structure(fields, COMMAND_CLASSES[name])
