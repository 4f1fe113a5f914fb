"""
Install what the tests marked ``sound`` run: PipeWire, PortAudio and voices, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))  # as the tests have it

from debian import has_library, install

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


def main() -> int:
    """Install, or say how to."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for library, package in LIBRARIES.items() if not has_library(library)}
    return install(missing)


if __name__ == "__main__":
    sys.exit(main())
