"""`mmjudge ablate` with a judge that does exactly what the rubric says: every change can be counted by hand."""

import dataclasses
import json

import pytest
from toy import Toy

from judge import cli
from judge.commands import ablate, options
from judge.core.request import Text
from judge.core.rubric import Literal, Rubric
from judge.core.verdict import Verdict
from judge.engines import Completion
from judge.errors import UserError
from judge.io.verdicts import read_verdicts
from judge.validity.ablation import rubric_variants
from judge.validity.ablation_report import rank_changes, report_criterion, state_findings
from judge.validity.agreement import measure_agreement
from judge.validity.resampling import Resampling
from mmie_tasks.demo import demo_dir, judge_dir

LIST = "Weigh:\n1. Text quality: words.\n2. {}: more words.\nGive one integer.\n"
RUBRIC = Rubric(
    "own",
    {
        "A": LIST.format("Wit") + "{question}\n### Answer\n{answer}### Feedback\n",
        "B": LIST.format("Reason") + "{question}\n### Answer\n{answer}### Feedback\n",
    },
)


class Two(Toy):
    """Ids begin with their category, A or B; an empty answer is unscored by rule."""

    def __init__(self):
        super().__init__(name="two", categories=("A", "B"))

    def assess(self, answers, dataset, profile, **how):
        found = super().assess(answers, dataset, profile, **how)
        return [dataclasses.replace(one, category=one.id[0]) for one in found]

    def rubric(self, name):
        return RUBRIC if name == "mmjudge" else Rubric(name, {"A": "Grade.\n{question}", "B": "Grade.\n{question}"})


class Literally:
    """A point for every criterion of the rubric that the answer names, or no score line at all."""

    reads = True

    def __init__(self):
        self.asked = []

    @property
    def identity(self):
        return {"judge": "toy/literal"}

    def complete(self, prompts):
        for number, prompt in enumerate(prompts):
            rubric = "".join(piece.text for piece in prompt.pieces if isinstance(piece, Literal))
            answer = " ".join(piece.text for piece in prompt.pieces if isinstance(piece, Text))
            self.asked.append((prompt.request.id, answer))
            points = sum(f". {name}:" in rubric for name in ("Text quality", "Wit", "Reason") if name in answer)
            mute = "mute without Wit" in answer and ". Wit:" not in rubric
            yield number, Completion("Hm." if mute else f"### Feedback\nRead.\n### Score\n{points}")


@pytest.fixture
def engine(monkeypatch):
    engine = Literally()
    monkeypatch.setattr(options, "find", lambda name: Two())
    monkeypatch.setattr(options, "names", lambda: ["two"])
    monkeypatch.setattr(ablate, "check_engine", lambda judge, how: None)
    monkeypatch.setattr(ablate, "_engine", lambda judge, args: engine)
    return engine


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def mmjudge(*arguments):
    return cli.main(["ablate", *map(str, arguments), "--judge", "toy/literal", "--rubric", "mmjudge"])


@pytest.fixture
def files(tmp_path):
    """Ten questions of each category, two systems: one writes well, the other has wit and reason, and half the text."""
    texts = {
        "scribe": lambda name, n: f"{name}: Text quality.",
        "thinker": lambda name, n: (
            f"{name}: {'Wit' if name[0] == 'A' else 'Reason'}. {'Text quality.' if n % 2 else ''}"
        ),
    }
    files = {}
    for model, text in texts.items():
        rows = [{"id": f"{category}{n}", "response": text(f"{category}{n}", n)} for category in "AB" for n in range(10)]
        files[model] = write(tmp_path / f"{model}.jsonl", rows)
    return files


def run(files, tmp_path, *more):
    assert mmjudge(*(f"{model}={file}" for model, file in files.items()), "--out", tmp_path / "out", *more) == 0
    return json.loads((tmp_path / "out" / "ablation.json").read_text(), parse_constant=pytest.fail)


def test_what_a_criterion_gave_is_lost_without_it(engine, files, tmp_path, capsys):
    found = run(files, tmp_path)
    criteria = found["criteria"]
    assert list(criteria) == ["Text quality", "Wit", "Reason"]
    assert [entry["categories"] for entry in criteria.values()] == [["A", "B"], ["A"], ["B"]]
    # whole: scribe 1 for all, thinker 1 and 2 in turn: 1.25. Text quality gave 20 + 10 points to 40 answers
    score = criteria["Text quality"]["score"]
    assert (score["whole"], score["without"]) == (1.25, 0.5)
    assert score["change"]["value"] == -0.75
    assert score["change"]["n"] == 40
    assert score["moved"]["value"] == 0.75
    # the odd questions lose a point with both systems, the even ones with one: -1 or -0.5 a question, of 20
    assert -1 < score["change"]["ci_low"] < -0.75 < score["change"]["ci_high"] < -0.5
    # wit gave a point to the thinker's 10 answers of A, of 20
    assert criteria["Wit"]["score"]["change"]["value"] == -0.5
    assert criteria["Wit"]["n"] == 20
    assert criteria["Wit"]["score"]["change"]["ci_low"] is None  # every question loses half a point: nothing varies
    assert criteria["Wit"]["agreement"] is None
    assert (
        "Without these the score changes, but no interval can be given: Wit (-0.50), Reason (-0.50)."
        in found["findings"]
    )
    out = capsys.readouterr().out
    assert "Text quality                 A, B            40    1.25  -0.75 [-0.85, -0.65]   0.75" in out
    assert found["signature"] in out


