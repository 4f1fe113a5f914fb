"""Installs the Debian packages that tests need, as root, or names them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["has_library", "install"]


def has_library(name: str) -> bool:
    """Whether a library is installed, given its file below ``lib/<architecture>``."""
    return any(any(root.glob(f"*/{name}")) for root in (Path("/usr/lib"), Path("/lib")))


def install(missing: Iterable[str]) -> int:
    """
    Install packages, or say how to.

    Returns:
        An exit code: 1 if it is not ours to install them.
    """
    packages = sorted(set(missing))
    if not packages:
        return 0
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.stderr.write(
            f"missing: {', '.join(packages)}; install them, on Debian with: sudo {' '.join(command)}\n"
        )
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # One at a time: environments that run side by side install what each of them needs.
    with open(Path(tempfile.gettempdir()) / "azure-rt-audio-apt.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for step in (["apt-get", "update"], command):
            subprocess.run(step, check=True, env=quiet, stdout=sys.stderr)
    return 0
