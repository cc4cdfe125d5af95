"""The demo's writer and painter: the one marks what the other can draw, and what is described is drawn."""

import pytest
from PIL import Image

from judge.core.request import Picture, Text
from judge.demo.describing import DemoPainter, DemoWriter
from judge.demo.drawing import read_picture
from judge.systems.painters import Wanted

QUESTION = "How to lay out: first the pink house, last the green heart?\nStep 1: Put the pink house down.\n"


def written(*prompt):
    ((_, text),) = DemoWriter({}).write_texts([prompt])
    return text


def test_a_plan_goes_on_with_marked_pictures():
    assert (
        written(Text(f"Answer …\n\nThe request:\n{QUESTION}"))
        == "Step 2: Put the green heart down.\n<picture>a green heart</picture>"
    )


def test_what_stands_before_the_request_is_not_the_question(tmp_path):
    asked = "A shelf holds 6 fish cards and 3 tree cards. How many cards are there in all?"
    assert written(Text(f"A shelf holds 1 and 1 more\nThe request:\n{asked}")) == written(Text(asked))
    Image.new("RGB", (120, 120), "white").save(tmp_path / "a.png")
    picture = Picture(tmp_path / "a.png", "a.png")
    assert written(Text("Is it?\nA. The star is blue.\nB. No.\n"), picture) == "I cannot tell."


@pytest.mark.parametrize(
    ("prompt", "seen"),
    [
        ("a blue cup", [("cup", "blue")]),
        ("A photograph of a red box on a table", [("box", "red")]),
        ("first a red box, then a green heart", [("heart", "green")]),
        ("a tree", [("tree", "black")]),
        ("nothing known", []),
    ],
)
def test_a_description_is_drawn(prompt, seen):
    ((_, image, _),) = DemoPainter({}).draw_pictures([Wanted(prompt, 1)])
    assert [(placed.name, placed.colour) for placed in read_picture(image)] == seen
