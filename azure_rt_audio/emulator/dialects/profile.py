"""
What differs between services of one dialect, as data.

The GA protocol is spoken by Azure and by OpenAI, and described by a document; recordings show how the three
differ. The preview, of which there are none, is as documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

__all__ = ["PROFILES", "Profile", "profile_named"]


@dataclass(frozen=True)
class Profile:
    """
    The manners of a service.

    Attributes:
        name: As in :class:`~azure_rt_audio.emulator.Emulator`'s ``profile``.
        part_fields: The fields of ``response.content_part.*`` that hold the part.
        reports_rate_limits: Whether ``rate_limits.updated`` follows a response.
        marks_objects: Whether items say ``"object": "realtime.item"``, and outputs of functions a status.
        obfuscates: Whether deltas of text have random characters with them, which make their lengths alike.
        writes_tokens: Whether deltas of text are tokens, and arguments are laid out as a model does it.
        transcribes_beside_answers: Whether transcripts come among the deltas of the answer, or before it.
        finds_transcription: Whether the model of a transcription is a deployment, and fails if there is none.
        completes_transcription: Whether ``language`` and ``prompt`` are reported where they are not set.
        names_first_item: Whether ``conversation.item.done`` of an output says what is before it where that is
            the first item of the conversation; elsewhere it always does.
        cached_block: Tokens are cached in blocks of so many.
        describes_silent_audio: Whether a response in writing says what its audio would be.
        explains_idleness: Whether a message of the system precedes the item of a user who stays silent, and a
            transcript without words follows it, even if no transcripts are asked for.
        names_duplicates: Whether the error of an item whose id is taken names the command and the field.
    """

    name: str
    part_fields: tuple[str, ...] = ("part",)
    reports_rate_limits: bool = True
    marks_objects: bool = True
    obfuscates: bool = False
    writes_tokens: bool = False
    transcribes_beside_answers: bool = False
    finds_transcription: bool = False
    completes_transcription: bool = False
    names_first_item: bool = True
    cached_block: int = 1
    describes_silent_audio: bool = False
    explains_idleness: bool = False
    names_duplicates: bool = True


_DOCUMENTED: Final = Profile("documented")
_OPENAI: Final = Profile(
    "openai",
    marks_objects=False,
    obfuscates=True,
    writes_tokens=True,
    transcribes_beside_answers=True,
    completes_transcription=True,
    names_first_item=False,
    cached_block=64,
    describes_silent_audio=True,
    explains_idleness=True,
    names_duplicates=False,
)
_AZURE: Final = replace(
    _OPENAI,
    name="azure",
    part_fields=("part", "content"),
    reports_rate_limits=False,
    finds_transcription=True,
)
PROFILES: Final[Mapping[str, Profile]] = {one.name: one for one in (_AZURE, _OPENAI, _DOCUMENTED)}


def profile_named(name: str) -> Profile:
    """
    The profile of that name.

    Raises:
        ValueError: There is none.
    """
    found = PROFILES.get(name) if isinstance(name, str) else None
    if found is None:
        close = get_close_matches(str(name), PROFILES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"profile is {name!r}: use {', '.join(map(repr, PROFILES))}{hint}")
    return found