def test_the_order_of_systems_in_each_category(engine, files, tmp_path):
    criteria = run(files, tmp_path)["criteria"]
    for category in "AB":
        found = criteria["Text quality"]["ranks"][category]
        # whole: 1 and 1.5; without text quality 0 and 1
        assert found["scribe"]["whole"] == {"mean": 1.0, "rank": 2.0}
        assert found["thinker"]["without"] == {"mean": 1.0, "rank": 1.0}
        assert found["thinker"]["change"] == pytest.approx({"value": 0, "ci_low": 0, "ci_high": 0, "n": 10}, abs=0.5)
    swapped = criteria["Wit"]["ranks"]
    assert list(swapped) == ["A"]
    # without wit the scribe's 1 is above the thinker's 0.5, in every resample but those of odd questions alone
    assert swapped["A"]["scribe"]["change"] == {"value": -1, "ci_low": -1, "ci_high": -1, "n": 10}
    assert swapped["A"]["thinker"]["change"] == {"value": 1, "ci_low": 1, "ci_high": 1, "n": 10}
    sentences = state_findings(criteria)
    assert "Without Wit, ranks change in A: scribe 2 → 1, thinker 1 → 2." in sentences
    assert not any("Without Text quality, ranks" in sentence for sentence in sentences)


def test_agreement_changes_where_people_go_by_a_criterion(engine, files, tmp_path, capsys):
    # people go by wit alone in A, and score nothing of B
    rows = [
        {"id": f"A{n}", "model": model, "annotator": "a", "score": 5 * (model == "thinker") + n % 2}
        for model in files
        for n in range(10)
    ]
    humans = write(tmp_path / "humans.jsonl", rows)
    found = run(files, tmp_path, "--humans", humans)
    assert found["with_human_score"] == 20
    wit = found["criteria"]["Wit"]["agreement"]["pearson"]
    human = [row["score"] for row in rows]
    whole = [1] * 10 + [1 + n % 2 for n in range(10)]
    without = [1] * 10 + [n % 2 for n in range(10)]
    questions = [row["id"] for row in rows]
    assert wit["whole"] == measure_agreement(whole, human, questions)["pearson"].to_json()
    assert wit["without"] == measure_agreement(without, human, questions)["pearson"].to_json()
    assert wit["change"]["value"] == pytest.approx(wit["without"]["value"] - wit["whole"]["value"])
    assert wit["change"]["ci_high"] < 0
    # nobody scored answers of B: nothing to say about its own criterion
    reason = found["criteria"]["Reason"]["agreement"]["pearson"]
    assert reason["change"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    assert any(
        sentences.startswith("Without these the correlation with people (Pearson) changes:") and "Wit (-" in sentences
        for sentences in found["findings"]
    )
    assert "Pearson" in capsys.readouterr().out


def test_only_what_a_variant_changes_is_judged_again(engine, files, tmp_path):
    found = run(files, tmp_path)
    # whole 2 · 20, without text quality again, without wit and reason the half
    assert len(engine.asked) == 40 + 40 + 20 + 20
    folders = sorted(path.parent.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("results.json"))
    assert [str(path) for path in folders] == [
        f"own{variant}/{model}"
        for variant in ("", "-without-reason", "-without-text-quality", "-without-wit")
        for model in ("scribe", "thinker")
    ]
    signatures = {
        json.loads((tmp_path / "out" / folder / "results.json").read_text())["signature"] for folder in folders
    }
    assert len(signatures) == 4  # one a variant, the same for both systems
    assert found["signature"] in signatures
    rejudged = read_verdicts(tmp_path / "out/own-without-wit/scribe/verdicts.jsonl")
    assert sorted(verdict.id for verdict in rejudged) == [f"A{n}" for n in range(10)]


def test_an_interrupted_run_goes_on(engine, files, tmp_path, capsys):
    complete = engine.complete
    left = 57

    def dying(prompts):
        nonlocal left
        for one in complete(prompts):
            if not left:
                raise KeyboardInterrupt
            left -= 1
            yield one

    engine.complete = dying
    arguments = [*(f"{model}={file}" for model, file in files.items()), "--out", tmp_path / "out"]
    assert mmjudge(*arguments) == 130
    assert not (tmp_path / "out" / "ablation.json").exists()
    engine.complete, engine.asked = complete, []
    first = run(files, tmp_path)
    assert len(engine.asked) == 120 - 57
    engine.asked = []
    assert run(files, tmp_path) == first
    assert engine.asked == []


def test_one_criterion_of_one_file_without_a_name(engine, files, tmp_path, capsys):
    assert mmjudge(files["thinker"], "--out", tmp_path / "out", "--criterion", "Reason") == 0
    found = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert list(found["criteria"]) == ["Reason"]
    assert found["models"] == ["thinker"]
    assert found["criteria"]["Reason"]["ranks"] is None  # one system has no rank


def test_unscored_answers_are_counted_on_both_sides_and_left_out(engine, tmp_path, capsys):
    rows = [
        {"id": "A0", "response": "Wit. Text quality."},
        {"id": "A1", "response": "mute without Wit"},
        {"id": "A2", "response": ""},
        {"id": "B0", "response": "Reason."},
    ]
    found = run({"m": write(tmp_path / "m.jsonl", rows)}, tmp_path)["criteria"]["Wit"]
    assert found["unscored"] == {"whole": 1, "without": 2}
    assert (found["n"], found["score"]["whole"], found["score"]["without"]) == (1, 2, 1)
    assert "left out, unscored: 1 by the whole rubric, 2 without Wit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{scribe}", "--rubric", "official"], "the rubric 'official' does not number its criteria"),
        (["{scribe}", "--criterion", "Beauty"], "no criterion 'Beauty'"),
        (["{scribe}", "--judge", "replay:x"], "a replay repeats what was said"),
        (["{scribe}", "--tokenizer", "x"], "--tokenizer means nothing here: a judge that runs here brings its own"),
        (["{scribe}", "--judge", "http://a/v1", "--device", "cpu"], "--device means nothing here"),
        (["m={scribe}", "m={thinker}"], "a second file of answers of 'm'"),
        (["a/b={scribe}", "a_b={thinker}"], "make the same folder"),
        (["o={scribe}", "--humans", "{humans}"], "nobody scored answers of 'o'; people scored: scribe"),
        (["scribe={scribe}", "--humans", "{strange}"], "no answer in it has a score by the judge"),
    ],
)
def test_errors_name_what_to_mend(engine, files, tmp_path, capsys, arguments, problem):
    humans = write(tmp_path / "humans.jsonl", [{"id": "A1", "model": "scribe", "score": 3}])
    strange = write(tmp_path / "strange.jsonl", [{"id": "Z1", "model": "scribe", "score": 3}])
    words = [word.format(**files, humans=humans, strange=strange) for word in arguments]
    judge = [] if "--judge" in words else ["--judge", "toy/literal"]
    assert cli.main(["ablate", "--rubric", "mmjudge", *judge, "--out", str(tmp_path / "out"), *words]) == 2
    assert problem in capsys.readouterr().err


