"""Does a judge give the same answer the same score when nothing that should matter is changed?

The same answers are judged again under other circumstances, one at a time: each is a small function below, and a line
of the table says how many of the scores moved.

    repeat_judging(grader, requests, folder).rows[4]
    Row(name="jpeg", about="the same pixels stored as JPEG …", against="first", n=60, moved=4, largest=2,
        equal=Estimate(93.3, 84.1, 97.4, 60), lost=0)

Answers are the references of a benchmark and the same made worse (`judge.validity.probe.controls`), so that there are
good and bad scores to move. An answer counts where it has a score both times, and where the change changes anything
about it. The interval of the share of equal scores is at 95%, clustered by question.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.estimate import Estimate
from judge.core.request import Picture, Request, Text
from judge.core.rubric import Rubric
from judge.core.verdict import Verdict
from judge.engines import Engine
from judge.io.image_paths import ImageRefused
from judge.io.progress import Bar, progress_bar
from judge.model import images
from judge.results.statistics import clustered_proportion
from judge.scoring.grader import Grader
from judge.validity.probe import GOOD, controls

FIRST = "first"
"""The judging that others are compared with: all answers at once, in order."""
JPEG_QUALITY = 90
HEADING = re.compile(r"^(#+[ \t]*)question(:?[ \t]*\n)\Z", re.IGNORECASE | re.MULTILINE)
PARAPHRASE = r"\1What was asked\2"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One judging of the answers. requests: None for an answer that the change leaves as it is, or cannot be made to.

    order: positions in the order they are put to the judge; alone: one at a time, so that no batch is shared.
    """

    grader: Grader
    requests: Sequence[Request | None]
    order: Sequence[int]
    alone: bool = False


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a change has to work with: the first judging, its verdicts, a folder for pictures, and what loads the judge
    in the other number type, None where that is not for us to choose."""

    first: Trial
    verdicts: Sequence[Verdict | None]
    folder: Path
    other_dtype: Callable[[], Engine] | None = None


Change = Callable[[Setting], Trial | str]
"""The judging under other circumstances, or why they cannot be had here."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What a change did to the scores of n answers. largest: the largest move, in points. equal: percent of scores that
    are equal. lost: answers that have a score in only one of the two judgings. why_not: set where it was not tried."""

    name: str
    about: str
    against: str
    n: int
    moved: int
    largest: int | None
    equal: Estimate
    lost: int
    why_not: str | None = None


@dataclasses.dataclass(frozen=True)
class StabilityReport:
    """rows: one a change, in order. scores: for each judging the score of every answer, None where it has none."""

    answers: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    scores: Mapping[str, Sequence[int | None]]

    def to_json(self) -> dict[str, Any]:
        """As in `stability.json`."""
        return {
            "changes": {row.name: dataclasses.asdict(row) for row in self.rows},
            "summary": self.sentences(),
            "answers": [
                {"id": id_, "case": case, **{name: scores[number] for name, scores in self.scores.items()}}
                for number, (id_, case) in enumerate(self.answers)
            ],
        }

    @property
    def tried(self) -> Sequence[Row]:
        """The changes under which anything could be compared."""
        return [row for row in self.rows if row.n or row.lost]

    def sentences(self) -> str:
        """Which changes move scores, in plain words."""
        tried = self.tried
        moving = [row for row in tried if row.moved or row.lost]
        if not tried:
            return "Nothing could be compared: no answer has a score twice."
        if not moving:
            return f"None of the {len(tried)} changes that were tried moves a score."
        named = ", ".join(f"{row.name} ({_moves(row)})" for row in moving)
        return f"Scores are moved by {len(moving)} of the {len(tried)} changes that were tried: {named}."


def _moves(row: Row) -> str:
    moved = f"{row.moved} of {row.n}, by up to {row.largest}" if row.moved else ""
    lost = f"{row.lost} with a score in one judging only" if row.lost else ""
    return "; ".join(filter(None, (moved, lost)))


def again(setting: Setting) -> Trial | str:
    """The same answers, the same way: what moves here is the judge's own."""
    return setting.first


def reverse_order(setting: Setting) -> Trial | str:
    """The last answer is put to the judge first."""
    return dataclasses.replace(setting.first, order=setting.first.order[::-1])


def judge_alone(setting: Setting) -> Trial | str:
    """One answer at a time: no batch, and nothing shared with other answers."""
    return dataclasses.replace(setting.first, alone=True)


