"""examples/first_look.ipynb runs in a kernel, computes what the files say, and shows what is recorded in it."""

from __future__ import annotations

import importlib.util
import json
import re

import folders
import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
for library in ("nbclient", "ipykernel", "torch", "pandas", "matplotlib"):
    pytest.importorskip(library, reason=f"{library} is not installed")

NOTEBOOK = folders.ROOT / "examples" / "first_look.ipynb"
SPEC = importlib.util.spec_from_file_location("notebook", folders.ROOT / "maintain" / "notebook.py")
notebook = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(notebook)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(the notebook with its fresh outputs, the folder it ran in)."""
    folder = tmp_path_factory.mktemp("notebook")
    return notebook.run_notebook(NOTEBOOK, folder), folder


def text_of(made, word: str) -> str:
    """What the cell whose code has `word` shows as text."""
    (cell,) = (cell for cell in notebook.code_cells(made) if word in cell.source)
    return "".join(output.get("text") or output.data["text/plain"] for output in cell.outputs)


def scores_of(folder, name: str) -> dict[str, int]:
    lines = (folder / "out" / "first_look" / name / "verdicts.jsonl").read_text().splitlines()
    return {row["id"]: row["score"] for row in map(json.loads, lines)}


def test_it_computes_what_the_files_say(ran):
    made, folder = ran
    found = {
        name: json.loads((folder / "out" / "first_look" / name / "results.json").read_text())
        for name in ("careful", "hasty")
    }
    assert {one["n"] for one in found.values()} == {15}
    board = text_of(made, "frame_leaderboard(runs)")
    for name, one in found.items():
        score = one["metrics"]["score"]
        row = re.search(rf"^\d\s+{name}\s+(.*)$", board, re.MULTILINE)[1].split()
        ends = [f"{score[field]:.1f}" for field in ("value", "ci_low", "ci_high")]
        assert row == ["15", "0", str(one["failures"]["model"]["n"]), *ends, row[-1]]
    # by hand, from the verdicts: the difference of the means of 0 to 6, in percent of 6
    scores = {
        name: {
            row["id"]: row["score"]
            for row in map(json.loads, (folder / f"out/first_look/{name}/verdicts.jsonl").open())
        }
        for name in found
    }
    apart = [scores["careful"][id_] - scores["hasty"][id_] for id_ in scores["hasty"]]
    compared = text_of(made, "compare(first, second)")
    assert compared.startswith(f"careful - hasty: {100 * sum(apart) / 15 / 6:+.1f} [")
    wins, losses = sum(one > 0 for one in apart), sum(one < 0 for one in apart)
    assert f"better in {wins} of 15 questions, worse in {losses}, the same in {15 - wins - losses}" in compared


def test_it_shows_the_worst_ten_with_their_pictures(ran):
    made, folder = ran
    (cell,) = (cell for cell in notebook.code_cells(made) if "worst" in cell.source)
    (output,) = cell.outputs
    page = output.data["text/html"]
    # the row of heads, and ten answers
    assert page.count("<tr>") == 11
    assert page.count("data:image/png;base64,") >= 5
    verdicts = [*scores_of(folder, "careful").values(), *scores_of(folder, "hasty").values()]
    assert [int(score) for score in re.findall(r"<b>(\d)</b> of 6", page)] == sorted(verdicts)[:10]
    (plot,) = (cell for cell in notebook.code_cells(made) if "errorbar" in cell.source)
    assert [set(output.data) for output in plot.outputs] == [{"image/png", "text/plain"}]


def test_what_is_recorded_in_it_is_what_it_shows(ran):
    assert notebook.shown(nbformat.read(NOTEBOOK, as_version=4)) == notebook.shown(ran[0])
    # no folder of the machine that it ran on
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert str(folders.ROOT) not in text
    assert not re.search(r'[\s"\'(]/(?:home|root|tmp|Users|work)/', text)
    assert len(text) < 100_000
