"""How long ``import`` takes in a fresh interpreter, beside an interpreter that imports nothing."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Final

import attrs

__all__ = ["IMPORTS", "Import", "time_imports"]

# Without the current directory: in a checkout it holds the package, which need not be what is installed.
_CODE: Final = (
    "import sys, time; sys.path[:] = [place for place in sys.path if place]; "
    "began = time.perf_counter(); {}; print(time.perf_counter() - began)"
)

IMPORTS: Final = {
    "nothing": "pass",
    "azure_rt_audio": "import azure_rt_audio",
    "openai": "from openai import OpenAI; import openai.resources.realtime",
    "azure-ai-voicelive": "import azure.ai.voicelive.aio",
    "websocket-client": "import websocket, json",
}


@attrs.frozen
class Import:
    """
    What it took, in milliseconds.

    Attributes:
        wall_ms: By the clock, from the start of the interpreter to its end.
        cpu_ms: By the processor, user and system, likewise.
        statement_ms: By the clock, of the statement alone: without the interpreter, and without throwing away
            at its end what was imported.
    """

    wall_ms: float
    cpu_ms: float
    statement_ms: float


def time_imports(rounds: int, names: list[str]) -> dict[str, Import]:
    """Return the medians of interleaved rounds; byte code is compiled beforehand, as by an installation."""
    taken: dict[str, list[Import]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range(rounds + 1):
            for name in names:
                one = _start(IMPORTS[name], environment)
                if number:  # the first compiles
                    taken[name].append(one)
    return {
        name: Import(*map(statistics.median, zip(*map(attrs.astuple, ones), strict=True)))
        for name, ones in taken.items()
    }


def _start(statement: str, environment: dict[str, str]) -> Import:
    code = _CODE.format(statement)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    burnt = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Import(took * 1e3, burnt * 1e3, float(done.stdout) * 1e3)
