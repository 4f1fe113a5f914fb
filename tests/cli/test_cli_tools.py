"""Tools on the command line: ``--tools``, the calls as they are shown, and the user's yes or no."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import Terminal, run

from azure_rt_audio._cli import UsageError
from azure_rt_audio._cli.tool_calls import result_text
from azure_rt_audio._cli.tools_option import load_tools
from azure_rt_audio.events import ToolEnded, ToolStarted

pytestmark = pytest.mark.thorough

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs a terminal as POSIX has them")

MODULE = '''
import threading

from azure_rt_audio import Tool, Tools

def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"sunny in {city}"

def delete_file(name: str) -> str:
    """Delete a file."""
    return f"{name} was deleted"

def make_report(topic: str) -> str:
    """Make a report."""
    threading.Event().wait(0.8)
    return f"{topic} are red"

report = Tool(make_report, background=True)
delete = Tool(delete_file, needs_approval=True)
some = Tools(get_weather)
many = [get_weather, delete, report]
secret = {"a": get_weather}
async def later(city: str) -> str: ...
'''


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module of tools."""
    (tmp_path / "my_tools.py").write_text(MODULE)
    (tmp_path / "broken_tools.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "failing_tools.py").write_text("raise ValueError('no\\x1b[31m key')\n")
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    for name in [name for name in sys.modules if name.endswith("_tools") and "." not in name]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["get_weather", "some", "many", "delete"])
def test_what_may_be_named(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function, a Tool, Tools and a list of them, from the current folder; and several of them."""
    monkeypatch.chdir(folder)
    tools = load_tools([f"my_tools:{name}"])

    assert tools is not None
    assert {tool.name for tool in tools} <= {"get_weather", "delete_file", "make_report"}
    assert load_tools([]) is None
    both = load_tools(["my_tools:get_weather", "my_tools:delete"])
    assert both is not None
    assert [tool.name for tool in both] == ["get_weather", "delete_file"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("my_tools", "pass MODULE:NAME, such as my_tools:get_weather"),
        ("nowhere_tools:x", "there is no module nowhere_tools in this folder, or installed"),
        ("my_tools.py:many", "there is no module my_tools.py in this folder, or installed; leave .py out"),
        ("broken_tools:x", "importing broken_tools failed: No module named 'no_such_module_at_all'"),
        ("failing_tools:x", r"importing failing_tools failed: ValueError: no\x1b[31m key"),
        ("my_tools:get_wether", "my_tools has no 'get_wether'; did you mean get_weather?"),
        ("my_tools:secret", "it is no function, list of functions, Tool, McpServer or Tools, but dict"),
        ("my_tools:later", "is async"),
    ],
)
def test_what_may_not(place: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the option, and says what to do."""
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError) as told:
        load_tools([place])
    assert str(told.value).startswith(f"--tools {place}: ")
    assert message in str(told.value)


