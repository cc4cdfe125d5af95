"""How MMIE is read: scores by category as histograms, and the worst and the best answers of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Dataset
from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.io.image_paths import ImageRefused
from judge.io.presentation import Group, View
from judge.io.responses import drawings
from judge.io.samples import Drawn, Missing, Piece, Sample
from mmie_tasks.joining import answered, join
from mmie_tasks.judging import locate
from mmie_tasks.metrics import METRICS, SCALE
from mmie_tasks.records import CATEGORIES, Part, category_of_id

SHOWN_PER_CATEGORY = 2


def samples(answers: Sequence[Answer], dataset: Dataset | None) -> list[Sample]:
    """Question, answer and reference of every answer; no question where nobody looked at the data."""
    data_root = None if dataset is None else dataset.image_root
    made = []
    for answer, (id_, record) in zip(answers, join(answers, dataset), strict=True):
        data = data_root if answer.record is None else None
        root = data if answer.record is None else answer.image_root
        question = [piece for part in record.question for piece in _pieces(part, root, data)] if record else []
        given = _answered(answer, id_, data)
        truth = "\n".join(part.text for part in record.answer if part.text) if record else ""
        category = record.category if record else category_of_id(id_)
        made.append(Sample(id_, None, category, tuple(question), tuple(given), truth or None, _failed(answer)))
    return made


def _answered(answer: Answer, id_: str, data_root: Path | None) -> list[Piece]:
    """The answer's texts and pictures in their order, each picture with what it was drawn from where that is known."""
    known = drawings(answer.response)
    given: list[Piece] = []
    for part in answered(answer, id_).parts:
        given += _pieces(part, answer.image_root, data_root)
        if part.image is not None and part.image in known:
            given.append(Drawn(**known[part.image]))
    return given


def _failed(answer: Answer) -> dict[str, str] | None:
    """Who of a system failed, where its answer says so."""
    said = answer.failed or {}
    return {name: str(said[name]) for name in ("reason", "by", "note") if said.get(name)} or None


def worst_and_best(verdicts: Sequence[Verdict]) -> list[Group]:
    """The answers with the lowest and the highest scores of every category, the lowest and the highest of all first.

    Among equals, the score's expectation decides, where the judge gave probabilities, then the id. No answer is in
    both groups, none at the top of the scale among the lowest and none at its bottom among the highest.
    """
    scored = sorted((verdict for verdict in verdicts if verdict.score is not None), key=_rank)
    groups = []
    for title, meaning, ordered, never in (
        ("Lowest scores", "What the judge liked least in every category.", scored, SCALE.highest),
        ("Highest scores", "What it liked best.", scored[::-1], SCALE.lowest),
    ):
        chosen = []
        for name in CATEGORIES:
            of = [verdict for verdict in ordered if verdict.category == name]
            chosen += [v for v in of[: min(SHOWN_PER_CATEGORY, len(of) // 2)] if v.score != never]
        chosen.sort(key=_rank, reverse=ordered is not scored)
        groups.append(Group(title, meaning, [((v.id, v.index),) for v in chosen], len(scored)))
    return groups


def _rank(verdict: Verdict) -> tuple[int, float, str]:
    assert verdict.score is not None
    probs = verdict.score_probs
    expected = sum(score * share for score, share in enumerate(probs)) if probs else float(verdict.score)
    return verdict.score, expected, verdict.id


def _pieces(part: Part, root: Path | None, data_root: Path | None) -> list[Piece]:
    """data_root: as in `judging.build_request`, so that a sample shows what the judge saw."""
    pieces: list[Piece] = [Text(part.text)] if part.text else []
    if part.image is not None:
        try:
            found = Missing(part.image) if root is None else locate(part.image, root, linked=root == data_root)
            pieces.append(found)
        except ImageRefused:
            pieces.append(Missing(part.image))
    return pieces


VIEW = View(
    about=f"Questions and answers mix texts and pictures: a judge model reads each answer and gives it {SCALE} points.",
    metrics=METRICS,
    details={
        "field": "field",
        "form": "form",
        "steps_judged": "steps judged",
        "criteria": "criteria",
        "exact": "right by rule",
        "note": "note",
    },
    samples=samples,
    singled_out=worst_and_best,
    published=Path(__file__).with_name("published.json"),
)