def change_dtype(setting: Setting) -> Trial | str:
    """The judge in bfloat16 instead of float32, or the other way round."""
    if setting.other_dtype is None:
        return "whoever serves the judge chose its number type"
    return dataclasses.replace(
        setting.first, grader=dataclasses.replace(setting.first.grader, engine=setting.other_dtype())
    )


def store_as_png(setting: Setting) -> Trial | str:
    """Every picture, as the judge decodes it, in a PNG file: the same pixels from other bytes."""
    return _with_pictures(setting, "png", lambda picture, file: _decoded(picture).save(file, "PNG"))


def store_as_jpeg(setting: Setting) -> Trial | str:
    """Every picture, as the judge decodes it, in a JPEG file: the JPEG's own pixels, which are not quite the same."""
    return _with_pictures(setting, "jpg", _save_jpeg)


def store_jpeg_as_png(setting: Setting) -> Trial | str:
    """The pixels of those JPEG files in PNG files: to be compared with them."""

    def save(picture: Picture, file: Path) -> None:
        _save_jpeg(picture, file)
        pixels = images.decode_image(file)
        pixels.save(file, "PNG")

    return _with_pictures(setting, "jpg.png", save)


def paraphrase_heading(setting: Setting) -> Trial | str:
    """The heading over the question in other words."""
    grader = setting.first.grader
    rubric = None if grader.rubric is None else paraphrased(grader.rubric)
    if rubric is None:
        return "the rubric has no line '### Question' before the question"
    return dataclasses.replace(setting.first, grader=dataclasses.replace(grader, rubric=rubric))


def put_own_feedback_first(setting: Setting) -> Trial | str:
    """What the judge said of an answer, score line included, as the first text of that answer."""

    def change(request: Request | None, verdict: Verdict | None) -> Request | None:
        if request is None or verdict is None or not verdict.feedback:
            return None
        return dataclasses.replace(request, answer=(Text(verdict.feedback), *request.answer))

    requests = [change(*pair) for pair in zip(setting.first.requests, setting.verdicts, strict=True)]
    return dataclasses.replace(setting.first, requests=requests)


CHANGES: Sequence[tuple[str, str, str, Change]] = (
    ("again", "the same answers in the same way", FIRST, again),
    ("order", "in reverse order", FIRST, reverse_order),
    ("batch", "one answer at a time instead of all at once", FIRST, judge_alone),
    ("png", "the decoded pixels of each picture stored as PNG: the same pixels", FIRST, store_as_png),
    ("jpeg", f"the same pixels stored as JPEG of quality {JPEG_QUALITY}: other pixels", FIRST, store_as_jpeg),
    ("jpeg_as_png", "the decoded pixels of that JPEG stored as PNG: the same pixels", "jpeg", store_jpeg_as_png),
    ("heading", "'### Question' becomes '### What was asked'", FIRST, paraphrase_heading),
    (
        "own_feedback",
        "the judge's feedback on the answer, with its score, in front of it",
        FIRST,
        put_own_feedback_first,
    ),
    ("dtype", "float32 instead of bfloat16, or the other way round", FIRST, change_dtype),
)
"""Name, what is compared, with which judging, and the change. The second judge is loaded last."""


def answers_to_repeat(requests: Sequence[Request]) -> list[tuple[str, Request]]:
    """(case, answer): the reference answers, and the same made worse in four ways, where an answer can be."""
    found = [(GOOD, request) for request in requests]
    for case in controls():
        for request in requests:
            answer = case.change(request, requests)
            if answer is not None:
                found.append((case.name, dataclasses.replace(request, answer=answer)))
    return found


