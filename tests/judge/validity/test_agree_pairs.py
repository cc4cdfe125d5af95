"""`mmjudge agree --pairs` from pairs to answers, verdicts and accuracy, with commands alone."""

import json

import pytest
from folders import SHARED

from judge import cli
from judge.core.verdict import Verdict

RELEASED = SHARED / "data" / "mmrb2" / "interleaved_response_only.json"


def mmjudge(*words):
    return cli.main([str(word) for word in words])


def lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def feedback(path, scores):
    """A recording that gives every answer its score. scores: id → 0 to 6, or None for words without one."""
    said = {name: "I cannot say" if score is None else f"### Score\n{score}" for name, score in scores.items()}
    return lines(path, [{"id": name, "feedback": words} for name, words in said.items()])


def pair(number, chosen, systems=("anole", "gill"), question=None, source="mmmg"):
    sides = [
        {"id": f"{question or number}/{system}/{n}", "model": system, "response": f"{'long ' * (9 * n)}answer {number}"}
        for n, system in enumerate(systems)
    ]
    return {
        "id": f"p{number}", "question": f"q{question or number}", "source": source, "prompt": "Draw it.",
        "a": sides[0], "b": sides[1], "chosen": chosen,
    }  # fmt: skip


@pytest.fixture
def judged(tmp_path, capfd):
    """Four pairs with their answers written and judged by a recording: (pairs file, results folder)."""
    pairs = lines(tmp_path / "pairs.jsonl", [pair(1, "A"), pair(2, "A"), pair(3, "B"), pair(4, "B")])
    assert mmjudge("agree", "--pairs", pairs, "--write-answers", tmp_path / "answers", "--category", "PBL") == 0
    said = capfd.readouterr().out
    assert "8 answers of 4 pairs, to be judged by the rubric of PBL" in said
    answers = json.loads((tmp_path / "answers" / "answers.json").read_text())
    # right; wrong; a tie; no score
    scores = dict(zip((row["id"] for row in answers), [5, 2, 1, 3, 4, 4, None, 6], strict=True))
    replay = feedback(tmp_path / "feedback.jsonl", scores)
    file = tmp_path / "answers" / "answers.json"
    words = ("--benchmark", "mmie", "--judge", f"replay:{replay}", "--out", tmp_path / "out", "--max-unscored", "50%")
    assert mmjudge("score", file, *words) == 0
    capfd.readouterr()
    return pairs, tmp_path / "out"


def test_from_pairs_to_accuracy(judged, tmp_path, capfd):
    pairs, results = judged
    assert mmjudge("agree", "--pairs", pairs, f"mine={results}", "--resamples", 200, "--out", tmp_path / "agreed") == 0
    content = json.loads((tmp_path / "agreed" / "preferences.json").read_text())
    mine = content["judges"]["mine"]
    assert (mine["accuracy"]["value"], mine["accuracy"]["n"]) == (50.0, 3)  # (1 + 0 + 0.5) / 3
    assert mine["ties"] == {"n": 1, "rate": pytest.approx(1 / 3)}
    assert mine["undecided"] == {"n": 1, "reasons": {"no_score_line": 1}}
    assert mine["bounds"] == {"undecided_wrong": 37.5, "undecided_right": 62.5}  # 1.5 and 2.5 of 4
    assert {gap: one["value"] for gap, one in mine["by"]["difference"].items()} == {"0": 50.0, "2": 0.0, "3": 100.0}
    assert {name: one["n"] for name, one in mine["by"]["systems"].items()} == {"anole / gill": 3}
    assert mine["signature"].startswith("benchmark:mmie|")
    assert {name: row["accuracy"]["value"] for name, row in content["baselines"].items()} == {
        "constant": 50.0, "first": 50.0, "words": 50.0, "pictures": 50.0,  # the longer answer is B, chosen twice
    }  # fmt: skip
    said = capfd.readouterr().out
    assert "4 pairs of 8 answers to 4 questions by 2 systems" in said
    assert "mine                          50.0" in said
    assert "mine is not shown to choose better than a coin: 50.0% (n 3)." in said
    assert "GPT-4o                               61.5             59.7" in said  # all sources are MMRB2's


