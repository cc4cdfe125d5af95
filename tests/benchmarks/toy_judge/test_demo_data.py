"""The bundled data is what its scripts draw, in the published layouts, and of the size that is promised."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.toy_judge import mmie_data, mmvu_data
from benchmarks.toy_judge.mmie_data import PLANS, SUMS
from benchmarks.toy_judge.mmvu_pairs import PAIRS
from benchmarks.toy_judge.world import Thing, held_out, in_words
from judge.demo.drawing import read_picture
from mmie_tasks.benchmark import BENCHMARK as MMIE
from mmie_tasks.demo import demo_dir as mmie_demo_dir
from mmvu_tasks.benchmark import BENCHMARK as MMVU
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

MMIE_DATA, MMVU_DATA = mmie_demo_dir(), mmvu_demo_dir()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_same(made: Path, bundled: Path) -> None:
    assert files(made) == files(bundled)
    for name in files(made):
        if name.endswith(".png"):
            ours, theirs = (np.asarray(Image.open(folder / name)) for folder in (made, bundled))
            assert np.array_equal(ours, theirs), name
        else:
            assert (made / name).read_bytes() == (bundled / name).read_bytes(), name


def test_the_scripts_draw_the_bundled_mmvu_demo(tmp_path: Path) -> None:
    mmvu_data.write_demo(tmp_path)
    assert_same(tmp_path, MMVU_DATA)


def test_the_scripts_draw_the_bundled_mmie_demo(tmp_path: Path) -> None:
    mmie_data.write_demo(tmp_path)
    assert_same(tmp_path, MMIE_DATA)


def test_two_whole_pairs_in_each_of_the_twelve_categories() -> None:
    records = MMVU.load(MMVU_DATA).records
    assert len(records) == 48  # 12 categories x 2 pairs x 2 questions
    kinds = Counter((record.category, record.id, record.question_type) for record in records)
    assert set(kinds.values()) == {1}
    assert Counter(category for category, _, _ in kinds) == dict.fromkeys(MMVU.categories, 4)
    assert Counter(record.ground_truth for record in records) == dict.fromkeys("ABCD", 12)


def test_the_right_option_is_the_one_that_was_written_as_right() -> None:
    asked = {(pair.id, question.stem): question for pair in PAIRS for question in (pair.positive, pair.leading)}
    for record in MMVU.load(MMVU_DATA).records:
        question = asked[record.id, record.question.splitlines()[0]]
        assert record.options["ABCD".index(record.ground_truth)] == question.right
        assert sorted(record.options) == sorted([question.right, question.one, question.two, question.three])
        assert len(set(record.options)) == 4


def test_every_mmvu_picture_shows_its_scene() -> None:
    for pair in PAIRS:
        with Image.open(MMVU_DATA / "MMR-benchmark-images" / f"{pair.id}.png") as picture:
            assert sorted(map(str, read_picture(picture))) == sorted(map(str, pair.scene)), pair.id


def test_mmie_items_over_three_categories() -> None:
    records = MMIE.load(MMIE_DATA, images=True).records
    assert Counter(record.category for record in records) == {"SA": 5, "PBL": 5, "MSR": 5}
    assert sorted({len(record.images) for record in records}) == [0, 1, 4]
    assert [record.id for record in records if record.multiple_choice] == ["MSR-9103", "MSR-9104"]
    assert all(record.answer for record in records)


def test_training_never_sees_the_bundled_plans() -> None:
    for words in PLANS:
        assert held_out(in_words(tuple(Thing(*thing.split()) for thing in words.split(", ")))), words
    # the sum over four pictures has a form that training does not have at all
    assert [held_out(item.question) for item in SUMS if "four pictures" not in item.question] == [True] * 4


def test_references_answer_the_sums() -> None:
    for item in SUMS:
        numbers = [int(word) for word in item.question.replace("?", "").split() if word.isdigit()]
        if item.reference.isdigit() and item.pictures:
            assert len(item.pictures[0]) + numbers[0] == int(item.reference)  # those in the picture, and some more
        elif item.reference.isdigit():
            assert sum(numbers) == int(item.reference)
    assert [item.reference for item in SUMS] == ["9", "9", "C", "B", "7"]


def test_the_demo_is_small() -> None:
    sizes = [path.stat().st_size for folder in (MMIE_DATA, MMVU_DATA) for path in folder.rglob("*.png")]
    assert len(sizes) == 24 + 10 + 16 + 7  # MMVU; SA and PBL: first steps, then steps to answer; MSR: 1 + 1 + 4 + 1
    assert max(sizes) < 2000
    assert json.loads((MMIE_DATA / "data.json").read_text())[0]["conversations"][0]["from"] == "human"
