"""Order of text and images in what a model is asked."""

import re

from PIL import Image

from mmie_tasks import prompts
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir
from mmie_tasks.records import Part, Record

RECORD = Record(
    "PBL-1",
    "PBL",
    "Education",
    (Part("How to tie a knot", None), Part(None, "./images/a.jpg"), Part("Step 1: Loop.", "./images/b.jpg")),
    (),
)


def test_messages_are_interleaved():
    assert prompts.messages(RECORD) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How to tie a knot"},
                {"type": "image", "url": "./images/a.jpg"},
                {"type": "text", "text": "Step 1: Loop."},
                {"type": "image", "url": "./images/b.jpg"},
            ],
        }
    ]


def test_text_keeps_the_order_with_one_placeholder_an_image():
    assert prompts.text(RECORD) == "How to tie a knot\n<image>\nStep 1: Loop.\n<image>"
    assert prompts.visuals(RECORD) == ("./images/a.jpg", "./images/b.jpg")


def test_a_question_that_spells_the_placeholder_adds_none():
    record = Record("SA-1", "SA", None, (Part("The tag <image> and a picture", "a.jpg"), Part("", None)), ())
    assert prompts.text(record) == "The tag < image > and a picture\n<image>"
    assert prompts.text(record).count("<image>") == len(prompts.visuals(record))
    assert prompts.messages(record)[0]["content"][0]["text"] == "The tag <image> and a picture"


def test_a_question_has_its_pictures_and_names_those_that_are_not_to_be_had(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "b.png")
    record = Record("PBL-1", "PBL", None, (Part("One", "a.png"), Part("Two \ud800", "b.png"), Part("Three", None)), ())
    asked = prompts.question(record, 7, tmp_path)
    assert (asked.id, asked.index, asked.category) == ("PBL-1", 7, "PBL")
    assert asked.text() == "One\nTwo \ufffd\n<image>\nThree"
    assert [picture.path for picture in asked.pictures] == [tmp_path / "b.png"]
    assert asked.missing == ("image 'a.png' is not below the image root",)
    assert prompts.question(record, 7, None).text() == "One\n<image>\nTwo \ufffd\n<image>\nThree"


def test_every_question_of_the_demo_reads_as_in_the_simple_form():
    dataset = BENCHMARK.load(demo_dir())
    questions = BENCHMARK.questions(dataset)
    assert [question.index for question in questions] == list(range(len(dataset.records)))
    simple = [re.sub("(?<=<image>)\n(?=<image>)", "", prompts.text(record)) for record in dataset.records]
    assert [question.text() for question in questions] == simple  # nothing stands between two pictures
    assert not any(question.missing for question in questions)
    assert BENCHMARK.questions(dataset, [2, 0]) == [questions[2], questions[0]]
