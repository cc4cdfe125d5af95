"""What may not be published, and why."""

from __future__ import annotations

import dataclasses
import json

import pytest
import runs


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
        (embellish, 'field "metrics.RA": 61.0 in results.json, but the verdicts give 60.0'),
        (lambda f: runs.write(f, runs.verdicts()[:598]), "598 answers, but MMVU v1 has 600 questions"),
        (lambda f: runs.write(f, edition="CVPR"), "600 answers, but MMVU CVPR has 1786 questions"),
        (lambda f: runs.write(f, edition="unknown"), "'unknown' is no published edition of MMVU (v1, CVPR)"),
        (lambda f: runs.write(f, edition=None), "None is no published edition of MMVU"),
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


def test_unscored_is_counted_in_the_verdicts_not_believed(hub, publish, folder):
    runs.write(folder, [dataclasses.replace(v, score=None, unscored="empty_answer") for v in runs.verdicts()])
    edited(folder, unscored={"n": 0, "rate": 0.0, "reasons": {}})
    code, _, err = publish()
    assert code == 2
    assert "600 of 600 answers have no score" in err
