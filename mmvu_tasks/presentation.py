"""How MMVU is read: RA against MR, plain questions against leading ones, and the pairs lost to the leading question."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Dataset
from judge.core.reply import read_reply
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.image_paths import ImageRefused, below
from judge.io.presentation import Group, View
from judge.io.samples import Missing, Piece, Question, Sample
from judge.model.altered import picture_cache
from mmvu_tasks.baselines import baselines
from mmvu_tasks.categories import NAMES
from mmvu_tasks.metrics import METRICS
from mmvu_tasks.pairs import join
from mmvu_tasks.records import Record

SHOWN_PER_CATEGORY = 2
_MADE = re.compile(r"[0-9a-f]{16}\.png")


def samples(answers: Sequence[Answer], dataset: Dataset | None) -> list[Sample]:
    """Question, picture and answer of every answer, whose index is known to fit the data."""
    return [_sample(answer, dataset) for answer in answers] if dataset is not None else []


def lost_pairs(verdicts: Sequence[Verdict]) -> list[Group]:
    """Pairs with outcome PN, the plain question first; the first few of every category."""
    halves: dict[str, dict[str, Question]] = {}
    for verdict in verdicts:
        halves.setdefault(verdict.id, {})[str(verdict.details["type"])] = (verdict.id, verdict.index)
    # in a pair published as POS/POS nobody can say which question led
    lost = [pair for pair in join(verdicts).pairs if pair.outcome() == "PN" and len(halves[pair.id]) == 2]
    chosen = [
        (halves[pair.id]["POS"], halves[pair.id]["NEG"])
        for name in NAMES
        for pair in [pair for pair in lost if pair.category == name][:SHOWN_PER_CATEGORY]
    ]
    meaning = "The plain question is answered right, the leading question about the same picture is not."
    return [Group("Lost to the leading question", meaning, chosen, len(lost))]


def _sample(answer: Answer, dataset: Dataset) -> Sample:
    assert answer.index is not None  # `assess` has refused others
    record: Record = dataset.records[answer.index]
    picture: Piece = Missing(record.image)
    if dataset.image_root is not None:
        with contextlib.suppress(ImageRefused):
            picture = Picture(below(dataset.image_root, record.image), record.image)
    response, kept = read_reply(answer.response)
    given = [response] if isinstance(response, str) else [p.get("text") for p in response or ()]
    said: list[Piece] = [Text(str(text)) for text in given if text]
    if "refined" in kept:
        said.append(_refined(kept["refined"]))
    return Sample(
        record.id, record.index, record.category, (picture, Text(record.question)), tuple(said), record.ground_truth
    )


def _refined(name: str) -> Piece:
    """The picture that was shown in place of the question's, where it is in the cache of those that were made."""
    path = picture_cache() / name
    return Picture(path, name) if _MADE.fullmatch(name) and path.is_file() else Missing(name)


VIEW = View(
    about="Every picture is asked about twice, plainly and leadingly: does a model that sees the answer keep to it?",
    metrics=METRICS,
    plane=("MR", "RA"),
    contrast=("POS", "NEG"),
    details={
        "type": "question",
        "letter": "read as",
        "letter_reference": "by the published script",
        "contract": "contract",
        "info": "said of the picture before",
    },
    words={"POS": "plain", "NEG": "leading"},
    samples=samples,
    singled_out=lost_pairs,
    published=Path(__file__).with_name("published.json"),
    answer="letter",
    baselines=baselines,
)
