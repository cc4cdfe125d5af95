"""The rule for marks, as a table: whatever a writer does to them, something sensible comes out and nothing raises."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.systems.marks import Bounds, Description, Marked, read_marks


def d(text: str) -> Description:
    return Description(text)


TABLE = [
    ("no marks", "Peel it.", ("Peel it.",)),
    ("nothing", " \n", ()),
    ("in order", "Cut.\n<picture>an apple</picture>\nPeel.", ("Cut.", d("an apple"), "Peel.")),
    ("only a picture", "<picture>an apple</picture>", (d("an apple"),)),
    ("two in a row", "<picture>a</picture><picture>b</picture>", (d("a"), d("b"))),
    ("lines inside", "<picture>\n an apple\n  on a board\n</picture>", (d("an apple on a board"),)),
    ("case, blanks, attributes", '< Picture id="1" >a< / PICTURE >b', (d("a"), "b")),
    ("unclosed: the rest of the line", "A.\n<picture>an apple\nThen peel.", ("A.", d("an apple"), "Then peel.")),
    ("unclosed before another", "<picture>a\nText.\n<picture>b</picture>", (d("a"), "Text.", d("b"))),
    ("nested", "<picture>a <picture>b</picture> c</picture> d", (d("a"), d("b"), "c\nd")),
    ("closed twice", "<picture>a</picture></picture>b", (d("a"), "b")),
    ("closes nothing", "a</picture>b", ("a\nb",)),
    ("empty", "a<picture></picture>b<picture> \n </picture>c", ("a\nb\nc",)),
    ("empty and unclosed", "a\n<picture>\nb", ("a\nb",)),
    ("closes itself", 'a<picture/>b<picture id="1" /> c', ("a\nb\nc",)),
    ("another word", "<pictures>a</pictures> <picture-frame>", ("<pictures>a</pictures> <picture-frame>",)),
    ("an image slot is text", "<image> and <img src=x>", ("<image> and <img src=x>",)),
    ("only considered", "<think><picture>a cat</picture></think><picture>a dog</picture>", (d("a dog"),)),
    ("cut off in the mark", "a\n<picture>b</pict", ("a", d("b</pict"))),
    ("cut off before the mark's end", "a\n<pictu", ("a\n<pictu",)),
]


@pytest.mark.parametrize(("text", "parts"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_marks(text, parts):
    assert read_marks(text, Bounds()) == Marked(parts)


def test_too_many_are_left_out_and_counted():
    text = "".join(f"{n}<picture>p{n}</picture>" for n in range(5))
    assert read_marks(text, Bounds(pictures=2)) == Marked(("0", d("p0"), "1", d("p1"), "2\n3\n4"), left_out=3)
    assert read_marks(text, Bounds(pictures=0)) == Marked(("0\n1\n2\n3\n4",), left_out=5)


@pytest.mark.parametrize(
    ("most", "cut"), [(13, "an apple pear"), (12, "an apple"), (8, "an apple"), (7, "an"), (2, "an"), (1, "a")]
)
def test_long_descriptions_end_at_a_word(most, cut):
    assert read_marks("<picture>an apple pear</picture>", Bounds(characters=most)).parts == (d(cut),)


@given(st.lists(st.sampled_from(["<picture>", "</picture>", "<picture/>", "a", " ", "\n", "<", "<think>", "b c"])))
def test_any_order_of_marks(pieces):
    found = read_marks("".join(pieces), Bounds(pictures=3))
    for part in found.parts:
        words = part.text if isinstance(part, Description) else part
        assert words.strip() == words != ""
    kinds = [type(part) for part in found.parts]
    assert kinds.count(Description) <= 3
    assert all(pair != (str, str) for pair in itertools.pairwise(kinds))


def test_a_long_text_takes_no_time_without_end():
    many = 20_000
    assert read_marks("<picture " * many, Bounds()).left_out == 0
    assert read_marks("<picture>" * many + "x", Bounds()).parts == (d("x"),)
