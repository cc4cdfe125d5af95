"""From answers to verdicts: assess → look up → judge what is missing → journal.

    assessed = benchmark.assess(answers, dataset, "strict")          # rules decide, or leave a request for the judge
    judge_answers(assessed, Grader(engine, rubric, "strict", signature), journal)  ->  [Verdict, …]  one an answer

What rules leave goes to the engine, once per distinct request (its words and its pictures' files), in whatever order
the engine likes. Every verdict is in the journal before the next one is waited for. An adapter that has requests of its
own calls `judge_requests`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

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
from judge.model.judge_files import Fields, read_object
from judge.scoring.background_keys import BackgroundKeys, request_keys
from judge.scoring.coverage import Part
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.keys import rule_key

DEFAULT_JUDGE = "MMIE/MMIE-Score"
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
    refuse_strangers({name for name, _ in journal.questions()}, {item.id for item in assessed}, journal.path)
    verdicts: list[Verdict | None] = [None] * len(assessed)
    requests: list[tuple[int, Request]] = []
    for position, item in enumerate(assessed):
        if isinstance(item, Request):
            requests.append((position, item))
        else:
            verdicts[position] = journal.record(dataclasses.replace(item, key=rule_key(item, grader.signature)))
    judged = judge_requests(
        [request for _, request in requests], grader, journal, retry_unscored=retry_unscored, progress=progress
    )
    for number, verdict in judged:
        verdicts[requests[number][0]] = verdict
    return [verdict for verdict in verdicts if verdict is not None]


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
    known = _Known(journal, retry_unscored)
    alike: dict[Hashable, list[int]] = {}
    for position, request in enumerate(requests):
        alike.setdefault(_content(request, grader), []).append(position)
    answered = {name for name, _ in journal.questions()}
    seen = [positions for positions in alike.values() if any(requests[p].id in answered for p in positions)]
    keys = request_keys([requests[positions[0]] for positions in seen], grader)
    reading = tqdm(keys, "reading", total=len(seen), disable=not progress, delay=2, leave=False)
    for positions, key in zip(seen, reading, strict=True):
        if (verdict := known.verdict(key)) is not None:
            del alike[_content(requests[positions[0]], grader)]
            for position in positions:
                yield position, journal.record(_about(requests[position], verdict))
    if alike:
        yield from _judge_distinct(requests, list(alike.values()), grader, known, progress)


def _judge_distinct(
    requests: Sequence[Request], alike: Sequence[Sequence[int]], grader: Grader, known: _Known, progress: bool
) -> Iterator[tuple[int, Verdict]]:
    """Judge one of each group of like requests. alike: their positions in `requests`."""
    distinct = [requests[positions[0]] for positions in alike]
    before = len(requests) - sum(map(len, alike))
    with (
        tqdm(total=len(requests), initial=before, desc="judging", disable=not progress, delay=1) as bar,
        BackgroundKeys(distinct, grader) as keys,
    ):
        for number, completion in grader.complete(distinct):
            key, changed = keys[number], keys.changed(number)
            if changed is not None:
                completion = Completion(None, unscored="engine_error", note=f"{changed} changed while it was judged")
            # files of other names may hold the same bytes: one key, one verdict
            verdict = known.verdict(key) if changed is None else None
            verdict = verdict or grader.verdict(distinct[number], completion, key)
            for position in alike[number]:
                yield position, known.journal.record(_about(requests[position], verdict))
            bar.update(len(alike[number]))


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