def repeat_judging(
    grader: Grader,
    requests: Sequence[Request],
    folder: Path,
    other_dtype: Callable[[], Engine] | None = None,
    *,
    progress: bool = False,
) -> StabilityReport:
    """Judge the answers to `requests` (`judge.validity.probe.reference_requests`) once for each of `CHANGES`.

    folder: an existing one, for pictures in other formats. other_dtype: loads the judge in its other number type; None
    where that cannot be chosen. Raises what `Grader.grade` raises.
    """
    answers = answers_to_repeat(requests)
    first = Trial(grader, [request for _, request in answers], range(len(answers)))
    total = len(answers) * (len(CHANGES) + 1)
    grader.load()
    with progress_bar(total, "judging again", "answer", silent=not progress) as bar:
        verdicts = {FIRST: _judged(first, bar)}
        setting = Setting(first, verdicts[FIRST], folder, other_dtype)
        refused = {}
        for name, _, _, change in CHANGES:
            trial = change(setting)
            if isinstance(trial, str):
                refused[name] = trial
                bar.update(len(answers))
            else:
                verdicts[name] = _judged(trial, bar)
    scores = {name: [None if one is None else one.score for one in found] for name, found in verdicts.items()}
    ids = [request.id for _, request in answers]
    rows = [_row((name, about, against), ids, verdicts, refused.get(name)) for name, about, against, _ in CHANGES]
    return StabilityReport([(request.id, case) for case, request in answers], rows, scores)


def paraphrased(rubric: Rubric) -> Rubric | None:
    """The rubric with another heading over the question; None where a category has no line that is its heading."""
    templates = {}
    for category, template in rubric.templates.items():
        before, field, after = template.partition("{question}")
        changed, count = HEADING.subn(PARAPHRASE, before)
        if not field or not count:
            return None
        templates[category] = changed + field + after
    return Rubric(f"{rubric.name}-paraphrased", templates)


def _judged(trial: Trial, bar: Bar) -> list[Verdict | None]:
    """The verdict on every answer, in their own order; None where there was nothing to judge."""
    asked = [(position, request) for position in trial.order if (request := trial.requests[position]) is not None]
    verdicts: list[Verdict | None] = [None] * len(trial.requests)
    groups: Iterator[Sequence[tuple[int, Request]]] = iter([[one] for one in asked] if trial.alone else [asked])
    for group in groups:
        for number, verdict in trial.grader.grade([request for _, request in group]):
            verdicts[group[number][0]] = verdict
            bar.update()
    bar.update(len(trial.requests) - len(asked))
    return verdicts


def _row(
    named: tuple[str, str, str],
    ids: Sequence[str],
    verdicts: Mapping[str, Sequence[Verdict | None]],
    why_not: str | None,
) -> Row:
    """The line of a change. ids: of the question of every answer."""
    name, about, against = named
    if why_not is not None:
        return Row(name, about, against, 0, 0, None, clustered_proportion([], []), 0, why_not)
    both = list(zip(verdicts[against], verdicts[name], strict=True))
    moves: dict[str, list[int]] = {}
    lost = 0
    for id_, (before, now) in zip(ids, both, strict=True):
        if before is None or now is None:
            continue
        if before.score is not None and now.score is not None:
            moves.setdefault(id_, []).append(abs(now.score - before.score))
        else:
            lost += (before.score is None) != (now.score is None)
    every = [move for found in moves.values() for move in found]
    equal = clustered_proportion([found.count(0) for found in moves.values()], list(map(len, moves.values())))
    return Row(name, about, against, len(every), sum(map(bool, every)), max(every, default=None), equal, lost)


def _with_pictures(setting: Setting, ending: str, save: Callable[[Picture, Path], None]) -> Trial:
    """The answers that have a picture, all pictures of question and answer saved anew; None for the others, and for
    those with a picture that cannot be decoded."""
    saved: dict[Picture, Picture | None] = {}

    def again_saved(picture: Picture) -> Picture | None:
        if picture not in saved:
            file = setting.folder / f"{len(saved)}.{ending}"
            try:
                save(picture, file)
                saved[picture] = Picture(file, picture.name)
            except ImageRefused:
                saved[picture] = None
        return saved[picture]

    def change(request: Request | None) -> Request | None:
        if request is None or not request.pictures:
            return None
        sides = []
        for side in (request.question, request.answer):
            changed = [again_saved(segment) if isinstance(segment, Picture) else segment for segment in side]
            sides.append(tuple(segment for segment in changed if segment is not None))
        if list(map(len, sides)) != [len(request.question), len(request.answer)]:
            return None
        return dataclasses.replace(request, question=sides[0], answer=sides[1])

    return dataclasses.replace(setting.first, requests=[change(request) for request in setting.first.requests])


def _decoded(picture: Picture) -> Any:
    return images.decode_image(picture, scaled=picture.scaled)


def _save_jpeg(picture: Picture, file: Path) -> None:
    _decoded(picture).save(file, "JPEG", quality=JPEG_QUALITY)
