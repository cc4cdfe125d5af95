"""Verdicts and human scores joined by question and model; what does not join is counted or refused."""

import json

import pytest

from judge.core.benchmark import Answer
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.human_scores import HumanScore
from judge.results import run_info
from judge.validity import pairing

SIGNATURE = "benchmark:mmie|judge:O/J@9e8d|dtype:float32"


def verdict(name, score, unscored=None, **more):
    return Verdict(name, "judge", score, unscored, category=name.partition("-")[0], **more)


def human(name, score, model="m", annotator="a"):
    return HumanScore(name, model, annotator, score)


def folder(path, *verdicts, signature=SIGNATURE):
    path.mkdir(parents=True)
    (path / "verdicts.jsonl").write_text("".join(json.dumps(v.to_json()) + "\n" for v in verdicts))
    result = {"benchmark": "mmie", "signature": signature, "n": len(verdicts), "metrics": {}, "categories": {}}
    unscored = sum(verdict.score is None for verdict in verdicts)
    result["unscored"] = {"n": unscored, "rate": unscored / len(verdicts)}
    result["dataset"] = {"repo": "O/R", "revision": "1f", "edition": "v1"}
    (path / "results.json").write_text(json.dumps(result))
    return path


def test_an_answer_with_several_annotators_is_one_pair():
    joined = pairing.join_scores({"m": [verdict("SA-1", 3)]}, [human("SA-1", 4), human("SA-1", 5, annotator="b")])
    (pair,) = joined.pairs
    assert (pair.given, pair.human, pair.category, pair.ratings) == (3, 4.5, "SA", {"a": 4, "b": 5})


def test_the_same_question_of_two_models_is_two_pairs():
    judged = {"m": [verdict("SA-1", 3)], "n": [verdict("SA-1", 6)]}
    joined = pairing.join_scores(judged, [human("SA-1", 1, "n"), human("SA-1", 2, "m")])
    assert [(pair.model, pair.given, pair.human) for pair in joined.pairs] == [("n", 6, 1), ("m", 3, 2)]


def test_what_has_no_counterpart_is_kept_and_counted():
    judged = {
        "m": [verdict("SA-1", 3), verdict("SA-2", None, "truncated"), verdict("SA-3", None, "no_score_line"),
              verdict("SA-4", 2)],
    }  # fmt: skip
    humans = [human(f"SA-{n}", 4) for n in (1, 2, 3, 5)] + [human("SA-2", 5, annotator="b"), human("SA-1", 4, "n")]
    joined = pairing.join_scores(judged, humans)
    assert [pair.id for pair in joined.pairs] == ["SA-1"]
    assert joined.unscored == {("SA-2", "m"): "truncated", ("SA-3", "m"): "no_score_line"}
    assert joined.left_out() == {
        "unscored": {
            "n": 2,
            "reasons": {"truncated": 1, "no_score_line": 1},
            "answers": [{"id": "SA-2", "model": "m"}, {"id": "SA-3", "model": "m"}],
        },
        "without_verdict": {"n": 2, "answers": [{"id": "SA-5", "model": "m"}, {"id": "SA-1", "model": "n"}]},
        "without_human_score": {"n": 1, "answers": [{"id": "SA-4", "model": "m"}]},
    }


def test_a_folder_is_about_the_one_model_that_was_scored(tmp_path):
    where = folder(tmp_path / "out", verdict("SA-1", 3))
    for given in (where, where / "verdicts.jsonl", f"m={where}"):
        judged = pairing.read_judge_verdicts([str(given)], [human("SA-1", 4)])
        assert {model: [v.score for v in found] for model, found in judged.verdicts.items()} == {"m": [3]}
        assert judged.signature == Signature.parse(SIGNATURE)


