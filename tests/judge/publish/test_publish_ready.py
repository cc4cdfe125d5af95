"""What may not be published, and why."""

from __future__ import annotations

import dataclasses
import json

import pytest
import runs

from judge.core.benchmark import find, names
from judge.io.presentation import view_of
from judge.publish import ready
from judge.results.published import read_published


def edited(folder, **changes) -> None:
    file = folder / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def remove_results(folder) -> None:
    (folder / "results.json").unlink()


def remove_verdicts(folder) -> None:
    lines = (folder / "verdicts.jsonl").read_text().splitlines(keepends=True)
    (folder / "verdicts.jsonl").write_text("".join(lines[:-1]))


def embellish(folder) -> None:
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    edited(folder, metrics=metrics | {"RA": metrics["RA"] | {"value": 61.0}})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove_results, "no results here; the run has not ended"),
        (remove_verdicts, "599 questions, but 600 in results.json"),
        (embellish, "metrics.RA.value is 61.0, but the verdicts give 60.0"),
        (lambda f: runs.write(f, runs.verdicts()[:598]), "598 answers, but MMVU v1 has 600 questions"),
        (lambda f: runs.write(f, edition="CVPR"), "600 answers, but MMVU CVPR has 1786 questions"),
        (lambda f: runs.write(f, edition="unknown"), "'unknown' is no published edition of MMVU (v1, CVPR)"),
        (lambda f: runs.write(f, edition=None), "'unknown' is no published edition of MMVU"),
        # 31 of 600 are 5.2%, more than 5%
        (lambda f: runs.write(f, runs.verdicts(unscored=31)), "31 of 600 answers have no score, more than"),
    ],
)
def test_what_is_refused_before_anything_is_read(hub, publish, folder, spoil, says):
    spoil(folder)
    code, _, err = publish("--push")
    assert code == 2
    assert says in err
    assert str(folder) in err
    assert hub.requests == []


def test_the_limit_is_a_share_and_can_be_set(hub, publish, folder):
    runs.write(folder, runs.verdicts(unscored=30))  # 5.0% exactly
    code, out, _ = publish()
    assert code == 0
    assert "unscored 5.0%" in out
    runs.write(folder, runs.verdicts(unscored=31))
    assert publish("--max-unscored", "6%")[0] == 0
    assert publish("--max-unscored", "0.05")[0] == 2


@pytest.mark.parametrize(("missing", "code"), [(6, 0), (7, 2)])
def test_more_than_one_in_a_hundred_pictures_missing(hub, publish, folder, missing, code):
    made = runs.verdicts(unscored=missing)
    runs.write(folder, [dataclasses.replace(v, unscored=v.unscored and "image_missing") for v in made])
    found, _, err = publish()
    assert found == code
    assert (f"- image_missing: {missing} of 600 answers miss a picture" in err) == (code == 2)
    assert "--allow" not in err


def test_unscored_is_counted_in_the_verdicts_not_believed(hub, publish, folder):
    runs.write(folder, [dataclasses.replace(v, score=None, unscored="call_failed") for v in runs.verdicts()])
    code, _, err = publish()
    assert code == 2
    assert "600 of 600 answers have no score" in err
    edited(folder, unscored={"n": 0, "rate": 0.0, "reasons": {}})
    code, _, err = publish()
    assert code == 2
    assert "unscored.reasons names none, but the verdicts give call_failed" in err or "unscored.n is 0" in err


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, {"subset"}),
        ({"judge": "MMIE/MMIE-Score"}, {"subset"}),  # a server says no revision
        ({"edition": None}, {"edition"}),
        ({"edition": "unknown (size matches full)"}, {"edition"}),
        ({"judge": "replay", "feedback": "1a2b3c4d", "rubric": None}, {"subset", "replay"}),
        ({"feedback": "1a2b3c4d"}, {"subset", "replay"}),
        ({"engine": "replay", "judge": "me/mine@1"}, {"subset", "replay", "judge"}),
        ({"judge": "MMIE/MMIE-Score-2@9e8d"}, {"subset", "judge"}),
        ({"judge": "MMIE-Score@local-1a2b3c4d"}, {"subset", "judge"}),  # a folder of that name is anybody's
        ({"rubric": "mmjudge@517864c3"}, {"subset", "rubric"}),
        ({"profile": "strict"}, {"subset", "profile"}),
        ({"profile": "strict", "rubric": "mmjudge@1", "judge": "a/b@1", "edition": "unknown (15)"},
         {"edition", "judge", "rubric", "profile"}),
    ],
)  # fmt: skip
def test_each_way_not_to_be_measured_as_the_published_systems(tmp_path, changed, named):
    run = runs.mmie(tmp_path / "out", **changed)
    against = ready.reasons_against(run, find("mmie"), 0.05)
    assert {reason.name for reason in against} == named
    assert len(against) == len(named)


