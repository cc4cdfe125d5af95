"""Order of text and images in what a model is asked."""

import re
from pathlib import Path

from PIL import Image

from judge.core.benchmark import Dataset, Source
from judge.core.request import Picture, Text
from mmie_tasks import prompts
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir
from mmie_tasks.records import Part, Record


def of(record: Record, root: Path | None) -> Dataset:
    return Dataset(Source("local", "0", "v1"), [record], root)


def test_a_question_is_its_texts_and_pictures_in_their_order(tmp_path):
    for name in ("a", "b"):
        Image.new("RGB", (4, 3)).save(tmp_path / f"{name}.png")
    steps = (Part("How to tie a knot", None), Part(None, "./a.png"), Part("Step 1: Loop the <image>.", "b.png"))
    asked = prompts.question(of(Record("PBL-1", "PBL", "Education", steps, ()), tmp_path), 0)
    assert asked.parts == (
        Text("How to tie a knot\n"),
        Picture(tmp_path / "a.png", "./a.png"),
        Text("\nStep 1: Loop the < image >.\n"),
        Picture(tmp_path / "b.png", "b.png"),
    )


def test_a_question_has_its_pictures_and_names_those_that_are_not_to_be_had(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "b.png")
    record = Record("PBL-1", "PBL", None, (Part("One", "a.png"), Part("Two \ud800", "b.png"), Part("Three", None)), ())
    asked = prompts.question(of(record, tmp_path), 0)
    assert (asked.id, asked.index, asked.category) == ("PBL-1", 0, "PBL")
    assert asked.text() == "One\nTwo \ufffd\n<image>\nThree"
    assert [picture.path for picture in asked.pictures] == [tmp_path / "b.png"]
    assert asked.missing == ("image 'a.png' is not below the image root",)
    assert prompts.question(of(record, None), 0).text() == "One\n<image>\nTwo \ufffd\n<image>\nThree"


def test_every_question_of_the_demo_is_asked_with_every_line_and_picture():
    dataset = BENCHMARK.load(demo_dir())
    questions = BENCHMARK.questions(dataset)
    assert [question.index for question in questions] == list(range(len(dataset.records)))
    for question, record in zip(questions, dataset.records, strict=True):
        lines = [line for part in record.question for line in (part.text, "<image>" if part.image else None) if line]
        # nothing stands between two pictures
        assert question.text() == re.sub("(?<=<image>)\n(?=<image>)", "", "\n".join(lines))
        assert tuple(picture.name for picture in question.pictures) == record.images
        assert not question.missing
    assert BENCHMARK.questions(dataset, [2, 0]) == [questions[2], questions[0]]
