"""
How long the service asks a client to wait, in whatever form it says so.

In headers: ``retry-after-ms``, ``x-ms-retry-after-ms``, ``retry-after`` (a number, a duration or a date), or
the reset of a rate limit that is used up. In bodies and events: a field, or words alone ("Please try again
in 4.494s").
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["bounded", "from_fields", "from_headers", "from_words"]

_LONGEST: Final = 365 * 86_400.0
"""Seconds, a year; more is the same to a program, and might be more than it can sleep."""

_SECONDS: Final = {
    **dict.fromkeys(("milliseconds", "millisecond", "msecs", "msec", "ms"), 0.001),
    **dict.fromkeys(("seconds", "second", "secs", "sec", "s"), 1.0),
    **dict.fromkeys(("minutes", "minute", "mins", "min", "m"), 60.0),
    **dict.fromkeys(("hours", "hour", "hrs", "hr", "h"), 3_600.0),
    **dict.fromkeys(("days", "day", "d"), 86_400.0),
}
_UNIT: Final = rf"(?:{'|'.join(_SECONDS)})(?![a-z])"
_NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_PARTS: Final = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_DURATION: Final = rf"{_NUMBER}\s*{_UNIT}(?:(?:\s*,)?(?:\s*and)?\s*{_NUMBER}\s*{_UNIT})*"
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::[\d.]+)?(?:z|[+-]\d\d:\d\d)?"
_WORDS: Final = re.compile(
    r"\b(?:try again|try later|retry|wait|resets?)\b[^.\d]{0,40}"
    rf"(?:(?P<duration>{_DURATION})|(?P<time>{_TIME}))",
    re.IGNORECASE,
)
_BARE: Final = re.compile(
    rf"\b(?:try again|retry)[ _-]?after\W{{0,3}}({_NUMBER})(?![\w:-]|[,.'\s]\d)", re.IGNORECASE
)
"""A number without a unit: seconds, as in the header."""


def from_words(text: str, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a message asks to wait; ``None`` if it does not."""
    found = _WORDS.search(text)
    if found is None:
        bare = _BARE.search(text)
        return None if bare is None else bounded(_float(bare[1]))
    if found["time"] is not None:
        return _until_time(found["time"], now)
    return _duration(found["duration"])


def from_fields(fields: Mapping[str, Any], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that an error's fields ask to wait, or the words of its ``message``."""
    for name, value in fields.items():
        key = re.sub("[_-]", "", name.lower())
        if not key.startswith("retryafter"):
            continue
        unit = 0.001 if key.endswith(("ms", "milliseconds")) else 1.0
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = bounded(min(value, _LONGEST / unit) * unit)
        else:
            seconds = _value(str(value), unit)
        if seconds is not None:
            return seconds
    message = fields.get("message")
    return from_words(message, now) if isinstance(message, str) else None


def from_headers(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """
    Return the seconds to wait before the next attempt.

    Args:
        headers: Of the answer, names in lower case.
        now: The time in Unix seconds, if the answer has a date and does not say how late it is there.
    """
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _value(headers.get(name, ""), unit)
        if seconds is not None:
            return seconds
    if "retry-after" in headers:
        return _until_date(headers["retry-after"], headers.get("date", ""), now)
    resets = [
        _value(headers.get(f"x-ratelimit-reset-{limit}", ""), 1.0)
        for limit in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{limit}", "").strip() == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _value(text: str, unit: float) -> float | None:
    """Return the seconds of a number in that unit, or of a duration that names its own."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return bounded(_float(text) * unit)
    return _duration(text) if re.fullmatch(_DURATION, text, re.IGNORECASE) else None


def _duration(text: str) -> float | None:
    return bounded(sum(_float(n) * _SECONDS[u] for n, u in _PARTS.findall(text.lower())))


def _float(number: str) -> float:
    return float(number.replace(",", ""))


def bounded(seconds: float) -> float | None:
    """Return seconds that a program can sleep, rounded to what a text can mean; ``None`` for a NaN."""
    return round(min(seconds, _LONGEST), 6) if seconds >= 0 else None


def _until_date(value: str, date: str, now: Callable[[], float]) -> float | None:
    """Return the seconds until an HTTP date, by the service's own clock if it states the time."""
    import email.utils  # 3 ms that only such a refusal should cost

    try:
        until = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    try:
        start = email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        start = now()
    return round(min(max(0.0, until - start), _LONGEST), 3)


def _until_time(value: str, now: Callable[[], float]) -> float | None:
    import datetime

    try:
        until = datetime.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", value))
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.timezone.utc)
    return round(min(max(0.0, until.timestamp() - now()), _LONGEST), 3)
