"""The machine and the versions that figures came from."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe"]

_PACKAGES = (
    "azure-rt-audio",
    "openai",
    "websockets",
    "azure-ai-voicelive",
    "aiohttp",
    "websocket-client",
    "orjson",
    "attrs",
    "cattrs",
    "pybase64",
)


def describe() -> list[str]:
    """Return one line for the machine, one for the interpreter, one for the packages."""
    return [
        f"{_processor()}, {_cores()}, {platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name))),
    ]


def _cores() -> str:
    """Tell the cores, and whether the service has one of them to itself, see :func:`service.serving`."""
    count = os.cpu_count() or 1
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    return (
        f"{count} cores ({ours} for the clients, one for the service)" if ours < count else f"{count} cores"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        if package == "azure-rt-audio":  # run from the checkout
            from azure_rt_audio import __version__

            return f"{__version__} (checkout)"
        return ""