def test_a_judge_of_both_orders_stands_beside(judged, tmp_path, capfd):
    pairs, results = judged
    said = [{"id": f"p{n}", "order": order, "judgement": "A"} for n in range(1, 5) for order in ("forward", "reverse")]
    both = lines(tmp_path / "first.jsonl", said)
    assert mmjudge("agree", "--pairs", pairs, results, both, "--resamples", 200) == 0
    out = capfd.readouterr().out
    # always what is shown first: right in one of two orders, never consistent
    assert "first                         50.0" in out
    assert "  consistency                  0.0" in out
    assert "  first shown                100.0" in out
    assert "first prefers what is shown first: the first in 100.0% of its choices." in out


def test_the_same_files_give_the_same_bytes(judged, tmp_path):
    pairs, results = judged
    for name in ("one", "two"):
        mmjudge("agree", "--pairs", pairs, results, "--resamples", 200, "--out", tmp_path / name)
    one, two = ((tmp_path / name / "preferences.json").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no judge is given"),
        (["OUT", "--beside", "x=OUT"], "--beside and --category mean nothing here"),
        (["OUT", "--write-answers", "DIR"], "--write-answers ends before any verdict is read"),
        (["--write-answers", "DIR", "--category", "XYZ"], "--category XYZ: MMIE has SA, PBL, MSR"),
        (["mine=OUT", "mine=OTHER"], "a second judge called 'mine'"),
        (["FEW"], "2 of 8 answers of the pairs have no verdict"),
        (["NONE", "--partial"], "8 of 8 answers of the pairs have no verdict"),
        (["mine=OUT", "mine=FEW"], "6 answers have another verdict by 'mine' already: "),
        (["UNSCORED"], "unscored: no pair has two answers with a score; without one: 8 no_score_line"),
        (["ONE", "--partial"], "one: no pair has two answers with a score"),
        (["UNKNOWN"], "1 pairs are not among the pairs: p9"),
        (["SOME"], "3 pairs have no judgement: p2, p3, p4"),
    ],
)
def test_what_is_refused(judged, tmp_path, capfd, words, problem):
    pairs, results = judged
    rows = [json.loads(line) for line in (results / "verdicts.jsonl").read_text().splitlines()]
    few = lines(tmp_path / "few.jsonl", rows[2:])
    none = lines(tmp_path / "none.jsonl", [Verdict("PBL-1", "judge", 3, category="PBL").to_json()])
    other = tmp_path / "other"
    other.mkdir()
    for file in ("results.json", "verdicts.jsonl"):
        text = (results / file).read_text()
        (other / file).write_text(text.replace("|parse:1|", "|parse:0|"))
    unscored = [{**row, "score": None, "unscored": "no_score_line", "text": "", "score_probs": None} for row in rows]
    unknown = lines(tmp_path / "unknown.jsonl", [{"id": f"p{n}", "judgement": "A"} for n in (1, 2, 3, 4, 9)])
    some = lines(tmp_path / "some.jsonl", [{"id": "p1", "judgement": "A"}])
    names = {
        "OUT": results, "mine=OUT": f"mine={results}", "mine=OTHER": f"mine={other}", "x=OUT": f"x={results}",
        "DIR": tmp_path / "dir", "FEW": few, "NONE": none, "UNKNOWN": unknown, "mine=FEW": f"mine={few}",
        "UNSCORED": f"unscored={lines(tmp_path / 'unscored.jsonl', unscored)}",
        "ONE": f"one={lines(tmp_path / 'one.jsonl', rows[:1])}", "SOME": some,
    }  # fmt: skip
    assert mmjudge("agree", "--pairs", pairs, *(names.get(word, word) for word in words)) == 2
    assert problem in capfd.readouterr().err


def test_judgements_that_are_missing_are_said(judged, tmp_path, capfd):
    pairs, _ = judged
    said = {f"p{n}": {order: [{"judgement": "A"}] for order in ("forward", "reverse")} for n in range(1, 5)}
    said["p1"]["forward"] = [{"judgement": None}]  # what MMRB2's scripts write where they could not read the judge
    del said["p2"]["reverse"]
    (tmp_path / "both.json").write_text(json.dumps(said))
    assert mmjudge("agree", "--pairs", pairs, tmp_path / "both.json", "--resamples", 200) == 0
    assert "both: 2 of 8 judgements are missing or unreadable, and left out." in capfd.readouterr().out


