"""
Install what the tests marked ``windows`` need: a display, Qt's libraries, tkinter; from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))  # as the tests have it

from debian import has_library, install

PROGRAMS = {"Xvfb": "xvfb"}
"""Programs, and the packages that bring them."""

LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
}
"""Libraries that PySide6 looks for on the system, and the packages that bring them."""

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def main() -> int:
    """Install, or say how to."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for library, package in LIBRARIES.items() if not has_library(library)}
    if not FONT.exists():
        missing.add("fonts-dejavu-core")
    if find_spec("_tkinter") is None:
        if sys.base_prefix != "/usr":
            sys.stderr.write(
                f"{sys.base_prefix} was built without tkinter: build it again with tk-dev installed, or run "
                "these tests with another Python, such as the distribution's with python3-tk\n"
            )
            return 1
        missing.add("python3-tk")
    return install(missing)


if __name__ == "__main__":
    sys.exit(main())
