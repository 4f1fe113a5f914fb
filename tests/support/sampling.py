"""Samples of many cases, drawn by the seed of the run."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def sample(cases: Iterable[T], share: float, seed: int) -> list[T]:
    """Draw that share of the cases, in their order: at least one, or the test could not fail; at most all."""
    every = list(cases)
    count = min(len(every), max(1, math.ceil(len(every) * share)))
    return [every[index] for index in sorted(random.Random(seed).sample(range(len(every)), count))]
