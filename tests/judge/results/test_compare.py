"""What may be compared, what is said where it may not, and the table."""

import json
import re
import types

import numpy as np
import pytest

import judge.results.compare
import judge.results.remarks
import judge.results.run_folder
from judge import cli
from judge.core.benchmark import Summary
from judge.core.estimate import Estimate
from judge.core.metric import Metric, Ratio, scores
from judge.core.scale import JUDGE_SCALE
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.results.compare import compare
from judge.results.paired import differences
from judge.results.run_folder import read_run

METRICS = [
    Metric(name, name, "answers", "", scores, Ratio(tuple(range(7)), (1,) * 7, scale=scale))
    for name, scale in (("score", 100 / 6), ("mean", 1))
]
SIGNATURE = "benchmark:scored|edition:v1|data:O/R@1f|rubric:mmjudge@1a2b|judge:O/J@9e8d|dtype:float32|version:0.1.0"
ESTIMATE = {"value": 50.0, "ci_low": 40.0, "ci_high": 60.0, "n": 4}


@pytest.fixture(autouse=True)
def benchmark(monkeypatch):
    scored = types.SimpleNamespace(
        name="scored",
        repo="O/R",
        metrics=METRICS,
        scale=JUDGE_SCALE,
        check_verdict=lambda verdict: None,
        summarise=lambda verdicts, dataset: Summary({}, {}),  # the numbers of these folders are made up
    )
    for module in (judge.results.compare, judge.results.remarks, judge.results.run_folder):
        monkeypatch.setattr(module, "find", {"scored": scored}.__getitem__)


def write(folder, scores, signature=SIGNATURE, **changes):
    """A results folder. scores: id → score, or None for unscored; the category is the id's beginning."""
    folder.mkdir()
    verdicts = [
        Verdict(id_, "judge", score, None if score is not None else "truncated", category=id_.partition("-")[0])
        for id_, score in scores.items()
    ]
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(verdict.to_json()) + "\n" for verdict in verdicts))
    unscored = sum(score is None for score in scores.values())
    result = {
        "benchmark": "scored",
        "signature": signature,
        "n": len(scores),
        "metrics": {"score": ESTIMATE, "mean": {**ESTIMATE, "value": 3.0}},
        "categories": {"SA": {"score": ESTIMATE}, "PBL": {"score": {**ESTIMATE, "value": None}}},
        "unscored": {"n": unscored, "rate": unscored / len(scores)},
        "dataset": {"repo": "O/R", "revision": "1f", "edition": "v1"},
        **changes,
    }
    (folder / "results.json").write_text(json.dumps(result))
    return folder


FIRST = {"SA-1": 4, "SA-2": 3, "PBL-1": 2, "PBL-2": None, "PBL-3": 6, "PBL-4": 1}
SECOND = {"PBL-5": 0, "PBL-3": 5, "PBL-2": 6, "PBL-1": 4, "SA-2": 5, "SA-1": 4}


def test_units_are_paired_by_id(tmp_path):
    found = compare(
        read_run(write(tmp_path / "a", FIRST)), read_run(write(tmp_path / "b", SECOND, metrics={"score": ESTIMATE}))
    )
    # both scored: SA-1 4→4, SA-2 3→5, PBL-1 2→4, PBL-3 6→5: gains 0, 2, 2, -1, mean 3/4 of 6
    score = found.metrics["score"].paired
    assert score.difference.value == pytest.approx(0.75 / 6 * 100)
    assert (score.difference.n, score.wins, score.losses, score.ties) == (4, 2, 1, 1)
    assert found.metrics["mean"].paired.difference.value == pytest.approx(0.75)
    assert found.metrics["score"].first == ESTIMATE
    assert found.metrics["mean"].second == {}  # the second run did not publish it
    sa, pbl = (found.categories[name]["score"].paired for name in ("SA", "PBL"))
    assert (sa.wins, sa.losses, sa.ties) == (1, 0, 1)
    assert (pbl.wins, pbl.losses, pbl.ties) == (1, 1, 0)
    assert (found.only_first, found.only_second) == (["PBL-4"], ["PBL-5"])
    assert list(found.categories) == ["SA", "PBL"]


