"""Results folders that were damaged, by accident or on purpose: refused in one error, or the numbers are the same.

Some mutants of a folder of each benchmark in every run; `FUZZ_MUTANTS=2000` makes so many of each.
"""

from __future__ import annotations

import collections
import importlib.util
import json
import os
import random as random_numbers
import shutil

import pytest
from mutants import damage_bytes, damage_json, mutants, no_hang, replace_file

from judge import cli
from judge.commands.compare import comparison_text
from judge.core.benchmark import Source, find
from judge.core.request import Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import samples
from judge.io.samples import Sample
from judge.publish import details, entries, ready
from judge.report.build import build_report
from judge.results.compare import compare
from judge.results.result import build_result
from judge.results.run_folder import RunFolder, read_run
from mmvu_tasks.categories import CATEGORIES

DRAWS = importlib.util.find_spec("matplotlib") is not None
"""Whether reports can be drawn here (the extra `report`); without it, all else is tried."""
PROBS = (0.0, 0.0, 0.05, 0.1, 0.7, 0.15, 0.0)


def mmie_verdicts(random):
    """12 answers: ten scored, one unscored, one the model failed at."""
    made = []
    for number in range(12):
        category = ("SA", "PBL", "MSR")[number % 3]
        named = {"id": f"{category}-{number}", "by": "judge", "category": category, "key": f"{number:064x}"}
        if number == 5:
            made.append(Verdict(**named, score=None, unscored="truncated", feedback="…"))
        elif number == 7:
            made.append(Verdict(**named, score=0, failure="empty_answer"))
        else:
            said = {"feedback": "Fine.\n### Score\n4", "score_probs": PROBS, "details": {"field": "Art"}}
            made.append(Verdict(**named, score=random.randrange(7), **said))
    return made


def mmvu_verdicts(random):
    """12 pairs, one of them with an unscored half."""
    made = []
    for pair, category in enumerate(CATEGORIES):
        for kind in ("POS", "NEG"):
            score = None if len(made) == 9 else random.randrange(2)
            told = {"type": kind, "level": category.level, "letter": "B", "score_reference": score}
            reason = "call_failed" if score is None else None
            name = f"{category.key}/{pair:02}"
            made.append(Verdict(name, "rule", score, reason, category.name, len(made), details=told))
    return made


def write(folder, name, seed):
    """A finished results folder."""
    benchmark = find(name)
    random = random_numbers.Random(seed)
    verdicts = mmie_verdicts(random) if name == "mmie" else mmvu_verdicts(random)
    source = Source(benchmark.repo, "local:0123456789ab", "v1")
    signature = Signature({"benchmark": name, "edition": "v1", "data": "local:0123456789ab", "profile": "strict"})
    folder.mkdir()
    RunFolder(folder).write_verdicts(verdicts)
    said = [Sample(v.id, v.index, v.category, (Text("Why?"),), (Text("So."),), "B") for v in verdicts]
    samples.write_samples(folder, said)
    RunFolder(folder).write_results(build_result(benchmark, verdicts, None, source, signature))
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    for name in ("mmie", "mmvu"):
        write(root / name, name, 1)
        write(root / f"{name}-whole", name, 2)
    return root


def damage_folder(random, folder):
    """Damage one file of a folder; its name is returned."""
    path = folder / random.choice(["results.json", "results.json", "verdicts.jsonl", "verdicts.jsonl", "samples.jsonl"])
    if random.randrange(12) == 0:
        replace_file(random, path)
        return path.name
    data = path.read_bytes()
    path.unlink()  # it is a link to the base's
    if path.suffix == ".json":
        data = damage_json(random, data.decode()).encode("utf-8", "surrogatepass")
    elif random.randrange(4) == 0:
        data = damage_bytes(random, data)
    else:
        lines = data.decode().splitlines()
        number = random.randrange(len(lines))
        lines[number] = damage_json(random, lines[number])
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    return path.name


def numbers(folder, whole, name):
    """Every number that compare and publish print of the folder, by what it is about."""
    run, other = read_run(folder), read_run(whole)
    benchmark = find(name)
    found = compare(run, other)
    made = {**found.to_json(), "first": None}
    reasons = [reason.name for reason in ready.reasons_against(run, benchmark, 0.05)]
    if not any(reason.startswith("metrics.") for reason in reasons):  # a number that is gone is never published
        entries.build_entries(run, benchmark, None)
    details.detail_files(run, "folder")
    assert comparison_text(run, [found])
    kept = ("n", "metrics", "categories", "unscored", "failures", "bounds", "chance", "no_option")
    return {"compare": made, "reasons": reasons, **{field: run.results.get(field) for field in kept}}


