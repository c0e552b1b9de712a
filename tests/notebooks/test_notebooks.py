"""Every notebook runs from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_and_is_stored_without_outputs(path, monkeypatch):
    monkeypatch.setenv("UPDATES", "2")
    # as in conftest.py, for the process of the kernel: compiling is the cost
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(not cell.outputs for cell in cells)
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": path.parent}}).execute()
    assert cells[-1].outputs, "the last cell shows the outcome"
