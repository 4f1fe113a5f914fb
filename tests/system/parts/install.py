"""
Install what the tests marked ``parts`` run: nginx, squid, microsocks, ip and tc, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))  # as the tests have it

from debian import install

PROGRAMS = {
    "nginx": "nginx",
    "squid": "squid",
    "microsocks": "microsocks",
    "ip": "iproute2",
    "tc": "iproute2",
}
"""Programs, and the packages that bring them."""

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where daemons are, which users do not always look."""


def find(program: str) -> str | None:
    """Return the path of a program."""
    return shutil.which(program, path=PATH)


def main() -> int:
    """Install, or say how to."""
    missing = sorted({package for program, package in PROGRAMS.items() if find(program) is None})
    failed = install(missing)
    if missing and not failed:
        # The packages start services for the whole machine where there is a manager; the tests want none.
        for service in ("nginx", "squid"):
            subprocess.run(["service", service, "stop"], check=False, stdout=sys.stderr, stderr=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
