"""The README keeps its word: its programs run, its commands exist, and it is short."""

from __future__ import annotations

import configparser
import re
from dataclasses import replace
from pathlib import Path

import pages
import pytest

from azure_rt_audio.__main__ import main
from azure_rt_audio._cli.program import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.thorough
def test_the_programs_run(tmp_path: Path) -> None:
    """One after the other, with the three variables set; the one that waits for Ctrl-C waits for 2 s."""
    endless = "voice.wait()"
    found = [
        replace(block, code=block.code.replace(endless, "voice.wait(2)")) for block in pages.blocks(README)
    ]

    assert [block.language for block in found].count("python") == README.count("```python") == 3
    assert README.count(endless) == 1
    pages.run(found, "README.md", tmp_path)


def test_it_is_short() -> None:
    """What needs more room has a page of the documentation."""
    assert len(README.splitlines()) <= 200


def test_every_page_of_the_documentation_has_a_link() -> None:
    """Of every folder but the reference, which has more than README names."""
    folders = ("tutorial", "how-to", "explanation", "coming-from")
    found = {
        f"docs/{folder}/{path.name}" for folder in folders for path in (ROOT / "docs" / folder).glob("*.md")
    }

    assert sorted(found - set(re.findall(r"\]\(([^)#]+)", README))) == []


def test_every_sample_has_a_row() -> None:
    """The files that readers start; modules that these share begin with an underscore."""
    found = {
        path.name for path in (ROOT / "samples").iterdir() if re.match(r"[a-z]\w*\.(py|ipynb)$", path.name)
    }

    assert found - {"screenshots.py"} == set(re.findall(r"^\| \[`([^`]+)`\]", README, re.MULTILINE))


def test_every_extra_has_a_row() -> None:
    """As in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    table = README[README.index("| extra |") :]

    assert set(setup["options.extras_require"]) == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_the_commands_exist() -> None:
    """Each has help, and each that there is has been named."""
    (listed,) = re.findall(r"lists the commands: (.*)\.$", README, re.MULTILINE)
    commands = re.findall(r"`(\w+)`", listed)
    for command in {*commands, *re.findall(r"azure-rt-audio (\w+)", README)}:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0

    assert commands == [name for name, _, _ in COMMANDS]
