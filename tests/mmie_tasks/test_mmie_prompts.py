"""Order of text and images in what a model is asked."""

from mmie_tasks import prompts
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
