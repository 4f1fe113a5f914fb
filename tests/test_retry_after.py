"""How long the service asks to wait: a number, in whatever form it says so."""

from __future__ import annotations

from typing import Any

import pytest

from azure_rt_audio._retry_after import from_fields, from_headers, from_words

NOON = 1764244800.0  # Thu, 27 Nov 2025 12:00:00 GMT
YEAR = 365 * 86400.0
"""The longest time that anything is told to wait."""

DATE = "Thu, 27 Nov 2025 12:00:00 GMT"


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Limit 40000, Used 38000. Please try again in 4.494s. Visit the page.", 4.494),
        ("try again in 120ms", 0.12),
        ("Try again in 1m30s.", 90.0),
        ("Please try again in 6m0s", 360.0),
        ("the quota resets in 1h2m3s", 3723.0),
        ("please try again in about 20 s", 20.0),
        ("Please retry after 10 seconds.", 10.0),
        ("Please wait 1 minute and 5 seconds before the next call", 65.0),
        ("please retry after 2", 2.0),
        ("Retry-After: 30", 30.0),
        ("try again in 1 day", 86400.0),
        ("try again at 2025-11-27T12:00:20Z", 20.0),
        ("try again at 2025-11-27T11:00:20+00:00", 0.0),
        ("Too many requests, retry later", None),
        ("Please try again later. It took 3s", None),
        ("You retried 3 times. 5 s later", None),
        ("wait for response.done, or cancel", None),
        ("wait 5 months", None),
        ("", None),
        ("Rate limit reached. Retry after 1,000 seconds.", 1000.0),
        ("Please retry after 1,500 milliseconds.", 1.5),
        ("try again in 1,234,567.5 s", 1_234_567.5),
        ("retry after 1,000", 1000.0),
        ("retry after 1 000 seconds", None),
        ("retry after 1,5", None),
        (f"try again in {'9' * 400}s", YEAR),
        ("try again at 9999-12-31T00:00:00Z", YEAR),
    ],
)
def test_words(words: str, seconds: float | None) -> None:
    """Of all words that a service has used, and none of words that name no time."""
    assert from_words(words, lambda: NOON) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "Thu, 27 Nov 2025 12:00:10 GMT", "date": DATE}, 10.0),
        ({"retry-after": "Thu, 27 Nov 2025 13:00:10 GMT", "date": "Thu, 27 Nov 2025 13:00:00 GMT"}, 10.0),
        ({"retry-after": "Thu, 27 Nov 2025 12:00:10 GMT"}, 10.0),
        ({"retry-after": "Thu, 27 Nov 2025 12:00:10 GMT", "date": "yesterday"}, 10.0),
        ({"retry-after": "Thu, 27 Nov 2025 11:00:10 GMT", "date": DATE}, 0.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9" * 400}, YEAR),
        ({"retry-after": "9" * 20}, YEAR),
        ({"retry-after-ms": "9" * 400}, YEAR),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": DATE}, YEAR),
        ({"retry-after-ms": "nan", "retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    """By the service's own clock where it states the time, or else by that of this machine."""
    assert from_headers(headers, lambda: NOON) == seconds


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"retry_after": 3, "message": "try again in 9s"}, 3.0),
        ({"retryAfterMs": "1500"}, 1.5),
        ({"retry-after": "20ms"}, 0.02),
        ({"retry_after": None, "message": "try again in 9s"}, 9.0),
        ({"retry_after": True}, None),
        ({"retry_after": 1e22}, YEAR),
        ({"retry_after_ms": 10**400}, YEAR),
        ({"retry_after": float("nan")}, None),
        ({"retry_after": -1}, None),
        ({"retry_after": 0.00001}, 0.00001),
        ({"message": None}, None),
        ({"message": 7}, None),
    ],
)
def test_fields(fields: dict[str, Any], seconds: float | None) -> None:
    """A field counts more than the words."""
    assert from_fields(fields, lambda: NOON) == seconds
