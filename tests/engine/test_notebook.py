"""The notebook of the examples, whose cells define the app, runs without a browser."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import Require

pytestmark = pytest.mark.filterwarnings("default")  # of Jupyter's own packages

NOTEBOOK = Path(__file__).parents[2] / "examples" / "api.ipynb"


def test_it_is_stored_without_what_it_printed() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
def test_it_runs_from_its_first_cell_to_its_last(tmp_path: Path, require: Require) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    try:
        client.execute()
    except RuntimeError as error:  # before its first cell, as was seen on a bare machine
        require("Kernel didn't respond" not in str(error), "no Jupyter kernel answers here")
        raise
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "set phone@field latency=200ms" in printed
    assert "sensor" in printed
    run, reads, changes = (output.data["text/html"] for output in outputs if "data" in output)
    assert "<caption><b>notebook</b></caption>" in run
    assert "interrupted" in run
    assert "2 objectives" in run
    assert "median ms" in reads
    assert "crashed" in changes
