"""Which prompt may take what from which: a table by hand, and the definition on random prompts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from judge.model.same_question import Beginning, common_prefix_length, find_donors

IMAGE = 9


def beginning(ids, group="q", images=0, long=False):
    """images: picture tokens that are the group's."""
    return Beginning(ids, np.flatnonzero(np.array(ids) == IMAGE), group, images, long)


@pytest.mark.parametrize(
    ("running", "new", "found"),
    [
        # nobody is there yet: the first computes, the second takes what both begin with
        ([], [[1, 2, 3, 4], [1, 2, 5, 6]], [None, (0, 2)]),
        # one that runs is taken from before one that is new
        ([[1, 2, 3]], [[1, 2, 4], [1, 2, 4, 5]], [(0, 2), (0, 2)]),
        # of two equal prompts the last token is left to be computed, for something must be
        ([[1, 2, 3]], [[1, 2, 3]], [(0, 2)]),
        # one may be the beginning of the other
        ([[1, 2, 3, 4]], [[1, 2]], [(0, 1)]),
        ([[1, 2]], [[1, 2, 3, 4]], [(0, 2)]),
        ([], [], []),
    ],
)
def test_donors_by_hand(running, new, found):
    assert find_donors(list(map(beginning, running)), list(map(beginning, new))) == found


def test_a_picture_that_is_not_the_questions_is_never_taken():
    """Ids of pictures are alike whatever they show."""
    ids = [1, IMAGE, 2, IMAGE, 3, 4]
    for images, alike in ((0, 1), (1, 3), (2, 5)):
        pair = [beginning(ids, images=images), beginning(ids, images=images)]
        assert find_donors([], pair) == [None, (0, alike)]
    # an answer with a picture and one without: what comes before it is alike
    one, other = beginning([1, IMAGE, 2, IMAGE, 3], images=1), beginning([1, IMAGE, 2, 5, 3], images=1)
    assert find_donors([one], [other]) == [(0, 3)]
    assert find_donors([other], [one]) == [(0, 3)]


def test_groups_and_rope_sets_are_apart():
    same = [1, 2, 3, 4]
    new = [beginning(same, None), beginning(same, None), beginning(same, "a"), beginning(same, "b"),
           beginning(same, "a", long=True), beginning(same, "a")]  # fmt: skip
    assert find_donors([], new) == [None, None, None, None, None, (2, 3)]


@pytest.mark.parametrize("seed", range(50))
def test_what_is_taken_is_what_the_donor_has(seed):
    draw = random.Random(seed)
    every = [
        beginning(
            [draw.choice([1, 1, 1, 2, IMAGE]) for _ in range(draw.randint(1, 9))], draw.choice(["a", "b", None]), 1
        )
        for _ in range(12)
    ]
    count = draw.randint(0, 6)
    for own, found in zip(every[count:], find_donors(every[:count], every[count:]), strict=True):
        if found is None:
            continue
        donor, alike = every[found[0]], found[1]
        assert own.group == donor.group is not None
        assert list(own.ids[:alike]) == list(donor.ids[:alike])
        assert alike < len(own.ids)
        assert list(own.ids[:alike]).count(IMAGE) <= 1
        # a donor computes for itself, unless it runs already
        position = found[0]
        assert position < count or find_donors(every[:count], every[count:])[position - count] is None


@pytest.mark.parametrize(("one", "other", "length"), [("", "", 0), ("ab", "ab", 2), ("ab", "abc", 2), ("xb", "ab", 0)])
def test_common_prefix_length(one, other, length):
    assert common_prefix_length(list(map(ord, one)), list(map(ord, other))) == length
