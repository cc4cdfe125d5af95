"""The blocks of docs/python.md run as they stand, and find what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import folders
import pytest

from mmie_tasks.demo import demo_dir

pytest.importorskip("torch", reason="the hf extra is not installed")
pytest.importorskip("pandas", reason="the export extra is not installed")
PAGE = (folders.ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def write_answers(folder: Path) -> None:
    """The references as answers, and the same with nothing but a word in every third place; what a judge said."""
    records = json.loads((demo_dir() / "data.json").read_text(encoding="utf-8"))
    for name, hasty in (("careful", False), ("hasty", True)):
        rows = []
        for number, record in enumerate(records):
            parts = record["conversations"][1]["content"]
            response = [{"text": "No."}] if hasty and number % 3 == 0 else [{**part, "image": None} for part in parts]
            rows.append({"id": record["id"], "response": response})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    feedback = [{"id": record["id"], "feedback": "### Score\n4"} for record in records]
    (folder / "feedback.jsonl").write_text("".join(json.dumps(row) + "\n" for row in feedback))


def test_every_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_answers(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        exec(block, names)
    for folder in ("careful", "hasty", "replayed"):
        results = json.loads((tmp_path / "out" / folder / "results.json").read_text())
        assert results["n"] == 15
    # every answer by replay gets 4 of 6
    assert results["metrics"]["mean"]["value"] == 4
    keys = [
        {(row["id"], row["key"]) for row in map(json.loads, (tmp_path / "out" / way / "verdicts.jsonl").open())}
        for way in ("careful", "together/careful")
    ]
    assert keys[0] == keys[1]
    # hasty says nothing but a word in every third place
    board = names["frame_leaderboard"](names["runs"])  # type: ignore[operator]
    assert board["model"].tolist() == ["careful", "hasty"]
    assert len(names["answers"]) == 30  # type: ignore[arg-type]
    assert names["comparison"].metrics["score"].paired.difference.n == 15  # type: ignore[attr-defined]


def test_what_the_interface_names_is_there():
    import judge

    assert all(getattr(judge, name) for name in judge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = judge.nothing
