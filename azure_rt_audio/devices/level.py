"""How loud something is."""

from __future__ import annotations

import math
import operator
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["SILENCE_DB", "level_db"]

SILENCE_DB: Final = -100.0


def level_db(pcm: Buffer) -> float:
    """
    Return the level of PCM16 in dB below full scale: RMS, 0 for a full-scale square wave.

    A full-scale sine has -3; silence, and nothing at all, have -100.
    """
    samples = array("h", bytes(pcm))
    power = sum(map(operator.mul, samples, samples))
    if not power:
        return SILENCE_DB
    return max(SILENCE_DB, 10 * math.log10(power / len(samples) / 32768**2))
