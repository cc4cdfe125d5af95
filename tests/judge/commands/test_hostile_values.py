"""A text that UTF-8 cannot hold, in any field of any file, ends no run: least of all when all has been judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from judge import cli

HALF = "\ud800"

MMIE = {
    "id": "SA-1",
    "field": "Physics",
    "catagory": "Situational analysis",
    "conversations": [
        {"from": "human", "content": [{"text": "What is shown?", "image": "images/a.png"}]},
        {"from": "gpt", "content": [{"text": "A leaf.", "image": None}]},
    ],
}
ANSWER = {"id": "SA-1", "response": [{"text": "A green leaf.", "image": None}]}
MMVU = {
    "id": "attribute/shape/07",
    "image": "attribute/shape/07.jpg",
    "question": "Is the clock round?\nA. It is square.\nB. It is round.\nC. It is oval.\nD. There is no clock.",
    "ground_truth": "B",
    "question_type": "POS",
}
FEEDBACK = {"id": "SA-1", "feedback": "Fine.\n### Score\n4"}


def strings(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all texts in a JSON value."""
    if isinstance(value, str):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in strings(inner, (*path, key))]


def spoil(value: Any, path: tuple[Any, ...]) -> Any:
    """`value` with half a surrogate pair at the end of the text at `path`."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] += HALF
    return copy


def run(folder: Path, benchmark: str, data: list, answers: list[dict], *more: str) -> int:
    """`mmjudge score` on these files."""
    (folder / "data").mkdir(exist_ok=True)
    name = "data.json" if benchmark == "mmie" else "MMR-benchmark.json"
    (folder / "data" / name).write_text(json.dumps(data))
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    files = [str(folder / "answers.jsonl"), "--data", str(folder / "data"), "--out", str(folder / "out")]
    return cli.main(["score", *files, "--benchmark", benchmark, "--max-unscored", "100%", *more])


def whole(folder: Path) -> dict:
    """The results, whose files must all be UTF-8 and JSON."""
    for file in (folder / "out").glob("*.jsonl"):
        for line in file.read_bytes().decode("utf-8").splitlines():
            json.loads(line)
    return json.loads((folder / "out" / "results.json").read_bytes().decode("utf-8"))


MMIE_FILES = {"data": MMIE, "answers": ANSWER, "feedback": FEEDBACK}
EVERYWHERE = [(name, path) for name, row in MMIE_FILES.items() for path in strings(row)]


@pytest.mark.parametrize(("where", "path"), EVERYWHERE, ids=[f"{name}-{path}" for name, path in EVERYWHERE])
def test_mmie(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, path: tuple[Any, ...]) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "data" / "images" / "a.png")
    rows = {name: spoil(row, path) if name == where else row for name, row in MMIE_FILES.items()}
    if path == ("id",):  # the same id everywhere: the answer belongs to the question
        rows = {name: spoil(row, path) for name, row in MMIE_FILES.items()}
    (tmp_path / "replay.jsonl").write_text(json.dumps(rows["feedback"]) + "\n")
    judge = ("--judge", f"replay:{tmp_path / 'replay.jsonl'}")
    code = run(tmp_path, "mmie", [rows["data"]], [rows["answers"]], *judge)
    if path == ("conversations", 0, "from") or path == ("conversations", 1, "from"):
        assert code == 2  # nobody speaks: refused when the data is read
        assert "no such turn" in capsys.readouterr().err
        return
    assert code == 0, capsys.readouterr().err
    result = whole(tmp_path)
    assert result["n"] == 1
    again = capsys.readouterr().out
    assert run(tmp_path, "mmie", [rows["data"]], [rows["answers"]], *judge) == 0
    assert capsys.readouterr().out == again
    assert whole(tmp_path) == result


@pytest.mark.parametrize("field", ["id", "image", "question"])
def test_mmvu(tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str) -> None:
    data = [spoil(row, (field,)) for row in (MMVU, MMVU | {"ground_truth": "C", "question_type": "NEG"})]
    answers = [{"id": row["id"], "index": index, "response": f"A{HALF}"} for index, row in enumerate(data)]
    assert run(tmp_path, "mmvu", data, answers) == 0, capsys.readouterr().err
    assert whole(tmp_path)["metrics"]["POS"]["n"] == 1
