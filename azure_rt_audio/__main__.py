"""The command line: ``azure-rt-audio``, or ``python -m azure_rt_audio``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        argv: What follows the program's name; ``None`` takes it from ``sys.argv``.

    Returns:
        The exit code: 0 if all went well, 1 if not, 2 if the command was wrong, 130 after Ctrl-C.
    """
    try:
        from ._cli.program import run  # takes a while, in which Ctrl-C may come

        return run(argv)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
