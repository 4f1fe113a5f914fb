"""
Install the browser that the tests of notebook pages run: Chromium, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main() -> int:
    """Install, or say how to."""
    if shutil.which("chromium") is not None:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.stderr.write(f"missing: chromium; install it, on Debian with: sudo {' '.join(install)}\n")
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        subprocess.run(command, check=True, env=quiet, stdout=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
