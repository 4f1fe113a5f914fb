"""A headless browser, and JupyterLab in it, with a server, a profile and directories that nobody else has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BOUND = 60.0
"""Seconds after which something hangs."""

_BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Without a display, as root, and quiet on a machine that reaches no network."""

_KERNEL = "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"


def run_all(page: Page) -> None:
    """Begin to run all cells, as the menu does; does not wait for them."""
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run JupyterLab over *folder* and yield its address, with the token in it."""
    home = folder / ".jupyter"
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"checkForUpdates": False, "doNotDisturbMode": True, "fetchNews": "false"})
    )
    own = {
        name: str(home / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    command = (
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--ServerApp.port_retries=0"),
        *("--ip=127.0.0.1", "--allow-root", "--expose-app-in-browser", f"--notebook-dir={folder}"),
        f"--LabServerApp.user_settings_dir={home / 'settings'}",
        f"--LabServerApp.workspaces_dir={home / 'workspaces'}",
        f"--config={home / 'none.py'}",
    )
    process = subprocess.Popen(
        command,
        env={**os.environ, **own, "JUPYTER_PLATFORM_DIRS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its kernels as well end with it
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            address = line.strip().rpartition(" ")[2]
            if address.startswith("http://127.0.0.1:") and "token=" in address:
                break
        else:
            raise AssertionError("JupyterLab did not start")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=BOUND)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Chromium without a window."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path is not None, "run tests/system/notebook/install.py"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(_BROWSER_OPTIONS))
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def page(notebook: Path, *, width: int = 1100, height: int = 900, dark: bool = False) -> Iterator[Page]:
    """
    Yield the page of *notebook*, which is copied to a folder of its own next to it, with its kernel ready.
    """
    with server(notebook.parent) as address, browser() as chromium:
        opened = chromium.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        opened.set_default_timeout(BOUND * 1000)
        root, _, query = address.partition("/lab?")
        opened.goto(f"{root}/doc/tree/{notebook.name}?{query}&reset")
        opened.wait_for_selector(".jp-Notebook .jp-Cell")
        opened.wait_for_function(f"{_KERNEL}?.status === 'idle'")
        yield opened
