"""Run examples/first_look.ipynb as it stands, and check or record what its cells print.

    python maintain/notebook.py            # check: exit code 1 where a cell prints something else than is recorded
    python maintain/notebook.py --write    # record it

What is recorded is what a reader sees: results, tables, answers with their pictures, the plot. Lines on stderr, such as
how long the judge took to load, are not. Plots are compared by being there: their pixels depend on the fonts around.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_look.ipynb"


def run_notebook(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a run in `folder`. Raises nbclient's error for a cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(folder))
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    """The cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: Any) -> list[list[dict[str, str]]]:
    """What each cell shows, by media type; of a plot that it is there."""
    return [[_shown(output) for output in cell.outputs] for cell in code_cells(notebook)]


def _shown(output: Any) -> dict[str, str]:
    if output.output_type == "stream":
        return {output.name: output.text}
    return {kind: "" if kind.startswith("image/") else text for kind, text in output.data.items()}


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Check or record what examples/first_look.ipynb prints.")
    parser.add_argument("--write", action="store_true", help="record it")
    write = parser.parse_args(arguments).write
    with tempfile.TemporaryDirectory() as folder:
        made = run_notebook(NOTEBOOK, Path(folder))
    if write:
        nbformat.write(made, NOTEBOOK)
        return 0
    recorded = shown(nbformat.read(NOTEBOOK, as_version=4))
    differing = [number for number, (a, b) in enumerate(zip(recorded, shown(made), strict=True), 1) if a != b]
    for number in differing:
        print(f"{NOTEBOOK.name}: code cell {number} prints something else: python {sys.argv[0]} --write")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
