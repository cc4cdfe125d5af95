"""From answers to verdicts: assess → look up → judge what is missing → journal.

    assessed = benchmark.assess(answers, dataset, "strict")          # rules decide, or leave a request for the judge
    judge_answers(assessed, Grader(engine, rubric, "strict", signature), journal)  ->  [Verdict, …]  one an answer

What rules leave goes to the engine, once per distinct request (its words and its pictures' files), in whatever order
the engine likes. Every verdict is in the journal before the next one is waited for. An adapter that has requests of its
own calls `judge_requests`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from judge.core import failure, score_text
from judge.core.benchmark import Benchmark, Profile, Source
from judge.core.condition import PLAIN, Condition
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.core.version import __version__
from judge.engines import Completion
from judge.errors import UserError
from judge.io.progress import MOMENT, progress_bar
from judge.model.judge_files import Fields, read_object
from judge.model.weights.source import DEFAULT_JUDGE
from judge.scoring.background_keys import BackgroundKeys, request_keys
from judge.scoring.coverage import Part
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.keys import rule_key

JUDGE_VARIABLE = "MMJUDGE_JUDGE"
UNKNOWN = "unknown"
"""The wording in which saved answers were asked for, where nothing says it."""
JUDGED = ("note", "criteria", "votes")
"""Details of a verdict that are the judge's, not the question's."""
RUBRIC_FILE = "mmjudge.json"
"""A judge folder may hold this file, `{"rubric": "mmjudge"}`: the name of the rubric that the judge was trained on."""


def default_judge() -> str:
    """`$MMJUDGE_JUDGE`, else the published judge."""
    return os.environ.get(JUDGE_VARIABLE) or DEFAULT_JUDGE


def default_rubric(judge: str) -> str:
    """The rubric a judge was trained on: what its folder's `mmjudge.json` names, else "official"."""
    file = Path(judge) / RUBRIC_FILE
    if not file.is_file():
        return "official"
    name = Fields(read_object(file), file).text("rubric")
    if not name:
        raise UserError("names no rubric", file=file, fix='write {"rubric": "mmjudge"} or delete it')
    return name


@dataclasses.dataclass(frozen=True)
class Asking:
    """How the answers came about. wording: name and hash of the form in which questions were put to the model
    (`judge.core.question.wording`); part: where only some of the questions were asked; condition: what they were asked
    under."""

    wording: str = UNKNOWN
    part: Part | None = None
    condition: Condition = PLAIN


def make_signature(
    benchmark: Benchmark,
    source: Source | None,
    profile: Profile,
    rubric: Rubric | None = None,
    identity: Mapping[str, str] | None = None,
    asking: Asking | None = None,
) -> Signature:
    """Everything that fixes a number, in one order. source None: no data was looked at (a replay).

    rubric and identity (`Engine.identity`) belong to judged benchmarks only; a rule has no judge, rubric or profile.
    asking: what is known of it; None for nothing.
    """
    asking = asking or Asking()
    parts = {"benchmark": benchmark.name}
    if source is not None:
        parts |= {"edition": source.edition, "data": f"{source.repo}@{source.revision}"}
        if source.subset is not None:
            parts["subset"] = str(source.subset)
    if asking.part is not None:
        parts["part"] = str(asking.part)
    if benchmark.judged:
        parts["profile"] = profile
        if rubric is not None:
            parts["rubric"] = rubric.label
        parts |= {**(identity or {}), "parse": score_text.VERSION}
    parts["failures"] = failure.VERSION
    parts |= {**benchmark.signature_parts(profile), "asked": asking.wording}
    if not asking.condition.plain:
        parts["condition"] = asking.condition.identity
    parts["version"] = __version__
    return Signature({name: value.replace("|", "_").replace("\n", " ") for name, value in parts.items()})


