"""What is kept of MMVU for reading: samples with their pictures, and the pairs that the leading question wins."""

import dataclasses

import pytest

from judge.core.benchmark import Answer
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.samples import Missing
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.presentation import VIEW, lost_pairs


def half(name, kind, score, index, category="Shape"):
    details = {"type": kind, "level": "attribute", "score_reference": score or 0}
    return Verdict(name, "rule", score, "call_failed" if score is None else None, category, index, details=details)


def pair(name, positive, negative, index, category="Shape"):
    """The leading question comes first in the file, as it may."""
    return [half(name, "NEG", negative, index, category), half(name, "POS", positive, index + 1, category)]


def test_lost_pairs():
    verdicts = [
        *pair("a", 1, 1, 0), *pair("b", 1, 0, 2), *pair("c", 0, 1, 4), *pair("d", 0, 0, 6), *pair("e", 1, None, 8),
        *pair("f", 1, 0, 10), *pair("g", 1, 0, 12), *pair("h", 1, 0, 14, "Presence"), half("i", "POS", 1, 16),
    ]  # fmt: skip
    (group,) = lost_pairs(verdicts)
    # Presence comes before Shape in the tables; of the three lost in Shape (b, f, g) the first two
    assert group.items == [
        (("h", 15), ("h", 14)),
        (("b", 3), ("b", 2)),
        (("f", 11), ("f", 10)),
    ]
    assert group.total == 4


def test_a_pair_published_as_two_positives_is_not_shown():
    (group,) = lost_pairs([half("a", "POS", 1, 0), half("a", "POS", 0, 1)])
    assert group.items == []


def test_samples():
    dataset = BENCHMARK.load(demo_dir())
    record = dataset.records[3]
    answers = [
        Answer(record.id, 3, "B. It is.", demo_dir()),
        Answer(None, 0, [{"text": "A", "image": None}, {"text": None, "image": "x.png"}], demo_dir()),
        Answer(None, 1, None, demo_dir()),
    ]
    first, second, third = VIEW.samples(answers, dataset)
    picture, text = first.question
    assert isinstance(picture, Picture)
    assert picture.path.is_file()
    assert text == Text(record.question)
    assert (first.key, first.answer, first.truth) == ((record.id, 3), (Text("B. It is."),), record.ground_truth)
    assert second.answer == (Text("A"),)
    assert third.answer == ()


@pytest.mark.parametrize("image", ["absent.png", "../../secret.png"])
def test_a_picture_that_is_not_to_be_had_is_named(image):
    dataset = BENCHMARK.load(demo_dir())
    dataset = dataclasses.replace(dataset, records=[dataclasses.replace(dataset.records[0], image=image)])
    (sample,) = VIEW.samples([Answer(None, 0, "A", demo_dir())], dataset)
    assert sample.question[0] == Missing(image)


def test_without_pictures_beside_the_questions(tmp_path):
    (tmp_path / "MMR-benchmark.json").write_bytes((demo_dir() / "MMR-benchmark.json").read_bytes())
    dataset = BENCHMARK.load(tmp_path)
    assert dataset.image_root is None
    (sample,) = VIEW.samples([Answer(None, 0, "A", tmp_path)], dataset)
    assert sample.question[0] == Missing(dataset.records[0].image)
