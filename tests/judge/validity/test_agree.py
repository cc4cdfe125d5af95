"""`mmjudge agree` from files to table and agreement.json, on scores whose agreement is known."""

import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from folders import ROOT
from scipy import stats

from judge import cli
from judge.core.verdict import Verdict
from judge.results.run_folder import read_run
from judge.validity.agreement import measure_agreement
from judge.validity.agreement_report import report_agreement
from judge.validity.baselines import constant_baseline
from judge.validity.pairing import JudgeVerdicts, Pair

SIGNATURE = "benchmark:mmie|judge:O/J@9e8d|dtype:float32"
CATEGORIES = ("SA", "PBL", "MSR")


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def folder(path, scores, signature=SIGNATURE, probs=None):
    """A results folder. scores: id → score or the reason that there is none."""
    verdicts = [
        Verdict(name, "judge", score, None, name.partition("-")[0], score_probs=probs)
        if isinstance(score, int)
        else Verdict(name, "judge", None, score, name.partition("-")[0])
        for name, score in scores.items()
    ]
    write(path / "verdicts.jsonl", [verdict.to_json() for verdict in verdicts])
    result = {"benchmark": "mmie", "signature": signature, "n": len(verdicts), "metrics": {}, "categories": {}}
    unscored = sum(verdict.score is None for verdict in verdicts)
    result["unscored"] = {"n": unscored, "rate": unscored / len(verdicts)}
    result["dataset"] = {"repo": "O/R", "revision": "1f", "edition": "v1"}
    (path / "results.json").write_text(json.dumps(result))
    return path


def people(name, model="m", response="some words", **scores):
    return [
        {"id": name, "model": model, "annotator": who, "score": score, "response": response}
        for who, score in scores.items()
    ]


@pytest.fixture
def known(tmp_path):
    """60 questions answered by two models, scored by three people; the judge is people's mean and an error."""
    rng = np.random.default_rng(11)
    rows, judged = [], {"m": {}, "n": {}}
    for number in range(60):
        name = f"{CATEGORIES[number % 3]}-{number}"
        for model in judged:
            good = int(rng.integers(0, 7))
            given = {who: int(np.clip(good + rng.integers(-1, 2), 0, 6)) for who in "abc"}
            judged[model][name] = int(np.clip(good + rng.integers(-2, 3), 0, 6))
            text = " ".join(["word"] * int(rng.integers(1, 40)))
            rows += people(name, model, text, **given)
    return write(tmp_path / "humans.jsonl", rows), {m: folder(tmp_path / "out" / m, s) for m, s in judged.items()}


def mmjudge(*arguments):
    return cli.main(["agree", *map(str, arguments)])


