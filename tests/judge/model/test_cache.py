"""The arena: stretches never overlap, and all of it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.model.cache import KeyValues, Regions, token_bytes


@given(st.integers(0, 60), st.lists(st.tuples(st.booleans(), st.integers(1, 25)), max_size=60))
def test_stretches_are_apart_and_come_back(size, wishes):
    """Against a plain model: a set of places."""
    regions, taken, places = Regions(size), [], set(range(size))
    for give_back, length in wishes:
        if give_back and taken:
            start, some = taken.pop(length % len(taken))
            regions.give(start, some)
            places |= set(range(start, start + some))
        else:
            starts = [start for start in range(size) if places.issuperset(range(start, start + length))]
            assert regions.fits(length) == bool(starts)
            # first fit: the lowest
            start = regions.take(length)
            assert start == (min(starts) if starts else None)
            if start is not None:
                taken.append((start, length))
                places -= set(range(start, start + length))
        assert regions.free == len(places)
    for start, some in taken:
        regions.give(start, some)
    assert regions.take(size) == (0 if size else None)


def test_what_is_free_cannot_be_given():
    regions = Regions(10)
    start = regions.take(4)
    regions.give(start, 4)
    with pytest.raises(ValueError, match="places 0 to 4 were not taken"):
        regions.give(start, 4)


def test_shape_and_bytes(second):
    """2 layers, 3 key heads of 96/6 = 16 numbers, float32: a token takes 2 · 2 · 3 · 16 · 4 = 768 bytes."""
    cache = KeyValues(second.model, 7)
    assert [keys.shape for keys in cache.keys] == [(7, 3, 16)] * 2
    assert [values.shape for values in cache.values] == [(7, 3, 16)] * 2
    assert token_bytes(second.model) == 768
    numbers = sum(x.numel() for x in (*cache.keys, *cache.values))
    assert 4 * numbers == 7 * 768


def test_views_are_of_one_memory(second):
    cache, other = KeyValues(second.model, 9), KeyValues(second.model, 4)
    for number, x in enumerate((*other.keys, *other.values)):
        x.fill_(number)
    for x in (*cache.keys, *cache.values):
        x.fill_(-1)
    cache.copy(5, other, 3)
    for number, x in enumerate((*cache.keys, *cache.values)):
        assert x[:, 0, 0].tolist() == [-1] * 5 + [number] * 3 + [-1]