def test_categories_come_in_the_published_order(tmp_path):
    first, second = ({f"{name}-1": 3 for name in order} for order in (("MSR", "PBL", "SA"), ("PBL", "SA", "MSR")))
    found = compare(read_run(write(tmp_path / "a", first)), read_run(write(tmp_path / "b", second)))
    assert list(found.categories) == ["SA", "PBL", "MSR"]  # results.json has SA and PBL


def test_comparison_is_that_of_the_counts(tmp_path):
    rng = np.random.default_rng(4)
    ids = [f"{'SA' if k % 3 else 'PBL'}-{k}" for k in range(60)]
    ours, theirs = rng.integers(0, 7, size=(2, 60))
    found = compare(
        read_run(write(tmp_path / "a", dict(zip(ids, ours.tolist(), strict=True)))),
        read_run(write(tmp_path / "b", dict(zip(ids, theirs.tolist(), strict=True)))),
    )
    joint = {name: np.zeros((7, 7), dtype=int) for name in ("PBL", "SA")}
    for id_, a, b in zip(ids, ours, theirs, strict=True):
        joint[id_.partition("-")[0]][a, b] += 1
    overall, categories = differences(joint, {metric.name: metric.ratio for metric in METRICS})
    assert {name: row.paired for name, row in found.metrics.items()} == overall
    assert {c: {name: row.paired for name, row in rows.items()} for c, rows in found.categories.items()} == categories


def test_the_last_line_of_a_question_counts(tmp_path):
    folder = write(tmp_path / "a", FIRST, unscored={"n": 0, "rate": 0})
    with (folder / "verdicts.jsonl").open("a") as file:  # judged again with --retry-unscored
        file.write(json.dumps(Verdict("PBL-2", "judge", 6, category="PBL").to_json()) + "\n")
    found = compare(read_run(folder), read_run(write(tmp_path / "b", SECOND)))
    assert found.metrics["score"].paired.difference.n == 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (SIGNATURE.replace("float32", "bfloat16"), ["dtype: float32 in", "bfloat16 in"]),
        (SIGNATURE.replace("1a2b", "ffff").replace("0.1.0", "0.2.0"), ["mmjudge@ffff", "0.1.0 in", "0.2.0 in"]),
        (SIGNATURE.replace("|edition:v1", ""), ["edition: v1 in", "absent in"]),
        (SIGNATURE.replace("benchmark:scored", "benchmark:other"), ["benchmark: scored in", "other in"]),
    ],
)
def test_refuses_other_measurements(tmp_path, capsys, changed, said):
    first, second = write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND, signature=changed)
    assert cli.main(["compare", str(first), str(second)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "may not be compared" in captured.err
    for words in [*said, str(first), str(second)]:
        assert words in captured.err
    # a line a part, with both values and folders
    parts = [line for line in captured.err.splitlines() if line.startswith("  ")]
    assert len(parts) == len(Signature.parse(SIGNATURE).differences(Signature.parse(changed)))
    assert all(f" in {first}, " in line and f" in {second}" in line for line in parts)


def test_refusal_names_only_the_parts_that_differ(tmp_path):
    first = read_run(write(tmp_path / "a", FIRST))
    second = read_run(write(tmp_path / "b", SECOND, signature=SIGNATURE.replace("float32", "bfloat16")))
    with pytest.raises(UserError) as caught:
        compare(first, second)
    assert "dtype" in caught.value.problem
    assert not any(part in caught.value.problem for part in ("judge:", "rubric:", "version:", "edition:"))


def test_replayed_feedback_is_compared_with_a_word(tmp_path, capsys):
    # each run replays a file of its own: that is its input, not how it was measured
    folders = [
        write(tmp_path / name, scores, signature=f"benchmark:scored|judge:replay|feedback:{name}")
        for name, scores in [("a", FIRST), ("b", SECOND)]
    ]
    assert cli.main(["compare", *map(str, folders)]) == 0
    replayed = "nothing here says that one and the same judge wrote it for A and B"
    assert replayed in " ".join(capsys.readouterr().out.split())
    live = [write(tmp_path / name, FIRST) for name in ("c", "d")]
    assert cli.main(["compare", *map(str, live)]) == 0
    assert replayed not in " ".join(capsys.readouterr().out.split())


def remove_both_files(folder):
    (folder / "verdicts.jsonl").unlink()
    (folder / "results.json").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_both_files, "results.json"),
        (lambda folder: (folder / "results.json").unlink(), "results.json"),
        (lambda folder: (folder / "verdicts.jsonl").unlink(), "verdicts.jsonl"),
        (lambda folder: (folder / "results.json").write_text('{"benchmark": "sco'), "results.json"),
        (lambda folder: (folder / "results.json").write_text("[]"), "results.json"),
        (lambda folder: (folder / "results.json").write_bytes(b"\xff\xfe\x00"), "results.json"),
        (lambda folder: (folder / "results.json").write_text('{"benchmark": "scored"}'), "signature"),
        (lambda folder: (folder / "verdicts.jsonl").write_text('{"id": "SA-1"}\n{"id": "SA-2"}\n'), "line 1"),
        (lambda folder: (folder / "verdicts.jsonl").write_text(""), "0 questions, but 6"),
    ],
)
def test_broken_folders_are_named(tmp_path, capsys, damage, said):
    first, second = write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)
    damage(second)
    assert cli.main(["compare", str(first), str(second)]) == 2
    error = capsys.readouterr().err
    assert str(second) in error
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize("field", ["benchmark", "signature", "metrics", "categories", "unscored"])
def test_fields_of_another_kind_are_named(tmp_path, field):
    folder = write(tmp_path / "a", FIRST, **{field: 7})
    with pytest.raises(UserError, match=rf"results\.json: is not a results file: {field} must be"):
        read_run(folder)


