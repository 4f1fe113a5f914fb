"""
Install the browser that the tests of notebook pages run: Chromium, from packages of Debian.

As root it installs what is missing; otherwise it names the command to run, and its exit code is 1.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # as the tests have it

from debian import install


def main() -> int:
    """Install, or say how to."""
    if shutil.which("chromium") is not None:
        return 0
    return install(["chromium", "fonts-dejavu-core"])


if __name__ == "__main__":
    sys.exit(main())
