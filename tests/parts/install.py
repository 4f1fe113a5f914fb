"""
Install what the tests marked ``parts`` run: nginx, squid, microsocks and ip, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PROGRAMS = {"nginx": "nginx", "squid": "squid", "microsocks": "microsocks", "ip": "iproute2"}
"""Programs, and the packages that bring them."""

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where daemons are, which users do not always look."""


def find(program: str) -> str | None:
    """Return the path of a program."""
    return shutil.which(program, path=PATH)


def main() -> int:
    """Install, or say how to."""
    missing = sorted(package for program, package in PROGRAMS.items() if find(program) is None)
    if not missing:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.stderr.write(
            f"missing: {', '.join(missing)}; install them, on Debian with: sudo {' '.join(install)}\n"
        )
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        subprocess.run(command, check=True, env=quiet, stdout=sys.stderr)
    # The packages start services for the whole machine where there is a service manager; the tests want none.
    for service in ("nginx", "squid"):
        subprocess.run(["service", service, "stop"], check=False, stdout=sys.stderr, stderr=subprocess.STDOUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
