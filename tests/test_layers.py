"""The plan of the house, held against the code: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import azure_rt_audio

PACKAGE = Path(azure_rt_audio.__file__).parent
NAME = "azure_rt_audio"

ROOMS = {
    "errors": {"errors", "_extras", "_pages", "_repr", "_not_pickled", "_arity", "_retry_after"},
    "version": {"_version"},
    "text": {"_printable", "_log", "_paths", "_stacklevel"},
    "secret": {"_secret"},
    "concurrency": {"_concurrency"},
    "protocol": {"protocol"},
    "events": {"events"},
    "pictures": {"_html"},
    "audio": {"audio"},
    "devices": {"devices"},
    "options": {"options"},
    "net": {"_net"},
    "transport": {"_transport"},
    "dispatch": {"dispatch"},
    "session": {"_session"},
    "tools": {"tools"},
    "tool_loop": {"_tool_loop"},
    "guard": {"_guard"},
    "notebook": {"_notebook"},
    "recording": {"recording"},
    "recorder": {"_recorder"},
    "client": {"client", "_event_methods", "_typescript"},
    "voice": {"voice"},
    "qt": {"qt"},
    "emulator": {"emulator"},
    "testing": {"testing"},
    "command line": {"__main__", "_cli"},
    "freezing": {"_pyinstaller"},
}
"""A room and the modules in it."""

MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "freezing": set(),
    "text": set(),
    "secret": set(),
    "errors": {"text"},
    "concurrency": {"text"},
    "pictures": {"text", "audio"},
    "protocol": {"text", "secret", "errors", "pictures"},
    "events": {"protocol"},
    "audio": {"text", "errors"},
    "devices": {"text", "errors", "concurrency", "audio"},
    "options": {"secret", "errors", "protocol"},
    "net": {"secret", "errors", "concurrency", "options"},
    "transport": {"text", "secret", "errors", "version", "concurrency", "options", "net"},
    "dispatch": {"text", "errors", "concurrency"},
    "session": {
        "text",
        "secret",
        "errors",
        "concurrency",
        "protocol",
        "pictures",
        "audio",
        "options",
        "transport",
        "dispatch",
    },
    "tools": {"text", "secret", "errors", "concurrency", "protocol", "options"},
    "tool_loop": {"text", "errors", "concurrency", "protocol", "options", "session", "tools"},
    "guard": {"text", "errors", "concurrency", "protocol", "session", "tool_loop"},
    "notebook": {"text", "errors", "audio", "protocol", "pictures", "dispatch"},
    "recording": {"text", "errors", "audio", "protocol"},
    "recorder": {
        "text",
        "secret",
        "errors",
        "version",
        "concurrency",
        "protocol",
        "options",
        "transport",
        "session",
        "recording",  # its version, when something is recorded
    },
    "client": {
        "text",
        "secret",
        "notebook",
        "errors",
        "concurrency",
        "protocol",
        "audio",
        "options",
        "transport",
        "dispatch",
        "session",
        "recorder",
        "tools",
        "tool_loop",
        "guard",
        "voice",  # inside talk()
    },
    "voice": {"text", "errors", "concurrency", "protocol", "audio", "devices", "dispatch"},
    "qt": {"protocol", "dispatch", "client"},
    "emulator": {"text", "secret", "errors", "audio", "recording"},
    "testing": {"emulator"},
    "command line": {
        "text",
        "errors",
        "protocol",
        "audio",
        "devices",
        "voice",
        "dispatch",
        "emulator",
        "recording",
        "front door",
    },
}
"""A room and the rooms it may look into. Whatever is not here, it may not."""


def _room_of(module: str) -> str:
    first = module.partition(".")[0]
    for room, modules in ROOMS.items():
        if first in modules:
            return room
    raise AssertionError(
        f"{module} has no place in the house; give it one in ROOMS, or put it where it belongs"
    )


def _files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports, relative to the package."""
    package = path.parent.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == NAME or alias.name.startswith(f"{NAME}."):
                    yield alias.name[len(NAME) + 1 :]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            elif (node.module or "").split(".")[0] == NAME:
                base = (node.module or "").split(".")[1:]
            else:
                continue
            base = [part for part in base if part]
            if base:
                yield ".".join(base)
            else:
                yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_inward(path: Path) -> None:
    """A file stands in a room of the plan and imports only from rooms that its room may look into."""
    room = _room_of(path.relative_to(PACKAGE).with_suffix("").parts[0])

    for module in _imports(path):
        if _is_front_door(module):
            assert "front door" in MAY_IMPORT[room], f"{path.name} imports from the front door"
            continue
        other = _room_of(module)
        assert other == room or other in MAY_IMPORT[room], f"{room} must not import {module} ({other})"


def _is_front_door(module: str) -> bool:
    """A public name taken from the package itself, as users do."""
    return module in azure_rt_audio.__all__ or module == ""


def test_there_are_no_circles() -> None:
    """The rooms can be put into an order in which each imports only from rooms before it."""
    left = {room: others - {"front door"} for room, others in MAY_IMPORT.items()}
    while left:
        free = {room for room, others in left.items() if not others & left.keys()}
        assert free, f"each of these needs another one first: {sorted(left)}"
        left = {room: others for room, others in left.items() if room not in free}


def test_every_room_is_furnished() -> None:
    """The plan names no module that does not exist."""
    present = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in _files()}

    assert set().union(*ROOMS.values()) == present


def test_the_ground_floor_has_no_threads_sockets_or_clock() -> None:
    """The protocol and the arithmetic of audio are pure."""
    forbidden = {"threading", "socket", "ssl", "time", "selectors", "websocket", "asyncio", "random"}

    for path in (*(PACKAGE / "protocol").rglob("*.py"), *(PACKAGE / "audio").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not forbidden & {name.partition(".")[0] for name in names}, f"{path.name} imports {names}"
