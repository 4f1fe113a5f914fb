"""
Combines what ``tox -e coverage`` measured, and fails if less of the branches runs than should.

The pure rooms, without sockets, threads or devices, leave no excuse: almost all of them must run.
"""

from __future__ import annotations

import subprocess
import sys

OVERALL = 93
PURE = 98
PURE_ROOMS = ("protocol", "audio", "options", "emulator/session")


def coverage(*arguments: str) -> int:
    """Run coverage's own command, unmeasured; return its exit code."""
    return subprocess.run([sys.executable, "-m", "coverage", *arguments]).returncode


def main() -> int:
    """Return 1 if a gate does not hold."""
    if coverage("combine", "--quiet"):
        return 1
    pure = ",".join(f"*/azure_rt_audio/{room}/*" for room in PURE_ROOMS)
    gates = (
        ("--skip-covered", "--show-missing", f"--fail-under={OVERALL}"),
        ("--skip-covered", "--show-missing", f"--include={pure}", f"--fail-under={PURE}"),
    )
    # Both reports are printed, even if the first gate fails.
    return 1 if sum(coverage("report", *gate) for gate in gates) else 0


if __name__ == "__main__":
    sys.exit(main())
