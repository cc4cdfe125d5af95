"""Order, shared prefixes and padding of batches."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from judge.finetune.batches import IGNORED, Collator, Order, find_shared_prefixes, group_rows
from judge.finetune.dataset import Row

IMAGE = 9


class NoTiles:
    """Stands in for an encoder: pictures of two grey tiles, named by their level."""

    def tiles(self, path: Path) -> Any:
        return np.full((2, 4, 4, 3), int(path.name), dtype=np.uint8)


def row(category: str, prompt: list[int], completion: list[int], pictures: int = 0) -> Row:
    paths = tuple(Path(str(number)) for number in range(pictures))
    return Row(("q", "m"), category, tuple(prompt), tuple(completion), paths, 3.0, 1)


ROWS = [
    row("SA", [1, 2, 3, 4, 5], [7, 8]),
    row("SA", [1, 2, 3, 6], [7, 8, 8]),
    row("PBL", [1, 5, IMAGE, IMAGE, 2], [7, 8], pictures=1),
    row("PBL", [1, 5, IMAGE, IMAGE, 3, 3], [7, 8], pictures=1),
    row("PBL", [1, 5, IMAGE, IMAGE, 3, 3, 3, 3], [7, 8]),
]


def test_batches_are_of_one_group_and_groups_take_turns_by_size() -> None:
    """30 rows of a and 10 of b: of 40 batches 30 are of a; every row comes 40 * 4 / 40 = 4 times."""
    order = list(Order(["a"] * 30 + ["b"] * 10, batch=4, batches=40, seed=0))
    cut = [order[start : start + 4] for start in range(0, len(order), 4)]
    kinds = [{"a" if number < 30 else "b" for number in batch} for batch in cut]
    assert all(len(kind) == 1 for kind in kinds)
    assert Counter(kind.pop() for kind in kinds) == {"a": 30, "b": 10}
    assert set(Counter(order).values()) == {4}


def test_one_group_is_a_chain_of_permutations() -> None:
    order = list(Order([None] * 10, batch=3, batches=10, seed=1))
    for start in (0, 10, 20):
        assert sorted(order[start : start + 10]) == list(range(10))
    assert order[:10] != order[10:20]


def test_an_order_repeats_and_is_the_start_of_a_longer_one() -> None:
    some = Order(["a", "b", "a"], batch=2, batches=5, seed=3)
    assert list(some) == list(some)
    assert len(some) == len(list(some)) == 10
    longer = Order(["a", "b", "a"], batch=2, batches=50, seed=3)
    assert list(itertools.islice(longer, 10)) == list(some)
    assert list(some) != list(Order(["a", "b", "a"], batch=2, batches=5, seed=4))


def test_prefixes_end_before_pictures_and_before_a_prompt_does() -> None:
    of_rows = group_rows(ROWS, share_prefix=True, rope_limit=6)
    assert of_rows == [("SA", False), ("SA", False), ("PBL", False), ("PBL", False), ("PBL", True)]
    assert find_shared_prefixes(ROWS, of_rows, IMAGE) == {
        ("SA", False): (1, 2, 3),
        ("PBL", False): (1, 5),
        ("PBL", True): (1, 5),
    }
    same = [row("SA", [1, 2, 3], [7])] * 2
    assert find_shared_prefixes(same, [None, None], IMAGE) == {None: (1, 2)}
    assert set(group_rows(ROWS, share_prefix=False, rope_limit=6)) == {None}


def test_only_completions_are_learned() -> None:
    batch = Collator(NoTiles())([(some, ()) for some in ROWS[:2]])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 7, 8], [1, 2, 3, 6, 7, 8, 8]]
    no = IGNORED
    assert batch["labels"].tolist() == [[no, no, no, no, no, 7, 8], [no, no, no, no, 7, 8, 8]]
    assert batch["prompt_lengths"].tolist() == [5, 4]
    assert batch["score_positions"].tolist() == [6, 5]
    assert "pixel_values" not in batch
    assert "prefix" not in batch


def test_a_shared_prefix_is_left_out_of_the_rows() -> None:
    whole = Collator(NoTiles())([(some, ()) for some in ROWS[2:4]])
    batch = Collator(NoTiles())([(some, (1, 5)) for some in ROWS[2:4]])
    assert batch["prefix"].tolist() == [1, 5]
    assert batch["input_ids"].tolist() == [[IMAGE, IMAGE, 2, 7, 8, 0], [IMAGE, IMAGE, 3, 3, 7, 8]]
    assert batch["labels"].tolist() == whole["labels"][:, 2:].tolist()
    assert batch["labels"][0, -1] == IGNORED  # padding
    assert batch["prompt_lengths"].tolist() == whole["prompt_lengths"].tolist() == [5, 6]
    assert batch["score_positions"].tolist() == [3 + 1, 4 + 1]
    assert batch["pixel_values"].shape == (4, 3, 4, 4)
