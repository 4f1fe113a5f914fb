"""Labelled lines on standard output."""

from __future__ import annotations

import io
import threading

import pytest

from azure_rt_audio._cli.printer import Printer

CALL = 'get_weather({"city": "Lisbon"})'
OUTPUT = '{"city":"Lisbon","sky":"sunny","temperature":"24 degrees"}'


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (80, [f"tool     {CALL} ->", f"         {OUTPUT}"]),
        (40, [f"tool     {CALL}", f"         -> {OUTPUT}".replace('"24 ', '"24\n         ')]),
    ],
)
def test_json_is_not_wrapped_if_it_fits(
    columns: int, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line breaks before a whole piece, and inside of it only where it is longer than a line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    printer = Printer()

    printer.grow("tool", CALL, is_whole=True)
    printer.grow("tool", " -> ")
    printer.grow("tool", OUTPUT, is_whole=True)
    printer.end_line()

    assert capsys.readouterr().out == "\n".join(expected) + "\n"


def test_lines_of_two_threads_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners print while the program echoes what was typed."""

    class Screen(io.StringIO):
        """Gives way to the other thread at each write."""

        def write(self, text: str) -> int:
            threading.Event().wait(0.0001)
            return super().write(text)

    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    printer = Printer()
    both = threading.Barrier(2)

    def print_lines(label: str) -> None:
        both.wait()
        for number in range(30):
            printer.line(label, f"line {number}")

    other = threading.Thread(target=print_lines, args=("error",))
    other.start()
    print_lines("you")
    other.join()

    wanted = [f"{label:9}line {number}" for label in ("error", "you") for number in range(30)]
    assert sorted(screen.getvalue().splitlines()) == sorted(wanted)
