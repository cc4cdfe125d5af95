"""Data frames of answers and leaderboards, against the files that they are made from."""

from __future__ import annotations

import io
import json
import sys

import folders
import pytest

from judge import cli, frame_answers, frame_leaderboard, read_run
from judge.errors import UserError
from mmvu_tasks.demo import demo_dir


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = []
    for name in ("hasty", "careful"):
        out = tmp_path_factory.mktemp("runs") / name
        answers = folders.ROOT / "examples" / "answers" / f"{name}.jsonl"
        command = ["score", str(answers), "--benchmark", "mmvu", "--data", str(demo_dir()), "--out", str(out)]
        assert cli.main(command) == 0
        made.append(read_run(out))
    return made


def test_answers(runs):
    pandas = pytest.importorskip("pandas", reason="the export extra is not installed")
    frame = frame_answers(runs)
    assert frame["run"].value_counts().to_dict() == {"hasty": 48, "careful": 48}
    verdicts = [json.loads(line) for run in runs for line in (run.folder / "verdicts.jsonl").open()]
    assert frame["score"].tolist() == [verdict["score"] for verdict in verdicts]
    assert frame["letter"].tolist() == [verdict["details"]["letter"] for verdict in verdicts]
    # a pair counts where both answers are right: 13 and 20 of 24 (examples/answers)
    both = frame.groupby(["run", "id"])["score"].min().groupby("run").mean() * 100
    for run in runs:
        assert both[run.folder.name] == pytest.approx(run.estimate("RA")["value"])
    assert frame.dtypes["index"] == pandas.Int64Dtype()
    assert frame["feedback"].isna().all()


def test_the_leaderboard_is_that_of_the_table(runs, capsys):
    pandas = pytest.importorskip("pandas", reason="the export extra is not installed")
    frame = frame_leaderboard(runs)
    capsys.readouterr()
    assert cli.main(["table", *(str(run.folder) for run in runs), "--format", "csv"]) == 0
    table = pandas.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(frame.columns) == list(table.columns)
    assert frame["model"].tolist() == table["model"].tolist() == ["careful", "hasty"]
    for name in ("RA", "RA_ci_low", "RA_ci_high", "MR", "n", "unscored"):
        assert frame[name].tolist() == table[name].tolist()


def test_what_is_missing_is_named(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for make in (frame_answers, frame_leaderboard):
        with pytest.raises(UserError, match=r"a data frame needs pandas\n→ pip install 'mmjudge\[export\]'"):
            make(runs)