def test_a_rubric_that_does_not_number_its_criteria_names_one_that_does():
    with pytest.raises(UserError, match="--rubric mmjudge"):
        rubric_variants(Rubric("official", {"A": "Grade.\n{question}"}), ["A"])


def test_equal_means_share_a_rank_and_absent_systems_have_none():
    table = {
        "a": {"q1": (3, 3), "q2": (3, 1)},
        "b": {"q1": (2, 0), "q2": (4, 6)},
        "c": {"q1": (1, 2)},
        "none": {},
    }
    found = rank_changes(table, Resampling(500))
    assert {model: one["whole"]["rank"] for model, one in found.items()} == {"a": 1.5, "b": 1.5, "c": 3, "none": None}
    assert {model: one["without"]["rank"] for model, one in found.items()} == {"a": 2.5, "b": 1, "c": 2.5, "none": None}
    assert found["a"]["change"]["value"] == 1
    # half of the resamples of two questions have q2 twice or q1 twice; one in four lacks c altogether
    assert found["c"]["change"]["ci_low"] is None
    assert found["none"]["change"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}


def test_nothing_scored_is_null():
    unscored = {"m": [Verdict("A1", "judge", None, "truncated", "A")]}
    found = report_criterion(unscored, unscored, {}, ["A"])
    assert found["score"]["whole"] is None
    assert found["score"]["change"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    assert state_findings({"Wit": found}) == []


def test_the_bundled_judge_under_a_rubric_with_a_criterion_less(tmp_path, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    records = json.loads((demo_dir() / "data.json").read_text())
    rows = [
        {"id": record["id"], "response": record["conversations"][1]["content"]}
        for record in records
        if record["id"].startswith("SA")
    ][:2]
    file = write(tmp_path / "responses.jsonl", rows)
    code = cli.main(
        ["ablate", str(file), "--judge", str(judge_dir()), "--data", str(demo_dir()), "--image-root", str(demo_dir()),
         "--device", "cpu", "--criterion", "Innovation", "--out", str(tmp_path / "out")]
    )  # fmt: skip
    assert code == 0
    whole, without = (  # in the order they were done
        {
            verdict.id: verdict.score
            for verdict in read_verdicts(tmp_path / "out" / f"mmjudge{variant}" / "responses" / "verdicts.jsonl")
        }
        for variant in ("", "-without-innovation")
    )
    assert set(whole) == set(without) == {row["id"] for row in rows}
    found = json.loads((tmp_path / "out" / "ablation.json").read_text())["criteria"]["Innovation"]
    assert found["categories"] == ["SA"]
    scored = [(whole[name], without[name]) for name in whole if None not in (whole[name], without[name])]
    assert found["n"] == len(scored)
    assert scored
    assert found["score"]["change"]["value"] == pytest.approx(sum(b - a for a, b in scored) / len(scored))
