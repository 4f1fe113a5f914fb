"""
The programs of the documentation: finds the code blocks of a page, and runs them as a reader would.

====================  ==================================================================================
fence                 what is done with it
====================  ==================================================================================
``python``            run, all of a page in one process and one namespace, with ``-W error``
``sh``                lines that begin with a program of :data:`PROGRAMS` are run by a shell
``text``              if the line above ends in ``prints:``, what the block before it printed; ``...``
                      stands for anything, and ``Apart from the log, it prints:`` leaves out lines of the
                      log, which comes from other threads at its own time
any other             not run
====================  ==================================================================================

A ``python`` block whose first line is a comment with a file's name, ``# test_assistant.py``, is saved under
that name before it runs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cli_runner import SECONDS, environment

from azure_rt_audio.emulator import Emulator

PROGRAMS = ("azure-rt-audio", "python -m azure_rt_audio", "pytest", "printf", "echo")

SEPARATOR = "\x1e"
"""Printed by the process before each block."""

DOCS = Path(__file__).parents[2] / "docs"
FOLDERS = ("tutorial", "how-to", "reference", "explanation", "coming-from")

_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_RUNNER = Path(__file__).with_name("page_process.py")
_DEVICES = Path(__file__).with_name("simulated_portaudio")


@dataclass
class Block:
    """A block that is run, and what it is said to print."""

    language: str
    code: str
    line: int
    prints: str | None = None
    is_without_log: bool = False

    @property
    def needs_a_window(self) -> bool:
        """Whether it opens one, for which tests/system/windows has a display."""
        return re.search(r"\b(tkinter|qtpy|PySide6|azure_rt_audio\.qt)\b", self.code) is not None

    @property
    def needs_a_kernel(self) -> bool:
        """Whether it is the cell of a notebook, for which tests/system/notebook has kernels."""
        return re.search(r"\.display\(|\bIPython\b|\bipywidgets\b", self.code) is not None

    @property
    def needs_another_client(self) -> bool:
        """Whether it uses a client that others have written, which tests/system/foreign has."""
        return re.search(r"^(from|import) openai\b", self.code, re.MULTILINE) is not None


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page that are run, in their order."""
    found: list[Block] = []
    latest: Block | None = None
    for fence in _FENCE.finditer(text):
        language, code = fence[2].strip(), re.sub(rf"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
        above = text[: fence.start()].rstrip()
        if language == "text" and above.endswith("prints:"):
            assert latest is not None, f"nothing was run that could print {code!r}"
            latest.prints = code
            latest.is_without_log = above.endswith("Apart from the log, it prints:")
        latest = None
        if language == "python" or (language == "sh" and commands(code)):
            latest = Block(language, code, text.count("\n", 0, fence.start()) + 2)
            found.append(latest)
    return found


def documentation() -> dict[str, list[Block]]:
    """Return the blocks of each page of the documentation that has any."""
    paths = [path for folder in FOLDERS for path in sorted((DOCS / folder).glob("*.md"))]
    found = {path.relative_to(DOCS).as_posix(): blocks(path.read_text(encoding="utf-8")) for path in paths}
    return {name: page for name, page in found.items() if page}


def commands(code: str) -> list[str]:
    """Return the lines of a block for a shell that are run; a backslash continues a line."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(PROGRAMS)]


def run(page: list[Block], name: str, folder: Path, **variables: str) -> None:
    """
    Run blocks in *folder*, with an emulator as the service and simulated sound devices.

    Raises:
        AssertionError: One failed, complained, or printed something else.
    """
    (folder / "question.wav").write_bytes((files("azure_rt_audio") / "data" / "question.wav").read_bytes())
    tasks = [
        {"line": block.line, "code": block.code}
        if block.language == "python"
        else {"line": block.line, "commands": commands(block.code)}
        for block in page
    ]
    with Emulator() as service:
        options = service.options()
        plain = environment()
        done = subprocess.run(
            [sys.executable, "-W", "error", str(_RUNNER), name, json.dumps(tasks)],
            cwd=folder,
            env={
                **plain,
                "PYTHONPATH": f"{_DEVICES}{':' if sys.platform != 'win32' else ';'}{plain['PYTHONPATH']}",
                "AZURE_OPENAI_ENDPOINT": options["host_name"],
                "AZURE_OPENAI_API_KEY": options["api_key"],
                "AZURE_OPENAI_DEPLOYMENT": options["deployment"],
                "MPLBACKEND": "agg",
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=2 * SECONDS,
            check=False,
        )
    printed = done.stdout.split(SEPARATOR)[1:]
    assert done.returncode == 0, f"{name}, block {len(printed)}:\n{done.stdout}"
    for block, output in zip(page, printed, strict=True):
        compare(block, output, name)


def compare(block: Block, output: str, name: str) -> None:
    """
    Check what a block printed.

    Raises:
        AssertionError: It is not what the page says, or the page says nothing of a traceback.
    """
    place = f"{name}, line {block.line}"
    if block.prints is None:
        assert "Traceback (most recent call last)" not in output, f"{place}:\n{output}"
        return
    if block.is_without_log:
        lines = output.splitlines(keepends=True)
        output = "".join(line for line in lines if not line.startswith(("! ", "= ")))
    pattern = ".*?".join(re.escape(part) for part in tidy(block.prints).split("..."))
    assert re.fullmatch(pattern, tidy(output), re.DOTALL), (
        f"{place} says that it prints\n{tidy(block.prints)}\nbut it prints\n{tidy(output)}"
    )


def tidy(text: str) -> str:
    """Without spaces at the ends of lines, and without empty lines at the end."""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())
