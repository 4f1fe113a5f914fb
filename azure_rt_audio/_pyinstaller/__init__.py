"""
What PyInstaller has to know: it finds this by the entry point ``pyinstaller40``.

See https://pyinstaller.org/en/stable/hooks.html#providing-pyinstaller-hooks-with-your-package.
"""

from __future__ import annotations

import os

__all__ = ["get_hook_dirs"]


def get_hook_dirs() -> list[str]:
    """Return the folder of the hook."""
    return [os.path.dirname(__file__)]