def judge_answers(
    assessed: Sequence[Request | Verdict],
    grader: Grader,
    journal: Journal,
    *,
    retry_unscored: bool = False,
    progress: bool = True,
) -> list[Verdict]:
    """One verdict for every answer, in their order. assessed: what `Benchmark.assess` made of the answers.

    Raises UserError for a journal that holds other questions and for requests without a judge, and whatever ends the
    engine; the journal then has all that was decided.
    """
    one = ToJudge(assessed, grader, journal)
    return judge_answers_together([one], retry_unscored=retry_unscored, progress=progress)[0]


@dataclasses.dataclass(frozen=True)
class ToJudge:
    """Answers of one model, as `Benchmark.assess` gave them back, and the journal that their verdicts go to."""

    assessed: Sequence[Request | Verdict]
    grader: Grader
    journal: Journal

    @property
    def requests(self) -> list[tuple[int, Request]]:
        """What rules left to the judge, with its position."""
        return [(position, item) for position, item in enumerate(self.assessed) if isinstance(item, Request)]


def judge_answers_together(
    several: Sequence[ToJudge], *, retry_unscored: bool = False, progress: bool = True
) -> list[list[Verdict]]:
    """For each of `several` what `judge_answers` gives, all put to the engine at once: answers to one question share
    it. Raises as `judge_answers` does, before anything is written where a journal holds other questions."""
    for one in several:
        asked = {item.id for item in one.assessed}
        refuse_strangers({name for name, _ in one.journal.questions()}, asked, one.journal.path)
    verdicts: list[list[Verdict | None]] = [[None] * len(one.assessed) for one in several]
    for one, decided in zip(several, verdicts, strict=True):
        for position, item in enumerate(one.assessed):
            if isinstance(item, Verdict):
                key = rule_key(item, one.grader.signature)
                decided[position] = one.journal.record(dataclasses.replace(item, key=key))
    positions = [[position for position, _ in one.requests] for one in several]
    parts = [
        _Judging([request for _, request in one.requests], one.grader, _Known(one.journal, retry_unscored))
        for one in several
    ]
    for number, position, verdict in _judge_together(parts, progress):
        verdicts[number][positions[number][position]] = verdict
    return [[verdict for verdict in decided if verdict is not None] for decided in verdicts]


def refuse_strangers(there: set[str], asked: set[str], file: Path) -> None:
    """Raise UserError where a journal has lines about other questions than those that are answered now."""
    strangers = sorted(there - asked)
    if strangers:
        raise UserError(
            f"holds {len(strangers)} verdicts about questions that are not answered now, first {strangers[0]!r}",
            file=file,
            fix="one folder is for one set of answers: give another --out",
        )


def judge_requests(
    requests: Sequence[Request],
    grader: Grader,
    journal: Journal,
    *,
    retry_unscored: bool = False,
    progress: bool = False,
) -> Iterator[tuple[int, Verdict]]:
    """Yield (position in `requests`, verdict) once for every request: first what the journal knows, then as judged.

    What an earlier run left without a score stands, unless the engine had failed. retry_unscored: judge all of that
    again. A request whose picture changes before its verdict is there is unscored, `engine_error`, and judged again by
    the next run.
    """
    judging = _Judging(requests, grader, _Known(journal, retry_unscored))
    for _, position, verdict in _judge_together([judging], progress):
        yield position, verdict


def _judge_together(parts: Sequence[_Judging], progress: bool) -> Iterator[tuple[int, int, Verdict]]:
    """Yield (number of the part, position in its requests, verdict): first what journals know, then as judged."""
    for number, part in enumerate(parts):
        for position, verdict in part.known_verdicts(progress):
            yield number, position, verdict
    total = sum(len(part.requests) for part in parts)
    waiting = sum(len(positions) for part in parts for positions in part.alike)
    if not waiting:
        return
    with contextlib.ExitStack() as stack:
        keys = [stack.enter_context(BackgroundKeys(part.distinct, part.grader)) for part in parts]
        for part in parts:
            part.grader.load()
        after = 0.0 if any(part.grader.reads for part in parts) else MOMENT
        known = total - waiting
        bar = stack.enter_context(
            progress_bar(total, "judging", "answer", after=after, done=known, silent=not progress)
        )
        for number, place, completion in _completions(parts):
            part = parts[number]
            for position, verdict in part.verdicts(place, completion, keys[number]):
                yield number, position, verdict
            bar.update(len(part.alike[place]))


