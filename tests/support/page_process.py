"""Runs the blocks of a page one after the other: the process that ``pages.run`` starts."""

from __future__ import annotations

import json
import linecache
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

SEPARATOR = "\x1e"


def main() -> None:
    """Run the tasks, which the command line has as JSON, in an empty module ``__main__``."""
    name, tasks = sys.argv[1], json.loads(sys.argv[2])
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv[:] = [name]
    sys.path[0] = os.getcwd()
    for task in tasks:
        print(end=SEPARATOR, flush=True)
        if "code" in task:
            run_python(task, name, vars(module))
        else:
            run_commands(task["commands"])
        sys.stdout.flush()
        sys.stderr.flush()


def run_python(task: dict[str, Any], name: str, names: dict[str, Any]) -> None:
    """Run a block; tracebacks have the lines of the page."""
    code: str = task["code"]
    saved = re.match(r"# ([\w-]+\.py)$", code, re.MULTILINE)
    if saved:
        Path(saved[1]).write_text(code, encoding="utf-8")
        names["__file__"] = os.path.abspath(saved[1])  # where multiprocessing finds what it imports again
    else:
        names.pop("__file__", None)
    numbered = "\n" * (task["line"] - 1) + code
    linecache.cache[name] = (len(numbered), None, numbered.splitlines(keepends=True), name)
    exec(compile(numbered, name, "exec"), names)


def run_commands(lines: list[str]) -> None:
    """Run lines by a shell which knows the two commands and nothing else."""
    start = f'"{sys.executable}" -W error'
    known = f'python() {{ {start} "$@"; }}; pytest() {{ {start} -m pytest -p no:cacheprovider "$@"; }}\n'
    for line in lines:
        line = re.sub(r"\bazure-rt-audio (?=\w|-)", "python -m azure_rt_audio ", line)
        if re.match(r"python -m azure_rt_audio emulator\b", line):
            serve_briefly(line)
            continue
        subprocess.run(["/bin/sh", "-c", known + line], check=True)


def serve_briefly(line: str) -> None:
    """Run the emulator until it has said where it listens."""
    arguments = re.sub(r"\s*(&|#.*)?$", "", line).split()[1:]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *arguments], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    for shown in process.stdout:
        print(shown, end="")
        if "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT" in shown:
            break
    process.terminate()
    process.stdout.close()
    process.wait(10)


if __name__ == "__main__":
    main()
