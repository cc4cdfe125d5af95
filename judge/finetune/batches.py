"""Rows to batches: in which order, what they share, and how they are padded.

    order = Order(groups=["PBL", "SA", "PBL", …], batch=24, batches=400, seed=0)     indices of rows, for the whole run

A run is one pass over one endless order, not a number of epochs: to resume is to skip what was done. Rows of one group
come together; every group is its own shuffled stream, and the groups take turns by their size. With `share_prefix` a
group is a category and a rope regime, whose prompts begin with the same few hundred tokens (system line and rubric);
those are left out of the rows and come once a batch. Without it there is one group.

Padding goes behind a row, where causal attention never comes back to it.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from judge.finetune.dataset import Encoder, Row
from judge.model import images

IGNORED = -100
"""The label of what is not learned, as torch and transformers have it."""

Prefix = tuple[int, ...]
"""Ids that the prompts of a group begin with."""


class Order:
    """A sampler for torch's DataLoader: `batch` times `batches` indices, of one group in every batch."""

    def __init__(self, groups: Sequence[Hashable], *, batch: int, batches: int, seed: int) -> None:
        self.groups, self.batch, self.batches, self.seed = groups, batch, batches, seed

    def __len__(self) -> int:
        return self.batch * self.batches

    def __iter__(self) -> Iterator[int]:
        members: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, group in enumerate(self.groups):
            members[group].append(number)
        streams = {group: self._stream(group, rows) for group, rows in members.items()}
        due = dict.fromkeys(members, 0.0)
        for _ in range(self.batches):
            for group, rows in members.items():
                due[group] += len(rows) / len(self.groups)
            turn = max(due, key=lambda group: due[group])
            due[turn] -= 1
            yield from itertools.islice(streams[turn], self.batch)

    def _stream(self, group: Hashable, rows: Sequence[int]) -> Iterator[int]:
        rng = random.Random(f"{self.seed}/{group}")
        while True:
            yield from rng.sample(rows, len(rows))


def group_rows(rows: Sequence[Row], *, share_prefix: bool, rope_limit: int) -> list[Hashable]:
    """The group of every row. rope_limit: prompts of more tokens are in the other rope regime, and share nothing."""
    return [(row.category, len(row.prompt) > rope_limit) if share_prefix else None for row in rows]


def find_shared_prefixes(rows: Sequence[Row], of_rows: Sequence[Hashable], image_token: int) -> dict[Hashable, Prefix]:
    """Group → what all its prompts begin with: no picture, and never a whole prompt."""
    prompts: defaultdict[Hashable, list[tuple[int, ...]]] = defaultdict(list)
    for row, group in zip(rows, of_rows, strict=True):
        prompts[group].append(row.prompt)
    prefixes = {}
    for group, some in prompts.items():
        # what the extremes of an ordering share, all share
        pairs = zip(min(some), max(some), strict=False)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1] != image_token, pairs)
        shortest = min(map(len, some))
        prefixes[group] = tuple(a for a, _ in itertools.islice(same, shortest - 1))
    return prefixes


class Collator:
    """(row, shared prefix) of one group to the tensors that `judge.finetune.loss.Lesson` takes.

    input_ids, labels (rows, longest); prompt_lengths (rows): tokens of the whole prompt; scores (rows): what the
    annotators gave; score_positions (rows): columns of the score tokens; with pictures, pixel_values (tiles, 3, side,
    side) in the order of their tokens; with a shared prefix, prefix (tokens).
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __call__(self, items: Sequence[tuple[Row, Prefix]]) -> dict[str, Any]:
        import torch

        rows = [row for row, _ in items]
        (prefix,) = {shared for _, shared in items}
        starts = [len(row.prompt) - len(prefix) for row in rows]
        longest = max(start + len(row.completion) for start, row in zip(starts, rows, strict=True))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        for i, (start, row) in enumerate(zip(starts, rows, strict=True)):
            end = start + len(row.completion)
            ids[i, :end] = torch.tensor([*row.prompt[len(prefix) :], *row.completion])
            labels[i, start:end] = torch.tensor(row.completion)
        batch = {
            "input_ids": ids,
            "labels": labels,
            "prompt_lengths": torch.tensor([len(row.prompt) for row in rows]),
            "scores": torch.tensor([row.score for row in rows], dtype=torch.float32),
            "score_positions": torch.tensor(
                [start + row.score_position for start, row in zip(starts, rows, strict=True)]
            ),
        }
        if prefix:
            batch["prefix"] = torch.tensor(prefix)
        stacks = [self.encoder.tiles(picture) for row in rows for picture in row.pictures]
        if stacks:
            batch["pixel_values"] = torch.from_numpy(images.pixel_values(np.concatenate(stacks)))
        return batch