def _completions(parts: Sequence[_Judging]) -> Iterator[tuple[int, int, Completion]]:
    """(number of the part, place in its `distinct`, completion); what one judge is asked in the same words is asked
    together, answers to one question beside each other."""
    judges: dict[tuple[int, str], list[int]] = {}
    for number, part in enumerate(parts):
        rubric = part.grader.rubric
        judges.setdefault((id(part.grader.engine), rubric.label if rubric else ""), []).append(number)
    for numbers in judges.values():
        asked = [(number, place) for number in numbers for place in range(len(parts[number].distinct))]
        first: dict[str, int] = {}
        for number, place in asked:
            first.setdefault(parts[number].distinct[place].id, len(first))
        asked.sort(key=lambda one: first[parts[one[0]].distinct[one[1]].id])
        grader = parts[numbers[0]].grader
        for position, completion in grader.complete([parts[number].distinct[place] for number, place in asked]):
            yield *asked[position], completion


class _Judging:
    """The requests of one journal. alike: their positions, by what is judged once; distinct: the first of each."""

    def __init__(self, requests: Sequence[Request], grader: Grader, known: _Known) -> None:
        self.requests, self.grader, self._known = requests, grader, known
        alike: dict[Hashable, list[int]] = {}
        for position, request in enumerate(requests):
            alike.setdefault(_content(request, grader), []).append(position)
        self._leave(list(alike.values()))

    def _leave(self, alike: list[list[int]]) -> None:
        self.alike, self.distinct = alike, [self.requests[positions[0]] for positions in alike]

    def known_verdicts(self, progress: bool) -> Iterator[tuple[int, Verdict]]:
        """What the journal knows, which then need not be judged."""
        answered = {name for name, _ in self._known.journal.questions()}
        seen = [positions for positions in self.alike if any(self.requests[p].id in answered for p in positions)]
        asked = [self.requests[positions[0]] for positions in seen]
        found = set()
        for positions, key in zip(seen, request_keys(asked, self.grader, silent=not progress), strict=True):
            if (verdict := self._known.verdict(key)) is not None:
                found.add(positions[0])
                yield from self._record(positions, verdict)
        self._leave([positions for positions in self.alike if positions[0] not in found])

    def verdicts(self, place: int, completion: Completion, keys: BackgroundKeys) -> Iterator[tuple[int, Verdict]]:
        """The verdicts on all requests that are like `distinct[place]`, in the journal."""
        key, changed = keys[place], keys.changed(place)
        if changed is not None:
            completion = Completion(None, unscored="engine_error", note=f"{changed} changed while it was judged")
        # files of other names may hold the same bytes: one key, one verdict
        verdict = self._known.verdict(key) if changed is None else None
        verdict = verdict or self.grader.verdict(self.distinct[place], completion, key)
        yield from self._record(self.alike[place], verdict)

    def _record(self, positions: Sequence[int], verdict: Verdict) -> Iterator[tuple[int, Verdict]]:
        for position in positions:
            yield position, self._known.journal.record(_about(self.requests[position], verdict))


@dataclasses.dataclass(frozen=True)
class _Known:
    """Verdicts of the journal that need no judging again."""

    journal: Journal
    retry_unscored: bool

    def verdict(self, key: str) -> Verdict | None:
        known = self.journal.get(key)
        if known is None or not known.stands or (self.retry_unscored and known.unscored is not None):
            return None
        return known


def _content(request: Request, grader: Grader) -> Hashable:
    """What tells a request from others before its pictures are read."""
    if not grader.reads:
        return request.id
    return request.category, request.question, request.answer, request.gt_answer


def _about(request: Request, verdict: Verdict) -> Verdict:
    """`verdict` as the decision about `request`; requests with the same content share one."""
    judged = {name: value for name, value in verdict.details.items() if name in JUDGED}
    return dataclasses.replace(verdict, id=request.id, category=request.category, details={**request.details, **judged})
