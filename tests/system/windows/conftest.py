"""A display for the tests with windows, and a window of each toolkit."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from toolkits import TOOLKITS, Window


@pytest.fixture(scope="session", autouse=True)
def _display() -> Iterator[None]:
    """Start an X server that shows its screen to nobody, and use it."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.fail("Xvfb is missing; run: python tests/system/windows/install.py")
    read, write = os.pipe()
    command = [server, "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            pytest.fail("Xvfb does not run")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DISPLAY", f":{number}")
            patch.delenv("WAYLAND_DISPLAY", raising=False)
            patch.setenv("QT_QPA_PLATFORM", "xcb")
            yield
        process.terminate()


@pytest.fixture(params=TOOLKITS)
def window(request: pytest.FixtureRequest) -> Iterator[Window]:
    """A window of each toolkit in turn, with a dispatcher."""
    made: Window = TOOLKITS[request.param]()
    yield made
    made.destroy()
