"""
Converts between GA's nested form of sessions and responses and the library's flat form.

Reading recognises either form, because a service may mix them; nothing is lost on the way to the flat form
and back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

__all__ = [
    "RESPONSE",
    "SESSION",
    "Json",
    "Nesting",
    "flat_choice",
    "flat_format",
    "flat_part",
]

Json = dict[str, Any]

_GA_FORMATS: Final[Mapping[str, Json]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_RATES: Final = {"pcm16": 24000, "g711_ulaw": 8000, "g711_alaw": 8000}
_FORMAT_FIELDS: Final = frozenset({"input_audio_format", "output_audio_format"})

_MODALITIES: Final = "output_modalities"
_GA_FIELDS: Final = frozenset({_MODALITIES, "max_output_tokens"})

_FLAT_PARTS: Final = {"output_text": "text", "output_audio": "audio"}


@frozen
class Nesting:
    """
    How GA nests the library's flat fields.

    Attributes:
        audio: Name of a flat field to its side and key below ``audio``.
        renamed: Name elsewhere to the library's name.
    """

    audio: Mapping[str, tuple[str, str]]
    renamed: Mapping[str, str]

    def flatten(self, source: Json) -> Json:
        """Bring an object of either dialect to the flat form; *source* is left as it is."""
        flat = dict(source)
        for other, name in self.renamed.items():
            if other in flat and name not in flat:
                value = flat.pop(other)
                flat[name] = ["text", "audio"] if other == _MODALITIES and value == ["audio"] else value
        audio = flat.get("audio")
        if isinstance(audio, dict):
            rest = {side: dict(part) if isinstance(part, dict) else part for side, part in audio.items()}
            for name, (side, key) in self.audio.items():
                part = rest.get(side)
                if (
                    not isinstance(part, dict)
                    or key not in part
                    or (name in flat and _says(name, flat[name]))
                ):
                    continue
                value = part[key]
                if name in _FORMAT_FIELDS:
                    value = flat_format(value)
                    if value is None:
                        continue  # a format newer than this library stays nested
                flat[name] = value
                if name in _FORMAT_FIELDS and not _is_usual_format(part[key]):
                    continue  # kept, so that it is written back as received
                del part[key]
                if not part:
                    del rest[side]
            if rest or not audio:
                flat["audio"] = rest
            else:
                del flat["audio"]
        if _is_off(flat.get("turn_detection")):
            flat["turn_detection"] = None
        return flat

    def nest(self, flat: Json) -> Json:
        """Bring an object in the flat form to GA's; *flat* is left as it is."""
        nested: Json = {}
        audio: Json = {}
        rest = flat.get("audio")
        names = {name: other for other, name in self.renamed.items() if other in _GA_FIELDS}
        for name, value in flat.items():
            if name in self.audio:
                side, key = self.audio[name]
                if name in _FORMAT_FIELDS and isinstance(value, str):
                    value = _ga_format(value, _look_up(rest, side, key))
                audio.setdefault(side, {})[key] = value
            elif name == "modalities":
                is_spoken = isinstance(value, list | tuple) and "audio" in value
                nested[_MODALITIES] = ["audio"] if is_spoken else value
            elif name != "audio":
                nested[names.get(name, name)] = value
        if isinstance(rest, dict):
            for side, part in rest.items():
                if isinstance(part, dict) and isinstance(audio.get(side), dict):
                    audio[side] = {**part, **audio[side]}
                else:
                    audio.setdefault(side, part)
        if audio or rest is not None:
            nested["audio"] = audio if isinstance(rest, dict | None) else rest
        return nested

    def origin(self, source: Json, name: str) -> str:
        """Return the path in *source* of what :meth:`flatten` calls *name*."""
        if name in source:
            return name
        if name in self.audio:
            return ".".join(("audio", *self.audio[name]))
        return next((other for other, ours in self.renamed.items() if ours == name), name)

    def name_of(self, path: str) -> str:
        """Return what :meth:`flatten` calls the field that a path in either form leads to, or into."""
        first, *rest = re.split(r"[.\[]", path)
        below = tuple(rest[:2])
        if first == "audio":
            return next((name for name, place in self.audio.items() if place == below), first)
        return self.renamed.get(first, first)

    def given_twice(self, source: Json) -> Iterator[tuple[str, str]]:
        """Yield the fields that *source* has in the flat form and in GA's, with the paths of both."""
        audio = source.get("audio")
        for name, (side, key) in self.audio.items():
            if name in source and isinstance(audio, dict) and key in audio.get(side, ()):
                yield name, f"audio.{side}.{key}"
        for other, name in self.renamed.items():
            if name in source and other in source:
                yield name, other

    @property
    def sides(self) -> list[str]:
        """What may stand below ``audio``."""
        return sorted({side for side, _ in self.audio.values()})

    def keys(self, side: object) -> list[str]:
        """Return what may stand below one side of ``audio``."""
        return [key for its_side, key in self.audio.values() if its_side == side]


SESSION: Final = Nesting(
    {
        "input_audio_format": ("input", "format"),
        "input_audio_transcription": ("input", "transcription"),
        "input_audio_noise_reduction": ("input", "noise_reduction"),
        "turn_detection": ("input", "turn_detection"),
        "output_audio_format": ("output", "format"),
        "voice": ("output", "voice"),
        "speed": ("output", "speed"),
    },
    {_MODALITIES: "modalities", "max_output_tokens": "max_response_output_tokens"},
)
RESPONSE: Final = Nesting(
    {"output_audio_format": ("output", "format"), "voice": ("output", "voice")},
    {_MODALITIES: "modalities", "max_response_output_tokens": "max_output_tokens"},
)


def flat_part(source: Json) -> Json:
    """Bring a content part to the library's names; *source* is left as it is."""
    kind = source.get("type")
    if kind in ("output_text", "output_audio"):
        return {**source, "type": _FLAT_PARTS[kind]}
    return source


def flat_choice(source: Json) -> Json:
    """Bring the first preview's choice of a function to the later form; *source* is left as it is."""
    function = source.get("function")
    if "name" in source or not isinstance(function, dict) or function.keys() != {"name"}:
        return source
    rest = {name: value for name, value in source.items() if name != "function"}
    return {**rest, "name": function["name"]}


def _is_off(detection: Any) -> bool:
    """Other spellings of null: the first preview's, and that of some services."""
    return isinstance(detection, dict) and detection.get("type", "") in ("none", None)


def flat_format(value: Any) -> str | None:
    """Return the library's name of a format as GA describes it, or ``None`` if it has none."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not value.keys() <= {"type", "rate"}:
        return None
    kind = value.get("type")
    for name, usual in _GA_FORMATS.items():
        if kind == usual["type"] and value.get("rate", _RATES[name]) == _RATES[name]:
            return name
    return None


def _says(name: str, value: Any) -> bool:
    """Whether a flat field counts where the nested one is given too; some services say "not specified"."""
    return name not in _FORMAT_FIELDS or not isinstance(value, str) or value in _RATES


def _is_usual_format(value: Any) -> bool:
    return isinstance(value, dict) and value in _GA_FORMATS.values() and type(value.get("rate", 0)) is int


def _ga_format(name: str, as_read: Any) -> Any:
    if as_read is not None and flat_format(as_read) == name:
        return as_read
    return dict(_GA_FORMATS.get(name, {"type": name}))


def _look_up(audio: Any, side: str, key: str) -> Any:
    part = audio.get(side) if isinstance(audio, dict) else None
    return part.get(key) if isinstance(part, dict) else None
