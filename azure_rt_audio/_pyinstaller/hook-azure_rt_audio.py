"""A program frozen by PyInstaller has the files of this package, and what is imported by name only."""

from __future__ import annotations

from importlib.util import find_spec

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("azure_rt_audio", excludes=["**/*.pyi", "**/py.typed"])
hiddenimports = []
if find_spec("python_socks") is not None:
    hiddenimports += collect_submodules("python_socks.sync")
if find_spec("truststore") is not None:
    hiddenimports.append("truststore")