def test_all_reasons_are_said_at_once_with_the_option_that_allows_them(hub, publish, folder):
    made_up = {"edition": "unknown (size matches full)", "judge": "replay", "feedback": "1a2b", "rubric": None}
    runs.mmie(folder, **made_up, profile="strict")
    code, _, err = publish("--push")
    assert code == 2
    assert "3 reasons not to publish this:\n  - edition: 'unknown (size matches full)' is no published edition" in err
    assert "\n  - replay: the judge's words were replayed from a file" in err
    assert "\n  - profile: profile is reference for the published systems, strict here\n" in err
    assert err.endswith("with --allow edition,replay,profile\n")
    code, _, err = publish("--push", "--allow", "replay,edition")
    assert code == 2
    assert "1 reason not to publish this:\n  - profile: " in err
    assert err.endswith("with --allow edition,replay,profile\n")
    assert hub.requests == []
    code, out, _ = publish("--allow", "edition,replay,profile,judge", "--model-index")
    assert code == 0
    assert "allowed, replay: the judge's words were replayed" in out
    assert "+    task_id: mmie_unknown_size_matches_full_score" in out  # no leaderboard of the edition shows it
    # what was allowed and did not occur is not said
    assert "not as published systems: edition, replay, profile; signature" in " ".join(out.replace("\n+", " ").split())
    assert "not_as_published: edition, replay, profile" in out


def test_a_part_that_is_allowed_has_a_task_of_its_own(hub, publish, folder):
    runs.write(folder, runs.verdicts()[:598])
    code, out, _ = publish("--allow", "subset", "--model-index")
    assert code == 0
    assert "+    task_id: mmvu_v1_part_ra" in out
    assert "name: MMVU (part of edition v1)" in out
    assert "mmvu_v1_ra" not in out


def test_a_run_that_says_it_is_partial_and_answers_of_a_model_that_failed(hub, publish, folder):
    signature = json.loads((folder / "results.json").read_text())["signature"]
    edited(folder, signature=f"{signature}|part:600 of 640")
    assert "- subset: only a part of the questions was asked, 600 of 640" in publish()[2]
    runs.write(folder, runs.verdicts(failed=31))  # 31 of 600 are 5.2%
    assert "- failures: 31 of 600 answers count as the worst because the model failed" in publish()[2]
    assert publish("--allow", "failures")[0] == 0
    assert publish("--max-unscored", "6%")[0] == 0
    runs.write(folder, runs.verdicts(failed=30))
    assert publish()[0] == 0


def test_the_signature_and_the_dataset_name_one_edition(hub, publish, folder):
    edited(folder, dataset={"repo": runs.REPO, "revision": None, "edition": "CVPR"}, n=600)
    assert "- dataset.edition: 'CVPR', but the signature has another" in publish("--allow", "subset,edition")[2]


def test_a_run_under_a_condition_is_refused_whatever_is_allowed(hub, publish, folder):
    signature = json.loads((folder / "results.json").read_text())["signature"]
    edited(folder, signature=f"{signature}|condition:blind@0123abcd")
    code, _, err = publish("--allow", ",".join(ready.ALLOWABLE), "--push")
    assert code == 2
    assert "condition: the questions were asked under the condition blind@0123abcd, not as published" in err
    assert hub.requests == []


@pytest.mark.parametrize("given", ["", "unscored", "replay,everything"])
def test_reasons_that_there_are_not(publish, given, capfd):
    with pytest.raises(SystemExit):
        publish("--allow", given)
    assert "no such reason; known: edition, subset, failures, replay, judge, rubric, profile" in capfd.readouterr().err


def test_whatever_a_published_table_requires_can_be_allowed():
    tables = [table for title in names() for table in read_published(view_of(find(title)).published)]
    # a run under a condition is never published, so that no run is held to a table of one
    required = {name for table in tables if "condition" not in table.requires for name in table.requires}
    assert {"edition", "profile", "rubric", "judge"} <= required <= set(ready.ALLOWABLE)
