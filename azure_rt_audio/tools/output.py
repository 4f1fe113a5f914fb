"""What a tool returns, as a model is given it: text, and images beside it."""

from __future__ import annotations

import base64
import dataclasses
import decimal
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from .._printable import encodable
from ..protocol.items import ContentPart

__all__ = ["MAX_OUTPUT_CHARACTERS", "ToolError", "ToolOutput", "error_output", "output_of"]

MAX_OUTPUT_CHARACTERS: Final = 20_000
"""Characters of a result that a model is given unless a tool says otherwise, some 5 000 tokens."""

_SIGNATURES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class ToolError(Exception):
    """
    A failure that the model is to know of: raise it in a tool, with a text for the model.

    Any other exception is logged, and the model is told no more than that the tool failed.
    """


@attrs.frozen
class ToolOutput:
    """
    What the model is given.

    Attributes:
        text: The output of the call. Halves of characters are replaced, as the service takes none.
        images: ``data:`` URIs of images that follow in a message.
        error: Why the tool failed; ``None`` if it did not.
    """

    text: str = attrs.field(converter=encodable)
    images: tuple[str, ...] = ()
    error: BaseException | None = None


def error_output(
    message: str, error: BaseException | None = None, limit: int = MAX_OUTPUT_CHARACTERS
) -> ToolOutput:
    """Return the output that tells the model of a failure, cut to a number of characters, with a note."""
    return ToolOutput(orjson.dumps({"error": _cut(encodable(message), limit)}).decode(), error=error)


def output_of(value: Any, limit: int = MAX_OUTPUT_CHARACTERS) -> ToolOutput:
    """
    Return what the model is given of a result.

    Args:
        value: Text is given as it is; a PNG or JPEG as bytes, a part of type ``"input_image"`` and what shows
            itself in a notebook as PNG are images; all else is given as JSON. A list may have images among
            other things.
        limit: Characters; what is longer is cut, with a note.

    Raises:
        TypeError: If JSON cannot express it.
    """
    images: tuple[str, ...] = ()
    alone = _image(value)
    if alone is not None:
        return ToolOutput("an image, which follows", (alone,))
    if isinstance(value, list | tuple):
        found = [(_image(item), item) for item in value]
        images = tuple(image for image, _ in found if image is not None)
        if images:
            rest = [item for image, item in found if image is None]
            value = rest[0] if len(rest) == 1 else rest or f"{len(images)} images, which follow"
    return ToolOutput(_cut(value if isinstance(value, str) else _json(value), limit), images)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n[cut here: {len(text) - limit} more characters]"


def _json(value: Any) -> str:
    option = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        return orjson.dumps(value, default=_write, option=option).decode()
    except TypeError as exc:
        try:
            return orjson.dumps(_encodable(value), default=_write, option=option).decode()
        except (TypeError, RecursionError):
            raise exc from None


def _encodable(value: Any) -> Any:
    """
    Return the same with texts that UTF-8 can express, and whole numbers of any size.

    A list of files may have names that it cannot; JSON has no limit to numbers.
    """
    if isinstance(value, str):
        return encodable(value)
    if _is_large(value):
        return orjson.Fragment(_digits(value))
    if isinstance(value, Mapping):
        return {
            _digits(key) if _is_large(key) else _encodable(key): _encodable(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_encodable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encodable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if attrs.has(type(value)) or hasattr(value, "model_dump") or _is_array(value):
        return _encodable(_write(value))
    return value


def _is_array(value: Any) -> bool:
    return hasattr(value, "tolist") and not isinstance(value, memoryview)


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _digits(number: int) -> str:
    return str(decimal.Decimal(number))  # str() of the number itself is limited to 4 300


def _write(value: Any) -> Any:
    """Return what JSON can express of an object that it cannot."""
    if attrs.has(type(value)):
        return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if _is_array(value):  # such as a transposed one, or one of another byte order
        return value.tolist()
    if hasattr(value, "isoformat") or hasattr(value, "as_tuple"):  # a time of another library; Decimal
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _image(value: Any) -> str | None:
    """Return the ``data:`` URI of an image, ``None`` if it is something else."""
    if isinstance(value, ContentPart):
        return value.image_url if value.type == "input_image" else None
    if not isinstance(value, bytes | bytearray) and not isinstance(value, type):
        show = getattr(value, "_repr_png_", None)
        value = show() if callable(show) else None
    if not isinstance(value, bytes | bytearray):
        return None
    for signature, kind in _SIGNATURES.items():
        if value.startswith(signature):
            return f"data:{kind};base64,{base64.b64encode(value).decode()}"
    return None