def read(out):
    return json.loads((out / "agreement.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_everything_is_the_pairs_and_their_coefficients(known, tmp_path, capsys):
    humans, folders = known
    assert mmjudge(tmp_path / "out", humans, "--out", tmp_path / "agreement") == 0
    found = read(tmp_path / "agreement")
    assert (found["n"], found["questions"], found["models"], found["annotators"]) == (120, 60, 2, 3)
    assert found["signature"] == SIGNATURE

    # the same once more, by hand
    rows = [json.loads(line) for line in humans.read_text().splitlines()]
    given = {
        (row["id"], model): row["score"]
        for model, where in folders.items()
        for row in map(json.loads, (where / "verdicts.jsonl").read_text().splitlines())
    }
    means: dict = {}
    for row in rows:
        means.setdefault((row["id"], row["model"]), []).append(row["score"])
    keys = list(means)
    one, other = [given[key] for key in keys], [sum(means[key]) / 3 for key in keys]
    assert found["overall"]["pearson"]["value"] == pytest.approx(stats.pearsonr(one, other)[0])
    expected = measure_agreement(one, other, [key[0] for key in keys])
    assert found["overall"] == {name: estimate.to_json() for name, estimate in expected.items()}
    for label, group in (("categories", 0), ("models_under_test", 1)):
        for name, coefficients in found[label].items():
            some = [key for key in keys if key[group].partition("-")[0] == name]
            assert coefficients["spearman"]["value"] == pytest.approx(
                stats.spearmanr([given[key] for key in some], [sum(means[key]) / 3 for key in some])[0]
            )
            assert coefficients["spearman"]["n"] == len(some)
    assert set(found["categories"]) == set(CATEGORIES)
    out = capsys.readouterr().out
    assert "120 answers to 60 questions, 2 models under test, 3 annotators" in out
    assert f"signature: {SIGNATURE}" in out
    assert all(len(line) <= 120 for line in out.splitlines() if "agreement.json" not in line)


def test_the_same_command_gives_the_same_bytes(known, tmp_path):
    humans, _ = known
    for out in ("one", "two"):
        mmjudge(tmp_path / "out", humans, "--out", tmp_path / out)
    assert (tmp_path / "one" / "agreement.json").read_bytes() == (tmp_path / "two" / "agreement.json").read_bytes()
    mmjudge(tmp_path / "out", humans, "--out", tmp_path / "three", "--seed", 1, "--resamples", 500)
    third = read(tmp_path / "three")
    assert (third["resampling"]["seed"], third["resampling"]["resamples"]) == (1, 500)
    assert third["overall"]["pearson"]["ci_low"] != read(tmp_path / "one")["overall"]["pearson"]["ci_low"]


def test_people_among_themselves(known, tmp_path):
    humans, _ = known
    mmjudge(tmp_path / "out", humans, "--out", tmp_path / "agreement")
    found = read(tmp_path / "agreement")["people"]
    rows = [json.loads(line) for line in humans.read_text().splitlines()]
    scores: dict = {}
    for row in rows:
        scores.setdefault((row["id"], row["model"]), {})[row["annotator"]] = row["score"]
    assert found["answers"] == 120
    assert found["one"]["pearson"]["n"] == 360
    of_a = [(s["a"], (s["b"] + s["c"]) / 2) for s in scores.values()]
    assert found["annotators"]["a"]["pearson"]["value"] == pytest.approx(stats.pearsonr(*zip(*of_a, strict=True))[0])
    # three ratings with errors of -1, 0, 1 about scores spread over 0 to 6: nearly one, not quite
    assert 0.7 < found["reliability"]["alpha_interval"]["value"] < 0.95
    assert found["reliability"]["icc_a1"]["value"] == pytest.approx(
        found["reliability"]["alpha_interval"]["value"], abs=0.02
    )
    # the judge errs twice as far as a person: less correlation, more squared error, and shown to
    assert found["judge_minus_one"]["pearson"]["ci_high"] < 0
    assert found["judge_minus_one"]["mse"]["ci_low"] > 0


def test_baselines_and_other_judges_on_the_same_answers(known, tmp_path, capsys):
    humans, folders = known
    rng = np.random.default_rng(12)
    for model, where in folders.items():
        names = [json.loads(line)["id"] for line in (where / "verdicts.jsonl").read_text().splitlines()]
        # one answer in six has no score by the base
        folder(
            tmp_path / "base" / model,
            {name: int(rng.integers(0, 7)) if n % 6 else "no_score_line" for n, name in enumerate(names)},
            signature=SIGNATURE.replace("O/J", "O/Base"),
        )
    mmjudge(
        *(f"{m}={where}" for m, where in folders.items()), humans,
        "--beside", f"base=m={tmp_path / 'base' / 'm'}", "--beside", f"base=n={tmp_path / 'base' / 'n'}",
        "--beside", f"itself={tmp_path / 'out'}", "--out", tmp_path / "agreement",
    )  # fmt: skip
    found = read(tmp_path / "agreement")
    assert list(found["beside"]) == ["base", "itself", "constant", "words"]
    base, constant, words = (found["beside"][name] for name in ("base", "constant", "words"))
    assert base["signature"] == SIGNATURE.replace("O/J", "O/Base")
    assert base["coefficients"]["pearson"]["n"] == 100
    assert base["judge_minus_it"]["pearson"]["n"] == 100
    assert base["judge_minus_it"]["pearson"]["ci_low"] > 0
    itself = found["beside"]["itself"]
    assert itself["coefficients"] == found["overall"]
    assert itself["judge_minus_it"]["pearson"] == {"value": 0, "ci_low": None, "ci_high": None, "n": 120}

    # a constant has no correlation, and a cosine near that of a judge
    assert constant["coefficients"]["pearson"] == {"value": None, "ci_low": None, "ci_high": None, "n": 120}
    assert constant["coefficients"]["bias"]["value"] == pytest.approx(0, abs=1e-12)
    assert constant["coefficients"]["cosine"]["value"] > 0.8
    # words are no score: only association means something
    assert set(words["coefficients"]) == {"pearson", "spearman", "kendall_b"} == set(words["judge_minus_it"])
    assert words["scale"] == "other"

    said = " ".join(found["findings"])
    assert "Cosine is high by construction" in said
    assert f"{constant['coefficients']['cosine']['value']:.3f} for a constant" in said
    assert "The judge has higher correlation (Pearson) than 'base': +" in said
    assert "The judge has HIGHER squared error than the human ceiling" in said
    out = " ".join(capsys.readouterr().out.split())
    for sentence in found["findings"]:
        assert sentence in out


def crossed(tmp_path, given):
    """70 answers, every one of people's seven scores with every one of the five in `given`, twice."""
    names = [f"SA-{n}" for n in range(70)]
    humans = write(tmp_path / "h.jsonl", [row for n, name in enumerate(names) for row in people(name, a=n % 7)])
    return humans, folder(tmp_path / "out", {name: given(n % 7, n // 7 % 5) for n, name in enumerate(names)})


def test_an_interval_that_includes_zero_is_said_in_words(tmp_path, capsys):
    humans, out = crossed(tmp_path, lambda score, other: other + 2)  # independent: every correlation is 0
    mmjudge(out, humans)
    out = capsys.readouterr().out
    said = " ".join(out.split())
    names = "Pearson, Spearman, Kendall-b, kappa, alpha and ICC"
    assert f"By {names}, agreement with people is not shown to differ from chance" in said
    assert "0.00 [-0.2" in next(line for line in out.splitlines() if line.startswith("pearson"))
    assert "]°" in next(line for line in out.splitlines() if line.startswith("pearson"))
    assert "]°" not in next(line for line in out.splitlines() if line.startswith("cosine"))


def test_a_judge_that_turns_people_round_is_said_to(tmp_path, capsys):
    humans, out = crossed(tmp_path, lambda score, other: max(0, min(6, 7 - score + (other - 2) // 2)))
    mmjudge(out, humans)
    said = " ".join(capsys.readouterr().out.split())
    assert "kappa, alpha and ICC, the judge disagrees with people more than chance would (n 70)" in said
    assert "not shown to differ from chance" not in said


def test_a_constant_judge_has_null_and_never_nan(tmp_path, capsys):
    names = [f"SA-{n}" for n in range(12)]
    humans = write(tmp_path / "h.jsonl", [row for n, name in enumerate(names) for row in people(name, a=n % 7)])
    mmjudge(folder(tmp_path / "out", dict.fromkeys(names, 4)), humans, "--out", tmp_path / "a")
    found = read(tmp_path / "a")
    assert found["overall"]["pearson"] == {"value": None, "ci_low": None, "ci_high": None, "n": 12}
    assert any("Undefined, because one side's scores are all alike: Pearson" in said for said in found["findings"])
    assert any("Only 12 questions" in said for said in found["findings"])
    assert "nan" not in capsys.readouterr().out.lower()


def test_a_category_with_one_score_for_all_is_named(tmp_path):
    scores = {f"{category}-{n}": n % 5 if category == "SA" else 0 for category in ("SA", "MSR") for n in range(10)}
    rows = [row for n, name in enumerate(scores) for row in people(name, a=n % 7)]
    mmjudge(folder(tmp_path / "out", scores), write(tmp_path / "h.jsonl", rows), "--out", tmp_path / "a")
    found = read(tmp_path / "a")
    assert found["categories"]["MSR"]["pearson"] == {"value": None, "ci_low": None, "ci_high": None, "n": 10}
    assert "Pearson is undefined for category MSR: one side's scores are all alike." in found["findings"]


def test_the_expected_score_has_a_row_where_every_verdict_has_it(tmp_path):
    names = [f"SA-{n}" for n in range(10)]
    humans = write(tmp_path / "h.jsonl", [row for n, name in enumerate(names) for row in people(name, a=n % 7)])
    probs = (0.5, 0.25, 0.25, 0, 0, 0, 0)
    mmjudge(folder(tmp_path / "out", dict.fromkeys(names, 1), probs=probs), humans, "--out", tmp_path / "a")
    expected = read(tmp_path / "a")["beside"]["expected"]["coefficients"]
    # 0.25 + 2 · 0.25 = 0.75 for all; people's mean is (0+…+6+0+1+2)/10 = 2.4
    assert expected["bias"]["value"] == pytest.approx(0.75 - 2.4)


def test_what_was_left_out_is_counted_and_named(tmp_path, capsys):
    rows = [row for n in range(6) for row in people(f"SA-{n}", a=n)]
    scores = {"SA-0": 0, "SA-1": 2, "SA-2": "truncated", "SA-3": "no_score_line", "SA-9": 4}
    mmjudge(folder(tmp_path / "out", scores), write(tmp_path / "h.jsonl", rows), "--out", tmp_path / "a")
    left = read(tmp_path / "a")["left_out"]
    assert left["unscored"]["reasons"] == {"truncated": 1, "no_score_line": 1}
    assert [one["id"] for one in left["without_verdict"]["answers"]] == ["SA-4", "SA-5"]
    assert left["without_human_score"]["n"] == 1
    out = capsys.readouterr().out
    assert "2 answers unscored by the judge (1 truncated, 1 no_score_line): SA-2 of m, SA-3 of m" in out
    assert "2 without a verdict: SA-4 of m, SA-5 of m; 1 without a human score" in out


def test_without_answers_there_is_no_length(tmp_path):
    rows = [{"id": f"SA-{n}", "score": n} for n in range(6)]
    mmjudge(
        folder(tmp_path / "out", {f"SA-{n}": n for n in range(6)}),
        write(tmp_path / "h.jsonl", rows), "--out", tmp_path / "a",
    )  # fmt: skip
    found = read(tmp_path / "a")
    assert list(found["beside"]) == ["constant"]
    assert found["people"] is None
    assert found["overall"]["pearson"]["value"] == pytest.approx(1)
    assert found["overall"]["pearson"]["ci_low"] is None  # every resample says 1: no interval is made up
    assert found["overall"]["mse"]["value"] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{out}", "{humans}", "--beside", "{out}"], "has no name"),
        (["{out}", "{humans}", "--beside", "constant={out}"], "is the name of a row of its own"),
        (["{strangers}", "{humans}"], "no answer has both a score by people and one by the judge"),
        (["x={out}", "{humans}"], "nobody scored answers of 'x'"),
        (["{out}", "{out}/nothing.jsonl"], "cannot be read"),
    ],
)
def test_errors_name_what_to_mend(tmp_path, capsys, arguments, problem):
    paths = {
        "out": folder(tmp_path / "out", {"SA-1": 3, "SA-2": 4}),
        "strangers": folder(tmp_path / "strangers", {"SA-7": 3}),
        "humans": write(tmp_path / "h.jsonl", people("SA-1", a=3) + people("SA-2", a=5)),
    }
    assert mmjudge(*(word.format(**paths) for word in arguments)) == 2
    err = capsys.readouterr().err
    assert problem in err
    assert "Traceback" not in err


def test_nothing_of_a_result_depends_on_the_order_of_lines(known, tmp_path):
    humans, _ = known
    lines = humans.read_text().splitlines()
    (tmp_path / "turned").mkdir()
    turned = tmp_path / "turned" / "humans.jsonl"
    turned.write_text("\n".join(lines[::-1]) + "\n")
    for name, file in (("one", humans), ("two", turned)):
        mmjudge(tmp_path / "out", file, "--out", tmp_path / name)
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    for part in ("overall", "categories", "models_under_test", "beside", "findings"):
        assert one[part] == two[part]


def test_the_document_shows_how_to_report_from_python(tmp_path, monkeypatch, capsys):
    rows = [row for n in range(12) for row in people(f"SA-{n}", "anole", a=n % 7)]
    write(tmp_path / "humans.jsonl", rows)
    folder(tmp_path / "out" / "anole", {f"SA-{n}": (n + n % 2) % 7 for n in range(12)})
    document = (ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
    snippet = re.search(r"# From Python\n\n<!-- blocks: .*? -->\n\n```python\n(.*?)```", document, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(snippet[1], "docs/agreement.md", "exec"), names)
    printed = capsys.readouterr().out

    assert mmjudge("out/anole", "humans.jsonl", "--out", "agreement") == 0
    command = read(tmp_path / "agreement")
    assert names["report"] == {name: value for name, value in command.items() if name not in ("humans", "versions")}
    assert printed.splitlines()[1:] == command["findings"]

    # the same from what a run holds in memory
    run = read_run("out/anole")
    assert report_agreement(JudgeVerdicts({"anole": run.verdicts}, run.signature), names["humans"]) == names["report"]


def test_no_pairs_at_all_is_a_content_without_numbers():
    content = report_agreement(JudgeVerdicts({}), [])
    assert content["n"] == 0
    assert content["overall"]["pearson"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    assert content["findings"] == []


def test_the_constant_is_the_best_of_constants():
    pairs = [Pair(f"q{n}", "m", "", 3, None, {"a": score}) for n, score in enumerate([0, 2, 5, 6])]
    (value,) = set(constant_baseline(pairs).values.values())
    errors = {other: sum((other - pair.human) ** 2 for pair in pairs) for other in (value, value - 0.1, value + 0.1)}
    assert min(errors, key=errors.get) == value
    assert math.isclose(value, 13 / 4)


def test_agreeing_needs_no_torch(known, tmp_path):
    humans, _ = known
    code = (
        "import sys\nfrom judge import cli\n"
        f"assert cli.main(['agree', {str(tmp_path / 'out')!r}, {str(humans)!r}]) == 0\n"
        "assert not {'torch', 'transformers', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
