"""The sample notebook runs whole, in a real kernel, on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.notebook

SAMPLE = Path(__file__).parents[3] / "samples" / "notebook.ipynb"


def test_the_sample_notebook_runs_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell but the one that installs: it speaks, calls a tool, plots, and leaves a last picture."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    notebook = nbformat.read(SAMPLE, as_version=4)
    committed = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is not None]
    shown: list[Any] = [output.data for cell in ran for output in cell.outputs if "data" in output]
    pages = "".join(data.get("text/html", "") for data in shown)

    assert len(ran) == len([cell for cell in notebook.cells if cell.cell_type == "code"]) - 1
    assert sum("image/png" in data for data in shown) == 2
    assert pages.count("<audio") == 1
    assert "get_weather" in pages
    assert "What is the weather like in Lisbon today?" in pages
    assert committed, "it is to look well where it cannot run: python samples/screenshots.py notebook"
    assert SAMPLE.stat().st_size < 300_000
