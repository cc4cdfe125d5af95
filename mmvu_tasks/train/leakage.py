"""What of MMVU's test set is in training data: its pictures, exactly or nearly, and its questions, word for word.

    tests = read_tests(None)                                     # $MMVU_DATA, else the Hub
    tests.leak_of_picture(see_picture(root, "coco/7.jpg"))       ->  "the picture of attribute/number/04, 2 bits apart"
    tests.leak_of_question("Is there a red bicycle?")            ->  "the question of attribute/existence/21"

A question is that of a test where its words are, in their order, without options, case and punctuation. A plain one
("How many people are there?") can be so by chance; it goes all the same, for it costs a pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from judge.core.benchmark import Source
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from mmvu_tasks.location import broken_image, load_dataset
from mmvu_tasks.records import parse_question
from mmvu_tasks.train.pictures import NEAR, Seen, nearest, see_picture
from mmvu_tasks.train.wording import words


@dataclasses.dataclass(frozen=True)
class Tests:
    """MMVU's test set as far as it may leak. near: bits by which pictures that are one differ at most."""

    source: Source
    questions: Mapping[tuple[str, ...], str]
    exact: Mapping[str, str]
    perceptual: npt.NDArray[np.uint64]
    ids: tuple[str, ...]
    near: int = NEAR

    def leak_of_question(self, question: str) -> str | None:
        """Whose question it is, None where nobody's."""
        id_ = self.questions.get(words(question))
        return None if id_ is None else f"the question of {id_}"

    def leak_of_picture(self, seen: Seen) -> str | None:
        """Whose picture it is, None where nobody's."""
        if seen.exact in self.exact:
            return f"the picture of {self.exact[seen.exact]}"
        position, bits = nearest(seen.perceptual, self.perceptual)
        return f"the picture of {self.ids[position]}, {bits} bits apart" if bits <= self.near else None


def read_tests(data: Path | None, near: int = NEAR) -> Tests:
    """The test set in a folder, else where `$MMVU_DATA` says, else on the Hub. Raises UserError."""
    try:
        dataset = load_dataset(data, images=True)
    except UserError as error:
        fix = f"{error.fix}; or --no-leak-check, which the card then says" if error.fix else None
        raise UserError(error.problem, file=error.file, record=error.record, field=error.field, fix=fix) from error
    assert dataset.image_root is not None
    questions: dict[tuple[str, ...], str] = {}
    pictures: dict[str, tuple[str, Seen]] = {}
    for record in dataset.records:
        parsed = parse_question(record.question)
        questions.setdefault(words(parsed[0] if parsed else record.question), record.id)
        if record.image not in pictures:
            try:
                pictures[record.image] = record.id, see_picture(dataset.image_root, record.image)
            except ImageRefused as refused:  # behind a whole header
                raise broken_image(refused, dataset.image_root, record) from None
    hashes = np.array([seen.perceptual for _, seen in pictures.values()], np.uint64)
    exact = {seen.exact: id_ for id_, seen in pictures.values()}
    return Tests(dataset.source, questions, exact, hashes, tuple(id_ for id_, _ in pictures.values()), near)
