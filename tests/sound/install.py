"""
Install what the tests marked ``sound`` run: PipeWire, PortAudio and voices, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "pipewire": "pipewire",
    "pipewire-pulse": "pipewire-pulse",
    "wireplumber": "wireplumber",
    "dbus-daemon": "dbus",
    "setpriv": "util-linux",
    "pw-loopback": "pipewire-bin",
    "pactl": "pulseaudio-utils",
    "pacat": "pulseaudio-utils",
    "flite": "flite",
    "espeak-ng": "espeak-ng",
}
"""Programs, and the packages that bring them."""

LIBRARIES = {
    "libportaudio.so.2": "libportaudio2",
    "alsa-lib/libasound_module_pcm_pulse.so": "libasound2-plugins",
    "alsa-lib/libasound_module_pcm_pipewire.so": "pipewire-alsa",
    "libspeexdsp.so.1": "libspeexdsp1",
}
"""Libraries, and the packages that bring them."""


def is_there(library: str) -> bool:
    """Whether a library is installed."""
    return any(any(root.glob(f"*/{library}")) for root in (Path("/usr/lib"), Path("/lib")))


def main() -> int:
    """Install, or say how to."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for library, package in LIBRARIES.items() if not is_there(library)}
    if not missing:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *sorted(missing)]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.stderr.write(
            f"missing: {', '.join(sorted(missing))}; install them, on Debian with: sudo {' '.join(install)}\n"
        )
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        subprocess.run(command, check=True, env=quiet, stdout=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