def test_partial_leaves_pairs_out(judged, tmp_path, capfd):
    pairs, results = judged
    rows = [json.loads(line) for line in (results / "verdicts.jsonl").read_text().splitlines()]
    few = lines(tmp_path / "few.jsonl", rows[:2])
    assert mmjudge("agree", "--pairs", pairs, f"few={few}", "--partial", "--resamples", 200) == 0
    assert "few                          100.0     [20.7, 100.0]      1" in capfd.readouterr().out  # Wilson of 1 in 1


def test_options_of_pairs_need_pairs(tmp_path, capfd):
    assert mmjudge("agree", "out", "humans.jsonl", "--partial") == 2
    assert "--partial only goes with --pairs" in capfd.readouterr().err
    assert mmjudge("agree", "out") == 2
    assert "gives no VERDICTS and HUMANS to compare" in capfd.readouterr().err


@pytest.mark.skipif(not RELEASED.exists(), reason=f"{RELEASED} is not there: MMRB2 is not part of the project")
def test_the_thousand_pairs_of_mmrb2(tmp_path, capfd):
    """From the published file to an accuracy by hand: the score of an answer is 6 where it won every pair it stands in,
    0 where it lost every one, 3 elsewhere."""
    rows = json.loads(RELEASED.read_text())["pairs"]
    assert mmjudge("agree", "--pairs", RELEASED, "--write-answers", tmp_path) == 0
    captured = capfd.readouterr()
    assert "1964 answers of 1000 pairs, to be judged by the rubric of SA" in captured.out
    assert "1964 of 1964 answers have no question" in captured.err
    written = json.loads((tmp_path / "answers.json").read_text())

    def texts(parts):  # of an item or of a published response: what tells answers of one system apart
        pairs = ([part["text"] if isinstance(part, dict) else part[1] if part[0] == "text" else None] for part in parts)
        return json.dumps(list(pairs))

    won = {}
    for row in rows:
        for side, letter in (("response_a", "A"), ("response_b", "B")):
            key = row[side]["model_name"], texts(row[side]["response_content"])
            won.setdefault(key, []).append(row["chosen"] == letter)
    score_of = {key: 6 if all(some) else 0 if not any(some) else 3 for key, some in won.items()}
    scores = {item["id"]: score_of[item["model"], texts(item["answer"])] for item in written}
    right = 0.0
    for row in rows:
        a, b = (score_of[row[side]["model_name"], texts(row[side]["response_content"])]
                for side in ("response_a", "response_b"))  # fmt: skip
        right += 0.5 if a == b else float((a > b) == (row["chosen"] == "A"))
    replay = feedback(tmp_path / "feedback.jsonl", scores)
    answers = tmp_path / "answers.json"
    assert mmjudge("score", answers, "--benchmark", "mmie", "--judge", f"replay:{replay}", "--out", tmp_path / "o") == 0
    published = {row["id"]: {"forward": [{"judgement": "A"}], "reverse": [{"judgement": "B"}]} for row in rows}
    (tmp_path / "always_a.json").write_text(json.dumps(published))
    words = (f"mine={tmp_path / 'o'}", tmp_path / "always_a.json", "--resamples", 100, "--out", tmp_path / "agreed")
    assert mmjudge("agree", "--pairs", RELEASED, *words) == 0
    content = json.loads((tmp_path / "agreed" / "preferences.json").read_text())
    assert content["judges"]["mine"]["accuracy"]["value"] == pytest.approx(right / 10)
    assert content["judges"]["mine"]["accuracy"]["n"] == 1000
    always = content["pairwise"]["always_a"]
    assert (always["accuracy"]["value"], always["accuracy"]["n"]) == (pytest.approx(57.5), 2000)
    assert content["baselines"]["first"]["accuracy"]["value"] == pytest.approx(57.5)
    assert content["baselines"]["pictures"]["accuracy"]["value"] == pytest.approx(53.2)
    assert always["consistency"]["value"] == 100.0
    by_source = content["judges"]["mine"]["by"]["source"]
    assert {name: one["n"] for name, one in by_source.items()} == {
        "chameleon": 284, "interleavedeval": 267, "isgbench": 421, "mmmg": 28,
    }  # fmt: skip
