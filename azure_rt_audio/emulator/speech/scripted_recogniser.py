"""Recognisers that understand nothing: they are told what they hear, or name its length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.replies import RecogniserFunction
from ..model.session import Session

__all__ = ["default_recogniser", "recogniser_from"]


def default_recogniser(pcm: bytes, session: Session) -> str:
    """Return how long the speech was, in words."""
    return f"({len(pcm) / 48_000:.1f} seconds of speech)"


def recogniser_from(
    heard: RecogniserFunction | Mapping[int, str] | Iterable[str] | None,
) -> RecogniserFunction:
    """
    Make a recogniser of a function, of a mapping or of a script.

    Args:
        heard: A function is used as it is. A mapping goes from a length of sound in milliseconds to words:
            the nearest length wins. Any other iterable is a script: each utterance is the next of its texts,
            and the default recogniser takes over at its end.

    Raises:
        TypeError: It is none of these.
    """
    if heard is None:
        return default_recogniser
    if isinstance(heard, Mapping):
        lengths: dict[int, str] = dict(heard)
        if not lengths or not all(isinstance(length, (int, float)) for length in lengths):
            raise TypeError("recogniser: a mapping goes from milliseconds to words and has an entry")

        def nearest(pcm: bytes, session: Session) -> str:
            duration_ms = len(pcm) / 48
            return lengths[min(lengths, key=lambda length: abs(length - duration_ms))]

        return nearest
    if callable(heard):
        return heard
    if isinstance(heard, (str, bytes)) or not isinstance(heard, Iterable):
        raise TypeError(
            f"recogniser is {heard!r}: give a function of (pcm, session), a mapping from milliseconds to "
            "words, or a list of texts"
        )
    script = iter(heard)

    def following(pcm: bytes, session: Session) -> str:
        words = next(script, None)
        return str(words) if words is not None else default_recogniser(pcm, session)

    return following