def changed(before, after, where=""):
    """Where a number of `before` is another one in `after`; one that is gone is seen to be gone."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            yield from changed(before[key], after[key], f"{where}.{key}")
    elif isinstance(before, int | float) and isinstance(after, int | float) and abs(before - after) > 1e-6:
        yield where


@pytest.mark.parametrize("name", ["mmie", "mmvu"])
def test_a_damaged_folder_is_refused_or_has_the_same_numbers(bases, tmp_path, name):
    whole = bases / f"{name}-whole"
    before = numbers(bases / name, whole, name)
    outcomes, wrong = collections.Counter(), []
    for seed, random in mutants(60):
        folder = tmp_path / str(seed)
        shutil.copytree(bases / name, folder, copy_function=os.link)
        damaged = damage_folder(random, folder)
        try:
            with no_hang():
                after = numbers(folder, whole, name)
                if DRAWS and seed % 4 == 0:  # drawing takes most of the time
                    assert build_report([str(folder)], folder / "report.html")
        except UserError as error:
            outcomes["refused"] += 1
            if str(folder) not in str(error) and "no benchmark called" not in str(error):
                wrong.append(f"seed {seed}: {damaged}: names no file: {error}")
        except BaseException as error:
            wrong.append(f"seed {seed}: {damaged}: {type(error).__name__}: {str(error)[:200]}")
        else:
            others = list(changed(before, after))
            seen = after["compare"]["only_first"] or after["compare"]["only_second"]
            outcomes["same" if not others else "seen"] += 1
            if others and not seen:
                wrong.append(f"seed {seed}: {damaged}: other numbers: {others[:3]}")
        shutil.rmtree(folder)
    print(name, dict(outcomes), len(wrong))
    assert wrong == []
    assert outcomes["refused"] > 0
    assert outcomes["same"] > 0


def spoil(path, value):
    """A change of results.json: the value at a dotted path."""

    def edit(folder):
        found = json.loads((folder / "results.json").read_text())
        holder, names = found, path.split(".")
        for name in names[:-1]:
            holder = holder[name]
        holder[names[-1]] = value
        (folder / "results.json").write_text(json.dumps(found))

    return edit


def replace(before, after):
    """A change of results.json as text: the first `before` is `after`."""

    def edit(folder):
        text = (folder / "results.json").read_text()
        assert before in text
        (folder / "results.json").write_text(text.replace(before, after, 1))

    return edit


def edit_verdict(**changes):
    """A change of line 3 of verdicts.jsonl; a field called details__NAME is one of its details."""

    def edit(folder):
        rows = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
        for name, value in changes.items():
            first, _, second = name.partition("__")
            rows[2] |= {first: {**rows[2][first], second: value} if second else value}
        (folder / "verdicts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return edit


def triple(folder):
    """A third verdict on one pair."""
    lines = (folder / "verdicts.jsonl").read_text().splitlines()
    lines.append(json.dumps({**json.loads(lines[0]), "index": 99}))
    (folder / "verdicts.jsonl").write_text("".join(f"{line}\n" for line in lines))
    spoil("n", 25)(folder)


NO_RESULT = "results.json: is not a results file: "
NO_VERDICT = "verdicts.jsonl: line 3 is not a verdict: "
DAMAGE = [
    ("mmie", spoil("metrics.score.value", "63"), f"{NO_RESULT}metrics.score.value must be a number or null"),
    ("mmie", spoil("metrics.score.ci_low", "1"), f"{NO_RESULT}metrics.score.ci_low must be a number or null"),
    ("mmie", spoil("metrics.score.ci_low", None), f"{NO_RESULT}metrics.score has a value and no interval"),
    ("mmie", spoil("metrics.score", [1]), f"{NO_RESULT}metrics.score must be an object"),
    ("mmie", spoil("metrics.score", {}), f"{NO_RESULT}metrics.score.value is missing"),
    ("mmie", spoil("metrics.score.value", 1e308), f"{NO_RESULT}metrics.score.value must be a number or null"),
    ("mmie", spoil("metrics.score.n", -1), f"{NO_RESULT}metrics.score.n must be a whole number, 0 or more"),
    ("mmie", spoil("run", {"answers": "x"}), f"{NO_RESULT}run.answers must be an object"),
    ("mmie", spoil("run", {"answers": {"sha256": ["x"]}}), f"{NO_RESULT}run.answers.sha256 must be text"),
    ("mmie", spoil("run", {"model": ["x"]}), f"{NO_RESULT}run.model must be text or null"),
    ("mmie", spoil("run", []), f"{NO_RESULT}run must be an object"),
    ("mmie", spoil("n", -1), f"{NO_RESULT}n must be a whole number, 0 or more"),
    ("mmie", spoil("n", True), f"{NO_RESULT}n must be a whole number, 0 or more"),
    ("mmie", spoil("n", 10**18), f"{NO_RESULT}n must be a whole number, 0 or more"),
    ("mmie", spoil("n", 13), "verdicts.jsonl: 12 questions, but 13 in results.json"),
    ("mmie", spoil("categories.SA", 1), f"{NO_RESULT}categories.SA must be an object"),
    ("mmie", spoil("signature", ""), f"{NO_RESULT}signature has no parts"),
    ("mmie", spoil("signature", ["a:b"]), f"{NO_RESULT}signature must be text"),
    ("mmie", spoil("unscored.rate", 2), f"{NO_RESULT}unscored.rate must be a number from 0 to 1, or null"),
    ("mmie", spoil("unscored.reasons", {"truncated": "1"}), f"{NO_RESULT}unscored.reasons.truncated must be a whole"),
    ("mmie", spoil("dataset", None), f"{NO_RESULT}dataset must be an object"),
    ("mmie", spoil("notes", [1]), f"{NO_RESULT}notes must be a list of texts"),
    ("mmie", spoil("bounds.all", 3), f"{NO_RESULT}bounds.all must be an object"),
    ("mmie", replace('"value": ', '"value": NaN, "v": '), f"{NO_RESULT}NaN is no number of JSON"),
    ("mmie", replace('"value": ', '"value": -Infinity, "v": '), f"{NO_RESULT}-Infinity is no number of JSON"),
    ("mmie", replace('"value": ', '"value": 1e999, "v": '), f"{NO_RESULT}1e999 is too large a number"),
    ("mmie", replace('"n": 12', '"n": 1' + "0" * 5000), f"{NO_RESULT}a number of 5001 digits is too large"),
    ("mmie", replace('"n": 12', '"n": 12, "n": 12'), f"{NO_RESULT}the name 'n' twice in one object"),
    ("mmie", replace('"n": 12', '"n": ' + "[" * 100_000), f"{NO_RESULT}it is nested too deeply"),
    ("mmie", spoil("benchmark", "another"), "no benchmark called 'another'"),
    # whole files whose numbers are not those of the verdicts
    ("mmie", spoil("metrics.score.value", 99.0), "results.json: metrics.score.value is 99.0, but the verdicts give"),
    ("mmie", spoil("metrics.score.ci_high", 99.0), "results.json: metrics.score.ci_high is 99.0, but the verdicts"),
    ("mmie", spoil("categories.SA.score.n", 9), "results.json: categories.SA.score.n is 9, but the verdicts give 4"),
    ("mmie", spoil("unscored.n", 0), "results.json: unscored.n is 0, but the verdicts give 1"),
    ("mmie", spoil("unscored.reasons", {}), "results.json: unscored.reasons names none, but the verdicts give trunc"),
    ("mmie", spoil("bounds.all.unscored_at_0", 1), "results.json: bounds.all.unscored_at_0 is 1, but the verdicts"),
    ("mmie", edit_verdict(score=9), f"{NO_VERDICT}score must be a whole number from 0 to 6"),
    ("mmie", edit_verdict(failure="empty_answer", score=6), f"{NO_VERDICT}score must be 0 where the model failed"),
    ("mmvu", edit_verdict(failure="empty_answer", score=1), f"{NO_VERDICT}score must be 0 where the model failed"),
    ("mmie", edit_verdict(category="XYZ"), f"{NO_VERDICT}category must be one of SA, PBL, MSR"),
    ("mmie", edit_verdict(category=None), f"{NO_VERDICT}category must be one of SA, PBL, MSR"),
    ("mmvu", edit_verdict(score=4), f"{NO_VERDICT}score must be a whole number from 0 to 1"),
    ("mmvu", edit_verdict(score=-1), f"{NO_VERDICT}score must be a whole number from 0 to 1"),
    ("mmvu", edit_verdict(category=None), f"{NO_VERDICT}category must be one of Character"),
    ("mmvu", edit_verdict(index=None), f"{NO_VERDICT}index must be a whole number"),
    ("mmvu", edit_verdict(details={}), f'{NO_VERDICT}details.type must be one of "POS", "NEG"'),
    ("mmvu", edit_verdict(details__type=["POS"]), f'{NO_VERDICT}details.type must be one of "POS", "NEG"'),
    ("mmvu", edit_verdict(details__level=0), f'{NO_VERDICT}details.level must be one of "character", "attribute"'),
    (
        "mmvu",
        edit_verdict(details__score_reference=2),
        f"{NO_VERDICT}details.score_reference must be one of 0, 1, null",
    ),
    ("mmvu", edit_verdict(details__score_reference=True), f"{NO_VERDICT}details.score_reference must be one of 0, 1"),
    ("mmvu", triple, "verdicts.jsonl: 3 verdicts for "),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGE)
def test_every_command_that_reads_a_folder_refuses_it_in_one_error(bases, tmp_path, capsys, name, damage, said):
    folder, humans, page = tmp_path / "run", tmp_path / "humans.jsonl", tmp_path / "report.html"
    shutil.copytree(bases / name, folder)
    damage(folder)
    humans.write_text(json.dumps({"id": "SA-0", "model": "m", "annotator": "a", "score": 3}) + "\n")
    for command in (
        ["report", str(folder), "--out", str(page)],
        ["compare", str(bases / f"{name}-whole"), str(folder)],
        ["publish", str(folder), "--model", "org/name"],
        ["agree", str(folder), str(humans)],
    ):
        assert cli.main(command) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error
    assert not page.exists()


def test_another_version_may_compute_other_intervals(bases, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(bases / "mmie", folder)
    replace("profile:strict", "profile:strict|version:0.0.1")(folder)
    spoil("metrics.score.ci_high", 99.0)(folder)
    assert read_run(folder).estimate("score")["ci_high"] == 99.0
    spoil("metrics.score.value", 99.0)(folder)
    with pytest.raises(UserError, match=r"metrics\.score\.value is 99\.0, but the verdicts give"):
        read_run(folder)