def test_missing_folder_and_single_folder(tmp_path, capsys):
    first = write(tmp_path / "a", FIRST)
    assert cli.main(["compare", str(first), str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such results folder" in capsys.readouterr().err
    assert cli.main(["compare", str(first)]) == 2
    assert "two or more" in capsys.readouterr().err


def test_table(tmp_path, capsys):
    first, second = write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)
    assert cli.main(["compare", str(first), str(second)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["A", f"{first}:", "6", "answers,", "1", "unscored", "(16.7%)"]
    assert lines[1].split()[2:] == ["6", "answers,", "0", "unscored", "(0.0%)"]
    values, score = (line.split() for line in lines if line.startswith("score  "))
    assert values[1:] == ["50.00", "[40.00,", "60.00]"] * 2
    assert score[1] == "+12.50"
    # after interval and p: n, won, lost, tied
    assert score[5:9] == ["4", "2", "1", "1"]
    values, pbl = (line.split() for line in lines if line.startswith("PBL "))
    assert values[1:] == ["-", "-"]  # published without a value
    assert pbl[1] == "+8.33"  # (2 - 1) / 2 of 6
    assert lines.count("score by category:") == 2
    assert "only in A, left out of the difference: PBL-4" in lines
    assert "only in B, left out of the difference: PBL-5" in lines
    assert lines[-1] == f"signature: {SIGNATURE}"


def test_many_ids_are_counted(tmp_path, capsys):
    first = write(tmp_path / "a", {f"SA-{k}": 3 for k in range(9)})
    assert cli.main(["compare", str(first), str(write(tmp_path / "b", {"SA-0": 3, "PBL-0": 3}))]) == 0
    assert "difference: SA-1, SA-2, SA-3, SA-4, SA-5 and 3 more" in capsys.readouterr().out


def test_runs_without_a_common_question(tmp_path, capsys):
    first, second = write(tmp_path / "a", {"SA-1": 3}), write(tmp_path / "b", {"SA-2": 4})
    assert cli.main(["compare", str(first), str(second)]) == 0
    _, score = (line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("score  "))
    assert score[1:] == ["-", "-", "-", "0", "0", "0", "0", "-"]


def test_out_holds_every_number(tmp_path, capsys):
    folders = [
        write(tmp_path / name, scores) for name, scores in [("a", FIRST), ("b", SECOND), ("c", {"SA-1": 0, "SA-2": 0})]
    ]
    file = tmp_path / "out.json"
    assert cli.main(["compare", *map(str, folders), "--out", str(file)]) == 0
    assert "C − A" in capsys.readouterr().out
    content = json.loads(file.read_text())
    assert content["signature"] == SIGNATURE
    assert [(part["first"], part["second"]) for part in content["comparisons"]] == [
        (str(folders[0]), str(folders[1])),
        (str(folders[0]), str(folders[2])),
    ]
    found = compare(read_run(folders[0]), read_run(folders[1])).to_json()
    assert content["comparisons"][0] == json.loads(json.dumps(found))
    assert content["comparisons"][0]["categories"]["SA"]["score"]["wins"] == 1
    assert content["comparisons"][1]["only_first"] == ["PBL-1", "PBL-2", "PBL-3", "PBL-4"]


def test_out_that_cannot_be_written(tmp_path, capsys):
    first, second = write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)
    (tmp_path / "file").touch()
    assert cli.main(["compare", str(first), str(second), "--out", str(tmp_path / "file" / "out.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_run_against_itself(tmp_path, capsys):
    first = read_run(write(tmp_path / "a", FIRST))
    found = compare(first, read_run(write(tmp_path / "b", dict(reversed(FIRST.items())))))
    assert found.same
    rows = [*found.metrics.values(), *(row for of in found.categories.values() for row in of.values())]
    assert [row.paired.difference for row in rows] == [Estimate(0.0, 0.0, 0.0, n) for n in (5, 5, 2, 2, 3, 3)]
    assert {(row.paired.p, row.paired.wins, row.paired.losses, row.paired.detectable) for row in rows} == {
        (1.0, 0, 0, None)
    }
    assert found.to_json()["same"] is True
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "A and B are one and the same run: the same answers" in capsys.readouterr().out


def known(sha256):
    return {"run": {"answers": {"sha256": sha256}}}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ({}, {}, True),
        (known("1"), known("1"), True),
        (known("1"), {}, True),
        (known("1"), known("2"), False),  # other answers, scored alike
        ({"signature": f"{SIGNATURE}|asked:a"}, {"signature": f"{SIGNATURE}|asked:b"}, False),
        ({"signature": f"{SIGNATURE}|feedback:a"}, {"signature": f"{SIGNATURE}|feedback:b"}, True),
    ],
)
def test_equal_scores_of_other_answers_are_no_same_run(tmp_path, ours, theirs, same):
    scores = {f"SA-{n}": n % 7 for n in range(20)}
    found = compare(read_run(write(tmp_path / "a", scores, **ours)), read_run(write(tmp_path / "b", scores, **theirs)))
    score = found.metrics["score"].paired
    assert (found.same, score.difference.value, score.p, score.ties) == (same, 0.0, 1.0, 20)
    assert (score.difference.ci_low < 0 < score.difference.ci_high) is not same


def test_columns_do_not_run_together_and_fit_80(tmp_path, capsys):
    # names of other lengths, numbers of all widths: 12 categories of 2 to 13 answers, lost altogether
    scores = {f"{'Kind' * (k % 3 + 1)}/{k:03}-{n}": 6 for k in range(12) for n in range(k + 2)}
    first, second = write(tmp_path / "a", scores), write(tmp_path / "b", dict.fromkeys(scores, 0))
    assert cli.main(["compare", str(first), str(second)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[next(n for n, line in enumerate(lines) if "B − A" in line) :]
    head, score, mean, _, title, *rows = [re.split(r"\s{2,}", line.strip()) for line in table[: 5 + 12]]
    assert head == ["B − A", "95% interval", "p", "n", "won", "lost", "tied", "least"]
    assert title == ["score by category:"]
    assert {len(row) for row in (score, mean, *rows)} == {9}
    assert max(map(len, (line for line in lines if not line.startswith(("A ", "B ", "signature"))))) <= 80


def test_few_units_are_said(tmp_path, capsys):
    first, second = write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)
    assert cli.main(["compare", str(first), str(second), "--out", str(tmp_path / "out.json")]) == 0
    said = (
        "Only 4 answers (fewer than 50): intervals are wide, and a single one may "
        "decide whether a difference is significant."
    )
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in json.loads((tmp_path / "out.json").read_text())["notes"]
