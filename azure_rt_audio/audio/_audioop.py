"""
The module ``audioop``: of the standard library up to Python 3.12, of the package audioop-lts since 3.13.

Python 3.11 and 3.12 announce its removal when it is imported, which ``-W error`` would make an error. That
is silenced here, at the import of this package and never later: warning filters belong to all threads.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["audioop", "swapped"]


def swapped(pcm: Buffer) -> Buffer:
    """
    Return PCM16 in the machine's byte order, which ``audioop`` reads and writes, or such samples as PCM16.

    Raises:
        ValueError: An odd number of bytes.
    """
    size = memoryview(pcm).nbytes
    if size % 2:
        raise ValueError(
            f"pcm has {size} bytes, but PCM16 has 2 bytes per frame: "
            "keep the odd byte and send it with the next chunk"
        )
    return pcm if sys.byteorder == "little" else audioop.byteswap(pcm, 2)