def test_equal_names_are_refused(folder: Path) -> None:
    """Before anything is connected, with exit code 2."""
    done = run(
        *("chat", "--emulator", "--tools", "my_tools:many", "--tools", "my_tools:some"), cwd=folder, stdin=""
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "--tools my_tools:some: there is already a tool named 'get_weather'" in done.stderr


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_chat_with_a_server_that_has_no_tools(dialect: str, folder: Path) -> None:
    """One that cannot be reached is told, and the conversation goes on; preview knows none."""
    (folder / "far_tools.py").write_text(
        "from azure_rt_audio import McpServer\n"
        "port = McpServer({'server_label': 'port', 'server_url': 'https://port.test/mcp'})\n"
    )
    command = ("chat", "--emulator", "--dialect", dialect, "--tools", "far_tools:port")
    done = run(*command, cwd=folder, stdin="Hello!\n")

    if dialect == "preview":
        assert done.returncode == 2
        assert "--tools: session.tools[0]: MCP tools and items exist on GA only" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert 'could not list the tools of "port"' in done.stdout
        assert any(line.startswith("model    Hello!") for line in done.stdout.splitlines())


def test_calls_are_on_a_line_each() -> None:
    """Name, arguments and result, without line breaks and escapes, and not longer than can be read."""
    started = ToolStarted(
        call_id="c", name="na\x1b[2Jme", arguments='{\n "a": "\\u001b]0;x\\u0007\\u2028y"\n}', response_id="r"
    )
    ended = ToolEnded(call_id="c", name="n", output="1\n2\x9b" + "x" * 1000, error=None, seconds=1.0)
    failed = ToolEnded(call_id="c", name="n", output="", error=KeyError("\x1bkey\nb"), seconds=1.0)
    refused = ToolEnded(call_id="c", name="n", output='{"error":"no"}', error=None, seconds=1.0)

    assert str(started) == r'na\x1b[2Jme({"a": "\u001b]0;x\u0007 y"})'
    assert result_text(ended).startswith(r"1 2\x9bxxx")
    assert result_text(ended).endswith("xx…")
    assert len(result_text(ended)) == 240
    assert result_text(failed) == r"KeyError: '\x1bkey\nb'"
    assert result_text(refused) == "error: no"


def test_chat_shows_calls_and_denies_what_nobody_can_approve(folder: Path) -> None:
    """In a pipe nobody can be asked: the model is told, and so is whoever reads."""
    done = run(
        *("chat", "--emulator", "--tools", "my_tools:many"),
        cwd=folder,
        stdin='What is the weather in Lisbon?\nPlease delete file "notes".\nHello!\n',
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert 'tool     get_weather({"city": "Lisbon"}) -> sunny in Lisbon' in lines
    assert "model    Here is the result of get weather: sunny in Lisbon." in lines
    assert 'tool     delete_file({"name": "notes"}) -> ' in done.stdout
    assert "standard input is no terminal" in done.stdout
    assert "notes was deleted" not in done.stdout
    assert "[no words]" not in done.stdout
    assert lines[-1] == "model    Hello! I am the emulator. How can I help you today?"


@on_posix
def test_chat_asks_yes_or_no(folder: Path) -> None:
    """A yes runs the tool, everything else does not; Ctrl-C at the question interrupts the answer."""
    with Terminal("chat", "--emulator", "--tools", "my_tools:many", cwd=folder, NO_COLOR="1") as terminal:

        def ask(question: str, *answers: str) -> str:
            terminal.wait_for("you      ")
            terminal.press(f"{question}\n")
            for answer in answers:
                terminal.wait_for("[y/N] ")
                terminal.press(answer)
            return terminal.wait_for("\r\nmodel    ")

        assert "-> a was deleted" in ask('Please delete file "a".', "what\n", "Yes\n")
        assert "error: this call was not allowed" in ask('Please delete file "b".', "\n")
        assert "the user has said no" in ask('Please delete file "c".', "n\n")
        terminal.wait_for("you      ")
        terminal.press('Please delete file "d".\n')
        terminal.wait_for("[y/N] ")
        terminal.press_until("[interrupted]", "\x03")
        terminal.wait_for("you      ")
        terminal.press("\x04")

        assert terminal.wait() == 0
    assert "d was deleted" not in terminal.shown
    assert "Traceback" not in terminal.shown


@on_posix
def test_what_comes_while_the_user_types_is_shown_above_the_prompt(folder: Path) -> None:
    """A tool in the background ends while the next line is typed: it is told, and the prompt comes again."""
    with Terminal("chat", "--emulator", "--tools", "my_tools:many", cwd=folder, NO_COLOR="1") as terminal:
        terminal.wait_for("you      ")
        terminal.press('Please make report on "tulips".\n')
        terminal.wait_for("status started")
        terminal.wait_for("you      ")
        terminal.press("Thank")
        terminal.wait_for('make_report({"topic": "tulips"}) -> tulips are red')
        terminal.wait_for("which was called before")
        terminal.wait_for("you      ")
        terminal.press("s!\n")
        terminal.wait_for("welcome.")
        terminal.wait_for("you      ")
        terminal.press("\x04")

        assert terminal.wait() == 0
