"""`--subset 1k` from questions to results: which questions, which answers, what is said, and what is refused."""

import json

import pytest

from judge import cli
from judge.core.benchmark import find
from judge.errors import UserError
from judge.publish.ready import reasons_against
from judge.results.run_folder import read_run
from judge.results.subset_estimate import estimate_whole
from judge.validity.subset_check import check_subsets
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir
from mmie_tasks.subset import stratum_of, take_subset

COUNTS = {("SA", "Literature"): 500, ("PBL", "Art"): 400, ("PBL", "Health"): 300, ("MSR", None): 300}
"""1,500 questions: two thirds are in the subset."""


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmie")
    rows = []
    for (category, field), count in COUNTS.items():
        for n in range(count):
            asked = [{"text": f"Question {n}?", "image": None}]
            turns = [{"from": "human", "content": asked}, {"from": "gpt", "content": [{"text": str(n), "image": None}]}]
            label = {} if field is None else {"field": field}
            rows.append({"id": f"{category}-{field}-{n}", "catagory": category, "conversations": turns, **label})
    (folder / "data.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def whole(data):
    return BENCHMARK.load(data)


def score(number):
    """A score for each question, by its position."""
    return (number * 7 + number // 11) % 7


@pytest.fixture(scope="module")
def files(data, whole, tmp_path_factory):
    """Answers to all questions, and what a judge said of each."""
    folder = tmp_path_factory.mktemp("answers")
    ids = [record.id for record in whole.records]
    answers = [{"id": name, "index": n, "response": f"It is {n}."} for n, name in enumerate(ids)]
    said = [{"id": name, "feedback": f"### Score\n{score(n)}"} for n, name in enumerate(ids)]
    return lines(folder / "responses.jsonl", answers), lines(folder / "feedback.jsonl", said)


def mmjudge(*words):
    return cli.main([str(word) for word in words])


def scored(data, files, out, *words, answers=None):
    replay = f"replay:{files[1]}"
    return mmjudge("score", answers or files[0], "--benchmark", "mmie", "--data", data, "--judge", replay, "--out", out,
                   *words)  # fmt: skip


@pytest.fixture(scope="module")
def runs(data, files, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert scored(data, files, out / "full") == 0
    assert scored(data, files, out / "part", "--subset", "1k") == 0
    return out / "full", out / "part"


def test_the_subset_of_the_data(whole):
    subset = take_subset(whole, "1k")
    assert len(subset.records) == 1000
    assert [record for record in whole.records if record in subset.records] == list(subset.records)  # published order
    found = subset.source.subset
    assert (found.name, found.size, found.total) == ("1k", 1000, 1500)
    assert found.of == {(category, field or ""): n for (category, field), n in COUNTS.items()}
    # 1000 · 500 / 1500 = 333.3, 266.7, 200, 200
    assert [sum(stratum_of(r) == (c, f or "") for r in subset.records) for c, f in COUNTS] == [333, 267, 200, 200]
    assert take_subset(whole, "1k") == subset


def test_the_results_say_which_part_and_what_of_all(runs, whole):
    results = read_run(runs[1]).results
    subset = take_subset(whole, "1k")
    name = str(subset.source.subset)
    assert f"|subset:{name}|" in results["signature"]
    assert "part:" not in results["signature"]
    assert results["dataset"]["subset"] == results["subset"]["name"] == name
    assert (results["n"], results["unscored"]["n"], results["subset"]["of"]) == (1000, 0, 1500)
    known = {record.id: n for n, record in enumerate(whole.records)}
    wanted = estimate_whole([(stratum_of(r), score(known[r.id])) for r in subset.records], subset.source.subset.of).mean
    mean = results["subset"]["estimates"]["mean"]
    assert (mean["value"], mean["ci_low"], mean["n"]) == (
        pytest.approx(wanted.value), pytest.approx(wanted.ci_low), 1000,
    )  # fmt: skip
    assert results["subset"]["estimates"]["score"]["value"] == pytest.approx(wanted.value / 6 * 100)
    assert sum(row["weight"] for row in results["subset"]["weights"]) == pytest.approx(1)
    assert {row["field"] for row in results["subset"]["weights"] if row["category"] == "MSR"} == {None}
    assert set(results["subset"]["categories"]) == {"SA", "PBL", "MSR"}
    # the whole run has the true mean of 1,500, which 1,000 of them tell to a fraction of a point
    truth = read_run(runs[0]).results["metrics"]["mean"]["value"]
    assert mean["ci_low"] <= truth <= mean["ci_high"]
    assert any("500 answers to questions outside the subset were left out" in note for note in results["notes"])


def test_what_is_printed(data, files, tmp_path, capfd):
    scored(data, files, tmp_path / "out", "--subset", "1k")
    said = capfd.readouterr().out
    assert "1000 answers, 0.0% unscored; the subset 1k@" in said
    assert "all 1500 questions " in said
    assert "post-stratified" in said
    assert "PBL     Art                              267     400   0.2667" in said  # 400 / 1500


def test_a_subset_is_compared_and_published_as_nothing_else(runs, capfd):
    assert mmjudge("compare", *runs) == 2
    assert "subset: absent in" in capfd.readouterr().err
    assert mmjudge("table", *runs) == 0
    said = capfd.readouterr().out
    assert ", subset 1k@" in said
    assert "Measured differently from the first table" in said
    assert "subset" in {reason.name for reason in reasons_against(read_run(runs[1]), BENCHMARK, 0.05)}


def test_answers_of_the_task_come_by_position_in_the_subset(data, files, tmp_path, whole):
    """As lmms-eval's samples of mmie_1k do."""
    subset = take_subset(whole, "1k")
    rows = [{"doc_id": n, "filtered_resps": f"It is {n}.", "target": ""} for n in range(1000)]
    assert scored(data, files, tmp_path / "out", "--subset", "1k", answers=lines(tmp_path / "s.jsonl", rows)) == 0
    verdicts = read_run(tmp_path / "out").verdicts
    assert [verdict.id for verdict in verdicts] == [record.id for record in subset.records]


def test_unanswered_questions_of_the_subset_are_unscored(data, files, tmp_path, whole):
    first, second = [record.id for record in take_subset(whole, "1k").records][:2]
    few = lines(tmp_path / "few.jsonl", [{"id": first, "response": "x"}, {"id": second, "response": None}])
    assert scored(data, files, tmp_path / "out", "--subset", "1k", "--max-unscored", "100%", answers=few) == 0
    assert read_run(tmp_path / "out").results["unscored"]["reasons"] == {"not_answered": 998, "no_response": 1}
    assert (
        scored(data, files, tmp_path / "part", "--subset", "1k", "--partial", "--max-unscored", "1", answers=few) == 0
    )
    assert "|part:2 of 1000|" in read_run(tmp_path / "part").results["signature"]


@pytest.mark.parametrize(
    ("rows", "words", "problem"),
    [
        ([{"id": "SA-Literature-1", "response": "x"}], ["--subset", "2k"], "--subset 2k: there is no such subset"),
        ([{"id": "SA-nowhere-1", "response": "x"}], ["--subset", "1k"], "not in the data"),
        ([{"doc_id": 1200, "filtered_resps": "x"}], ["--subset", "1k"], "position 1200 is outside the 1000 questions"),
        ([{"id": "OUTSIDE", "response": "x"}], ["--subset", "1k"], "no answer is to a question of the subset"),
    ],
)
def test_what_is_refused(data, files, whole, tmp_path, capfd, rows, words, problem):
    chosen = {record.id for record in take_subset(whole, "1k").records}
    outside = next(record.id for record in whole.records if record.id not in chosen)
    rows = [{**row, "id": outside} if row.get("id") == "OUTSIDE" else row for row in rows]
    assert scored(data, files, tmp_path / "out", *words, answers=lines(tmp_path / "a.jsonl", rows)) == 2
    assert problem in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_small_data_and_other_benchmarks_have_no_subset():
    with pytest.raises(UserError, match="the data only 15"):
        take_subset(BENCHMARK.load(demo_dir()), "1k")
    with pytest.raises(UserError, match="mmvu has no subsets"):
        find("mmvu").take_subset(BENCHMARK.load(demo_dir()), "1k")


def test_questions_of_the_subset_keep_their_published_positions(data, whole, tmp_path):
    assert mmjudge("questions", "--benchmark", "mmie", "--data", data, "--subset", "1k", "--out", tmp_path) == 0
    rows = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [record.id for record in take_subset(whole, "1k").records]
    assert all(whole.records[row["index"]].id == row["id"] for row in rows)


def test_subset_check_by_hand(runs, whole, tmp_path, capfd):
    assert mmjudge("subset-check", runs[0], "--sizes", "100,1000,5000", "--draws", "8", "--out", tmp_path) == 0
    content = json.loads((tmp_path / "subset_check.json").read_text())
    assert list(content["sizes"]) == ["100", "1000"]  # 5,000 are more than there are
    row = content["sizes"]["1000"]
    assert row["subset"] == take_subset(whole, "1k").source.subset.digest
    (found,) = row["runs"].values()
    part, full = (read_run(folder).results for folder in (runs[1], runs[0]))
    assert found["estimate"] == pytest.approx(part["subset"]["estimates"]["score"]["value"])
    assert found["full"] == pytest.approx(full["metrics"]["score"]["value"])
    assert found["covered"] is True
    assert (row["pairs"], row["same_order"], row["kendall_b"]) == (0, None, None)
    assert "1500 questions; 8 other subsets of each size" in capfd.readouterr().out
    assert mmjudge("subset-check", runs[1]) == 2
    assert "is itself a subset of the questions" in capfd.readouterr().err


def test_a_run_that_does_not_know_the_questions_is_not_checked(files, tmp_path, capfd):
    """Its answers may be some of all, and its strata have no fields: another subset than 1k would stand for it."""
    words = ("--benchmark", "mmie", "--judge", f"replay:{files[1]}", "--out", tmp_path / "bare")
    assert mmjudge("score", files[0], *words) == 0
    assert mmjudge("subset-check", tmp_path / "bare", "--draws", "2") == 2
    assert "was scored without the questions" in capfd.readouterr().err


def test_ranks_of_runs_in_a_subset():
    rows = [(f"q{n}", ("T", str(n % 3))) for n in range(600)]
    runs = {
        "low": [(*row, n % 3) for n, row in enumerate(rows)],
        "high": [(*row, 4 + n % 3) for n, row in enumerate(rows)],
        "middle": [(*row, 2 + n % 3) for n, row in enumerate(rows)],
    }
    found = check_subsets(runs, sizes=(60,), draws=5)["sizes"]["60"]
    assert (found["pairs"], found["same_order"], found["same_order_drawn"], found["kendall_b"]) == (3, 1.0, 1.0, 1.0)
    # strata decide the score here, and each has its exact share: no subset errs
    assert {name: run["rmse"] for name, run in found["runs"].items()} == pytest.approx(dict.fromkeys(runs, 0.0))
    assert [run["full"] for run in found["runs"].values()] == pytest.approx([100 / 6, 500 / 6, 50])
    with pytest.raises(UserError, match="other is not about the same questions as low"):
        check_subsets({**runs, "other": runs["low"][:-1]})
    with pytest.raises(UserError, match="too few for a subset of 600"):
        check_subsets(runs, sizes=(600, 700))
    with pytest.raises(UserError, match="nothing has no score at all"):
        check_subsets({"nothing": [(*row, None) for row in rows]})


def test_the_tasks_of_both_harnesses_ask_the_subset(data, whole, monkeypatch):
    pytest.importorskip("vlmeval.dataset", reason="the vlmeval extra is not installed")
    from mmie_tasks.lmms_eval import task
    from mmie_tasks.vlmeval_dataset import MMIE

    monkeypatch.setenv("MMIE_DATA", str(data))
    wanted = take_subset(whole, "1k")
    asked, judge = MMIE.__new__(MMIE).open("MMIE_1k")
    assert (asked.records, asked.source, judge) == (wanted.records, wanted.source, None)
    assert len(MMIE.__new__(MMIE).open("MMIE")[0].records) == 1500
    assert task._load_1k(False).source == wanted.source
