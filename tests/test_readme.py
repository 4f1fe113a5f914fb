"""The README keeps its word: its programs run, its table is complete, its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from cli_runner import SECONDS, environment

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.__main__ import main
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.thorough

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ALL_PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
WINDOWED = [program for program in ALL_PROGRAMS if "tkinter" in program]
"""Programs that open a window, which tests/system/windows has a display for."""
PROGRAMS = [program for program in ALL_PROGRAMS if program not in WINDOWED]


def title(program: str) -> str:
    """The heading under which a program stands."""
    return re.findall(r"^#+ (.*)$", README[: README.index(program)], re.MULTILINE)[-1]


@pytest.mark.parametrize("program", PROGRAMS, ids=title)
def test_a_program_of_the_readme_runs(program: str, tmp_path: Path) -> None:
    """Copied as it stands, with the three variables set, it ends well and complains about nothing."""
    run_program(program, tmp_path)


def run_program(program: str, tmp_path: Path) -> None:
    (tmp_path / "question.wav").write_bytes((files("azure_rt_audio") / "data" / "question.wav").read_bytes())
    with Emulator() as service:
        options = service.options()
        variables = {
            "AZURE_OPENAI_ENDPOINT": options["host_name"],
            "AZURE_OPENAI_API_KEY": options["api_key"],
            "AZURE_OPENAI_DEPLOYMENT": options["deployment"],
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            env=environment(**variables),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )

    # What a listener of "error" is not there to hear is logged, and refusals are part of one program.
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("! the service refused")]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize(
    "name", re.findall(r"\| `client\.(\w+)[^|]*\| `client\.(\w+)", README), ids=lambda pair: pair[0]
)
def test_both_names_of_the_table_exist(name: tuple[str, str]) -> None:
    """Each member of the table is there under its SDK name and under its Python name."""
    for spelling in name:
        assert hasattr(AzureRealTimeAudio, spelling)


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the table has help, with the options that the table names."""
    for command, description in re.findall(r"\| `azure-rt-audio (\w+)[^|]*` \| (.*) \|", README):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        for option in re.findall(r"`(--[\w-]+)`", description):
            assert option in shown