def test_the_answers_say_whose_they_are(tmp_path):
    """Two models' answers to one question, scored by people; the folder's results have the hash of n's."""
    answers = {name: Answer("SA-1", None, text, tmp_path) for name, text in (("m", "a kite"), ("n", "a boat"))}
    scores = [HumanScore("SA-1", name, "a", 4, answer) for name, answer in answers.items()]
    where = folder(tmp_path / "out", verdict("SA-1", 3))
    results = json.loads((where / "results.json").read_text())
    run = {"model": "m", "answers": run_info.describe_answers([answers["n"]])}  # a name can be wrong, the hash not
    (where / "results.json").write_text(json.dumps({**results, "run": run}))
    for given in (where, where / "verdicts.jsonl"):
        with pytest.raises(UserError, match=rf"people scored 2 models: 'm', 'n'\n→ write n={given}$"):
            pairing.read_judge_verdicts([str(given)], scores)
        with pytest.raises(UserError, match=rf"is about answers of 'n', not of 'm'\n→ write n={given}$"):
            pairing.read_judge_verdicts([f"m={given}"], scores)
    assert list(pairing.read_judge_verdicts([f"n={where}"], scores).verdicts) == ["n"]
    # people scored answers that the hash is not of: the name in the results is what is left, and it may be another's
    unlike = [human("SA-1", 4, "m"), human("SA-1", 4, "n")]
    with pytest.raises(UserError, match=rf"write m={where}$"):
        pairing.read_judge_verdicts([str(where)], unlike)
    (where / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match=rf"write MODEL={where}$"):
        pairing.read_judge_verdicts([str(where)], unlike)


def test_a_file_of_verdicts_alone_has_no_signature(tmp_path):
    where = folder(tmp_path / "out", verdict("SA-1", 3))
    (where / "results.json").unlink()
    assert pairing.read_judge_verdicts([str(where / "verdicts.jsonl")], [human("SA-1", 4)]).signature is None
    # of a folder it says that the run has not ended
    with pytest.raises(UserError, match="the run has not ended"):
        pairing.read_judge_verdicts([str(where)], [human("SA-1", 4)])


def test_models_by_name_and_by_folder(tmp_path):
    scores = [human("SA-1", 4, "org/m"), human("SA-1", 2, "n"), human("SA-1", 2, "not judged")]
    folder(tmp_path / "all" / "org_m", verdict("SA-1", 3))
    folder(tmp_path / "all" / "n", verdict("SA-1", 6))
    by_folder = pairing.read_judge_verdicts([str(tmp_path / "all")], scores)
    by_name = pairing.read_judge_verdicts(
        [f"org/m={tmp_path / 'all' / 'org_m'}", f"n={tmp_path / 'all' / 'n'}"], scores
    )
    assert by_folder == by_name
    assert {model: found[0].score for model, found in by_name.verdicts.items()} == {"org/m": 3, "n": 6}


def test_a_path_may_hold_an_equals_sign(tmp_path):
    where = folder(tmp_path / "lr=1e-4", verdict("SA-1", 3))
    assert list(pairing.read_judge_verdicts([str(where)], [human("SA-1", 4)]).verdicts) == ["m"]
    assert list(pairing.read_judge_verdicts([f"m={where}"], [human("SA-1", 4)]).verdicts) == ["m"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["o={out}"], "nobody scored answers of 'o'; people scored: 'm', 'n'"),
        (["{out}"], "does not say whose answers it is about; people scored 2 models"),
        (["m={out}", "m={out}"], "a second set of verdicts on 'm'"),
        (["m={out}", "n={other}"], "was not judged as .* was: dtype differ"),
        (["m={out}/nothing"], "cannot be read"),
        (["m={twice}"], "1 ids have several verdicts, first 'SA-7'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, given, problem):
    paths = {
        "out": folder(tmp_path / "out", verdict("SA-1", 3)),
        "other": folder(tmp_path / "other", verdict("SA-1", 3), signature=SIGNATURE.replace("float32", "bfloat16")),
        "twice": folder(tmp_path / "twice", verdict("SA-7", 1, index=0), verdict("SA-7", 0, index=1)),
    }
    with pytest.raises(UserError, match=problem):
        pairing.read_judge_verdicts([word.format(**paths) for word in given], [human("SA-1", 4), human("SA-1", 4, "n")])


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", ".hidden", "a\x00b", "C:\\x"])
def test_a_models_name_leads_nowhere(name):
    made = pairing.folder_name(name)
    assert made
    assert not {"/", "\\", "\x00", ":"} & set(made)
    assert not made.startswith(".")
