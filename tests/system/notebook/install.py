"""
Install the browser that the tests of notebook pages run: Chromium, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))  # as the tests have it

from debian import has_library, install

LIBRARIES = {"libatomic.so.1": "libatomic1"}
"""What Playwright's own Node.js looks for on the system, and the package that brings it."""


def main() -> int:
    """Install, or say how to."""
    missing = set() if shutil.which("chromium") else {"chromium", "fonts-dejavu-core"}
    missing |= {package for library, package in LIBRARIES.items() if not has_library(library)}
    return install(missing)


if __name__ == "__main__":
    sys.exit(main())
