"""The policy of reconnecting: understood in any spelling, refused by field where it makes no sense."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from azure_rt_audio import ReconnectPolicy
from azure_rt_audio.options import make_options


def test_the_defaults() -> None:
    """What a client does unless told otherwise is a promise."""
    assert attrs.asdict(ReconnectPolicy()) == {
        "max_attempts": None,
        "max_seconds": 600,
        "initial_delay": 0.5,
        "max_delay": 30,
        "retry_first": False,
        "keep_audio_s": 10,
        "keep_turns_s": 120,
        "swap_before_s": 120,
        "max_age_s": None,
        "restore": "text",
        "reask": "unheard",
        "note": None,
        "voice_change": "refuse",
        "max_items": 500,
        "max_characters": 100_000,
    }


def test_any_spelling() -> None:
    """A policy may be a mapping with the names in either spelling."""
    policy = ReconnectPolicy(keep_audio_s=5, max_attempts=3, voice_change="swap")

    assert make_options(ReconnectPolicy, {"keepAudioS": 5, "maxAttempts": 3, "voiceChange": "swap"}) == policy
    assert make_options(ReconnectPolicy, attrs.asdict(policy)) == policy
    with pytest.raises(ValueError, match="did you mean 'max_attempts'"):
        make_options(ReconnectPolicy, {"max_attempt": 3})


@pytest.mark.parametrize(
    "given",
    [
        {"max_attempts": 1, "max_seconds": 0.01},
        {"max_seconds": None, "swap_before_s": None, "max_age_s": 0.5},
        {"initial_delay": 0.01, "max_delay": 0.01},
        {"keep_audio_s": 0, "keep_turns_s": 0},
        {"restore": "none", "reask": "never"},
        {"restore": "audio", "reask": "unstarted", "note": "Go on."},
        {"max_age_s": 121},
        {"max_items": 1, "max_characters": 1},
    ],
)
def test_what_makes_sense(given: dict[str, Any]) -> None:
    """The limits of each field are allowed."""
    assert ReconnectPolicy(**given) == attrs.evolve(ReconnectPolicy(), **given)


SECONDS = ("max_seconds", "initial_delay", "max_delay", "keep_audio_s", "keep_turns_s", "swap_before_s")
COUNTS = ("max_attempts", "max_items", "max_characters")


@pytest.mark.parametrize("name", [*SECONDS, "max_age_s", *COUNTS])
def test_what_is_no_number(name: str) -> None:
    """A number is a number: no flag, no text; negative, endless and not-a-number have no meaning."""
    for value in (True, "5", [5]):
        with pytest.raises(TypeError, match=f"^{name} must be a (whole )?number of"):
            ReconnectPolicy(**{name: value})
    for value in (-1, -math.inf):
        with pytest.raises((ValueError, TypeError), match=f"^{name} must be"):
            ReconnectPolicy(**{name: value})
    for value in (math.nan, math.inf, 10**400):
        if not (name in COUNTS and value == 10**400):
            with pytest.raises((ValueError, TypeError), match=f"^{name} must be"):
                ReconnectPolicy(**{name: value})


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"max_attempts": 0}, ValueError, "max_attempts must be at least 1 attempts or None, not 0"),
        ({"max_attempts": 2.0}, TypeError, "whole number of attempts or None, not float"),
        ({"max_items": 0}, ValueError, "max_items must be at least 1 items, not 0"),
        ({"max_items": None}, TypeError, "max_items must be a whole number of items, not NoneType"),
        ({"max_characters": 0}, ValueError, "at least 1 characters"),
        ({"initial_delay": 0}, ValueError, "initial_delay must be from 0.01 to 604800 seconds, not 0"),
        ({"initial_delay": None}, TypeError, "NoneType"),
        (
            {"initial_delay": 31},
            ValueError,
            r"max_delay \(30\) must not be shorter than initial_delay \(31\)",
        ),
        ({"max_delay": 0.1}, ValueError, r"max_delay \(0.1\) must not be shorter"),
        ({"keep_audio_s": 601}, ValueError, "keep_audio_s must be from 0 to 600 seconds, not 601"),
        ({"keep_turns_s": 3601}, ValueError, "keep_turns_s must be from 0 to 3600 seconds"),
        ({"keep_turns_s": None}, TypeError, "NoneType"),
        ({"swap_before_s": 0}, ValueError, "swap_before_s must be from 0.01"),
        ({"max_age_s": 120}, ValueError, r"max_age_s \(120\) must be longer than swap_before_s \(120\)"),
        ({"retry_first": 1}, TypeError, "retry_first must be True or False, not int"),
        ({"restore": "sound"}, ValueError, 'restore must be "text", "audio" or "none", not \'sound\''),
        ({"restore": None}, TypeError, 'restore must be "text", "audio" or "none", not NoneType'),
        ({"restore": False}, TypeError, "not bool"),
        ({"reask": "always"}, ValueError, 'reask must be "unheard", "unstarted" or "never"'),
        ({"voice_change": ["swap"]}, TypeError, 'voice_change must be "refuse" or "swap", not list'),
        ({"note": ""}, ValueError, "note is empty"),
        ({"note": " \n"}, ValueError, "note is empty"),
        ({"note": 5}, TypeError, "note must be text or None, not int"),
        ({"note": "Go on.", "restore": "none"}, ValueError, "note has no place"),
    ],
)
def test_what_makes_no_sense(given: dict[str, Any], error: type[Exception], says: str) -> None:
    """It is refused at once, by the name of the field."""
    with pytest.raises(error, match=says):
        ReconnectPolicy(**given)


def test_a_policy_is_immutable() -> None:
    """What was checked stays as it was."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ReconnectPolicy().max_items = 0  # type: ignore[misc]
