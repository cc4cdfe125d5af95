"""Choosing a weight: which pairs choose, which weight wins, and what stands in the folder."""

from __future__ import annotations

import json
from collections import Counter

import pytest

pytest.importorskip("torch", reason="the hf extra is not installed")

import tiny_llava

from judge.core.benchmark import Answer
from judge.errors import UserError
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.train import sweep as sweeping
from mmvu_tasks.train.sweep import Asking, Sweep, choose_weight, deal_pairs


@pytest.fixture(scope="module")
def dataset():
    return BENCHMARK.load(demo_dir(), images=True)


@pytest.mark.parametrize(("share", "chosen"), [(0.5, 12), (0.25, 6), (0.75, 18)])
def test_pairs_stay_whole_and_every_category_has_its_share(share, chosen, dataset):
    first, rest = deal_pairs(dataset, share)
    assert sorted([*first, *rest]) == list(range(48))
    pairs = [Counter(dataset.records[index].id for index in part) for part in (first, rest)]
    assert set(pairs[0].values()) == set(pairs[1].values()) == {2}
    assert not pairs[0].keys() & pairs[1].keys()
    # 24 pairs, two of each of 12 categories
    assert len(pairs[0]) == chosen
    if share == 0.5:
        assert set(Counter(dataset.records[index].category for index in first).values()) == {2}
    assert deal_pairs(dataset, share) == (first, rest)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_part_without_a_pair_is_refused(share, dataset):
    with pytest.raises(UserError, match="leaves one of the parts without a pair"):
        deal_pairs(dataset, share)


def test_the_smallest_of_the_best_weights_is_written_and_measured_on_the_rest(dataset, tmp_path, monkeypatch):
    base = tiny_llava.build(tmp_path / "base")
    asked = []

    def verdicts(asking, model, indices):
        """Right are the first 4, 8, 8 and 6 pairs of those asked under weights 0.05, 0.25, 0.5 and 1; 3 of the base."""
        about = model / "merge.json"
        weight = json.loads(about.read_text())["weight"] if about.exists() else None
        asked.append((weight, len(indices)))
        right = {0.05: 4, 0.25: 8, 0.5: 8, 1.0: 6, None: 3}[weight]
        known = sorted({dataset.records[index].id for index in indices})[:right]
        answers = [
            Answer(record.id, record.index, record.ground_truth if record.id in known else "none of them", tmp_path)
            for record in (dataset.records[index] for index in indices)
        ]
        return BENCHMARK.assess(answers, dataset, "strict")

    monkeypatch.setattr(sweeping.Asking, "verdicts", verdicts)
    said = []
    about = choose_weight(base, base, tmp_path / "out", Sweep((1.0, 0.5, 0.25, 0.05)), Asking(dataset, say=said.append))
    assert about["weight"] == 0.25
    assert said[-1] == "chosen: 0.25, by RA on 12 pairs, which flatter it"
    # candidates answer the 24 questions that choose; base, merged and tuned the other 24
    assert asked == [(0.05, 24), (0.25, 24), (0.5, 24), (1.0, 24), (None, 24), (0.25, 24), (None, 24)]
    assert about["tried"]["0.05"]["RA"]["value"] == pytest.approx(100 * 4 / 12)
    assert about["on_the_rest"]["merged"]["RA"]["value"] == pytest.approx(100 * 8 / 12)
    # 8 of 12 pairs against 3 of 12, all 3 among the 8
    difference = about["merged_minus_base"]["RA"]
    assert difference["difference"]["value"] == pytest.approx(100 * 5 / 12)
    assert (difference["wins"], difference["losses"]) == (5, 0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model", "sweep.json"}
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == about
    assert json.loads((tmp_path / "out" / "model" / "merge.json").read_text())["weight"] == 0.25
    assert len(about["parts"]["rest"]["pairs"]) == 12


@pytest.mark.parametrize("failing", [2, 24])
def test_questions_that_the_model_failed_at_are_counted(dataset, tmp_path, monkeypatch, failing):
    base = tiny_llava.build(tmp_path / "base")

    def verdicts(asking, model, indices):
        """The first `failing` of the questions have no answer, the others are right."""
        answers = [
            Answer(record.id, record.index, None if n < failing else record.ground_truth, tmp_path)
            for n, record in enumerate(dataset.records[index] for index in indices)
        ]
        return BENCHMARK.assess(answers, dataset, "strict")

    monkeypatch.setattr(sweeping.Asking, "verdicts", verdicts)
    said = []
    sweep, asking = Sweep((0.5,)), Asking(dataset, say=said.append)
    if failing == 24:
        with pytest.raises(UserError, match=r"weight 0.5 has no RA: 24 of 24 questions have no score"):
            choose_weight(base, base, tmp_path / "out", sweep, asking)
        assert not (tmp_path / "out").exists()
        return
    about = choose_weight(base, base, tmp_path / "out", sweep, asking)
    assert said[0].endswith(", 2 questions unscored")
    assert about["unscored"] == {"tried": {"0.5": 2}, "on_the_rest": {"base": 2, "merged": 2, "tuned": 2}}


def test_a_model_is_asked_in_this_process(dataset, tmp_path):
    """Noise has no option in it, so every question is wrong, and none is unscored."""
    model = tiny_llava.build(tmp_path / "base")
    found = Asking(dataset, "cpu", batch_size=4).verdicts(model, [0, 1])
    assert [(verdict.index, verdict.unscored) for verdict in found] == [(0, None), (1, None)]
