"""How loud PCM16 is."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest

from azure_rt_audio.audio.level import level_db, peak_db


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


@pytest.mark.parametrize("measure", [level_db, peak_db])
def test_levels_are_in_db_of_full_scale(measure: Callable[[bytes], float]) -> None:
    """0 is as loud as can be, half the amplitude has 6 dB less, and silence is -100."""
    assert measure(pcm(-32768)) == 0.0
    assert measure(pcm(16384, -16384)) == pytest.approx(-6.02, abs=0.01)
    assert measure(pcm(3277, -3277)) == pytest.approx(-20, abs=0.01)
    assert measure(pcm(1, -1)) == pytest.approx(-90.3, abs=0.01)
    assert measure(b"") == measure(bytes(100)) == -100.0


def test_a_sine_has_the_peak_of_a_square_and_3_db_less_of_level() -> None:
    """The level is the root mean square."""
    sine = pcm(*(round(32767 * math.sin(math.tau * i / 24)) for i in range(2400)))

    assert peak_db(sine) == pytest.approx(0.0, abs=0.01)
    assert level_db(sine) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("measure", [level_db, peak_db])
def test_half_a_sample_has_no_level(measure: Callable[[bytes], float]) -> None:
    """An odd number of bytes is an error that counts them."""
    with pytest.raises(ValueError, match="audio has 3 bytes"):
        measure(b"abc")
