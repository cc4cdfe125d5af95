"""The cache: stretches of slots never overlap, and all of them come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.model.cache import KeyValueCache, SlotAllocator, bytes_per_token


@given(st.integers(0, 60), st.lists(st.tuples(st.booleans(), st.integers(1, 25)), max_size=60))
def test_stretches_are_apart_and_come_back(size, wishes):
    """Against a plain model: a set of slots."""
    slots, taken, free = SlotAllocator(size), [], set(range(size))
    for give_back, length in wishes:
        if give_back and taken:
            start, some = taken.pop(length % len(taken))
            slots.release(start, some)
            free |= set(range(start, start + some))
        else:
            starts = [start for start in range(size) if free.issuperset(range(start, start + length))]
            # first fit: the lowest
            start = slots.allocate(length)
            assert start == (min(starts) if starts else None)
            if start is not None:
                taken.append((start, length))
                free -= set(range(start, start + length))
        assert slots.num_free == len(free)
    for start, some in taken:
        slots.release(start, some)
    assert slots.allocate(size) == (0 if size else None)


def test_what_is_free_cannot_be_given():
    slots = SlotAllocator(10)
    start = slots.allocate(4)
    slots.release(start, 4)
    with pytest.raises(ValueError, match="slots 0 to 4 are not allocated"):
        slots.release(start, 4)


def test_shape_and_bytes(second):
    """2 layers, 3 key heads of 96/6 = 16 numbers, float32: a token takes 2 · 2 · 3 · 16 · 4 = 768 bytes."""
    cache = KeyValueCache(second.model, 7)
    assert [keys.shape for keys in cache.keys] == [(7, 3, 16)] * 2
    assert [values.shape for values in cache.values] == [(7, 3, 16)] * 2
    assert bytes_per_token(second.model) == 768
    numbers = sum(x.numel() for x in (*cache.keys, *cache.values))
    assert 4 * numbers == 7 * 768


def test_views_are_of_one_memory(second):
    cache, other = KeyValueCache(second.model, 9), KeyValueCache(second.model, 4)
    for number, x in enumerate((*other.keys, *other.values)):
        x.fill_(number)
    for x in (*cache.keys, *cache.values):
        x.fill_(-1)
    cache.copy_from(other, 3, 5)
    for number, x in enumerate((*cache.keys, *cache.values)):
        assert x[:, 0, 0].tolist() == [-1] * 5 + [number] * 3 + [-1]
