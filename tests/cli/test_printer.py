"""Labelled lines on standard output."""

from __future__ import annotations

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
