"""Saved answers in, a results folder out: what `mmjudge score` does, from Python.

    run = score("responses.jsonl", "mmvu", "out/a", data="mmr")
    run.estimate("RA")  ->  {"value": 60.58, "ci_low": 57.3, "ci_high": 63.7, "n": 893}

    judge = load_judge("MMIE/MMIE-Score")                        # once, for the answers of many models
    run = score("anole.jsonl", "mmie", "out/anole", judge=judge)

`verdicts.jsonl` is the journal: killed at any point, the same call goes on and judges nothing twice. `results.json` is
there when everything is decided, and only then.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Benchmark, Dataset, Profile, Source, find
from judge.core.condition import PLAIN, Condition, find_condition
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import DEFAULT_OPTIONS, Engine, EngineOptions, Usage
from judge.engines.loading import check_engine, default_tokenizer, is_address, load_engine
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.io.files import write_json_lines
from judge.io.presentation import keep_samples
from judge.io.progress import MOMENT, doing, say
from judge.io.responses import read_responses
from judge.results.result import build_result, note_condition
from judge.results.run_folder import Run, RunFolder
from judge.results.run_info import RunInfo, describe_answers, name_of_condition, name_of_model, name_of_wording
from judge.scoring.coverage import complete, missing_pictures, within_subset
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import (
    UNKNOWN,
    Asking,
    default_judge,
    default_rubric,
    judge_answers,
    make_signature,
    refuse_strangers,
)

ENGINE_PACKAGES = ("pillow", "safetensors", "torch", "transformers")
"""Whose versions results of a judge that ran here are recorded with."""


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """How answers are scored.

    image_root: the folder that pictures of answers lie below; None for that of the file. rubric: the wording put to
    the judge; None for the one that the judge was trained on. profile: "strict", or "reference" as the official
    scripts do. engine: how the judge is loaded. retry_unscored: judge again what an earlier run left unscored.
    keep_images: keep all pictures for reports, not only few or singled-out ones. partial: only the questions that have
    an answer were asked; without it, the others are unscored. model: name of the model that answered; condition: of
    what the questions were asked under; None for what the file says. subset: name of a fixed part of the questions that
    is scored instead of all (`Benchmark.subsets`); other answers are left out. repeat: which of the answers to each
    question is scored, from 1, where every one has several (`judge.scoring.several.score_repeats`).
    """

    image_root: Path | None = None
    rubric: str | None = None
    profile: Profile = "strict"
    engine: EngineOptions = DEFAULT_OPTIONS
    retry_unscored: bool = False
    keep_images: bool = False
    partial: bool = False
    model: str | None = None
    condition: str | None = None
    subset: str | None = None
    repeat: int | None = None


DEFAULTS = ScoreOptions()


@dataclasses.dataclass(frozen=True)
class LoadedJudge:
    """A judge that is ready. rubric: name of the wording that it was trained on."""

    engine: Engine
    rubric: str


def load_judge(judge: str | None = None, options: EngineOptions = DEFAULT_OPTIONS) -> LoadedJudge:
    """Find a judge, or connect to it, for any number of calls of `score`: one that runs here is loaded once, when the
    first of them has something to judge.

    judge: a Hub repository, a folder, an address or "replay:FILE"; None for the default one. Raises UserError.
    """
    judge = judge or default_judge()
    return LoadedJudge(load_engine(judge, options), default_rubric(_judge_folder(judge, options)))


@dataclasses.dataclass(frozen=True)
class Scoring:
    """Answers and all that their verdicts depend on, read and checked; nothing is written yet.

    given: the answers of the file. assessed: what rules decide, and a request for the judge where they do not, one for
    every question (`judge.scoring.coverage`). dataset: None where nobody needs the questions. source: where the
    questions came from, None if nobody looked. condition: what the questions were asked under.
    """

    benchmark: Benchmark
    given: Sequence[Answer]
    assessed: Sequence[Request | Verdict]
    dataset: Dataset | None
    source: Source | None
    grader: Grader
    options: ScoreOptions
    info: RunInfo
    condition: Condition = PLAIN

    def check_folder(self, folder: RunFolder) -> None:
        """Raise UserError where `folder` holds another run. Nothing is changed.

        A folder is for one set of answers of one model, and a finished one for one way to measure.
        """
        folder.refuse_other_owner(self.info.owner)
        if folder.results.exists():
            found = Signature.parse(folder.read_results()["signature"])
            if parts := self.grader.signature.all_differences(found):
                raise UserError(
                    f"holds results that were measured otherwise: {', '.join(parts)} differ",
                    file=folder.results,
                    fix="give another --out",
                )
        if folder.verdicts.exists():
            there, asked = {v.id for v in folder.read_verdicts()}, {item.id for item in self.assessed}
            refuse_strangers(there, asked, folder.verdicts)

    def judge_into(self, folder: RunFolder, journal: Journal) -> Run:
        """Judge what `journal`, the folder's, does not hold, and write the results. Raises UserError."""
        folder.claim(self.info.owner)
        self.say_missing_pictures()
        before = usage_of(self.grader.engine)
        verdicts = judge_answers(self.assessed, self.grader, journal, retry_unscored=self.options.retry_unscored)
        # of this call alone: an engine may serve several
        return self.write_results(folder, verdicts, usage_since(before, self.grader.engine))

    def say_missing_pictures(self) -> None:
        """On stderr, before anything is judged."""
        if (missing := missing_pictures(self.given, self.assessed)) is not None:
            say(missing)

    def write_results(self, folder: RunFolder, verdicts: Sequence[Verdict], usage: Mapping[str, int] | None) -> Run:
        """Write what follows from the verdicts on all answers. usage: what a server counted for them, None where nobody
        knows. Raises UserError."""
        with doing("writing samples and results", after=MOMENT):
            return self._write_results(folder, verdicts, usage)

    def _write_results(self, folder: RunFolder, verdicts: Sequence[Verdict], usage: Mapping[str, int] | None) -> Run:
        run = self.info.to_json(ENGINE_PACKAGES if self.grader.reads else ())
        if usage is not None:
            run["usage"] = dict(usage)
        result = build_result(self.benchmark, verdicts, self.dataset, self.source, self.grader.signature, run=run)
        result = note_condition(result, self.condition)
        keep = self.options.keep_images
        keep_samples(folder.path, self.benchmark, self.given, self.dataset, verdicts, keep_images=keep)
        return Run(folder.path, folder.keep_results(result), verdicts)


def usage_of(engine: Engine | None) -> dict[str, int] | None:
    """What the engine's server has counted so far; None for an engine without such a count."""
    used = getattr(engine, "usage", None)
    return dict(used.to_json()) if isinstance(used, Usage) else None


def usage_since(before: Mapping[str, int] | None, engine: Engine | None) -> dict[str, int] | None:
    """What the engine's server has counted since it had counted `before`."""
    now = usage_of(engine)
    return None if before is None or now is None else {name: count - before[name] for name, count in now.items()}


def score(
    file: str | Path,
    benchmark: str | Benchmark,
    out: str | Path,
    *,
    judge: str | LoadedJudge | None = None,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> Run:
    """Score the answers in `file` into the results folder `out`, or go on where an earlier call was interrupted.

    file: `responses.jsonl`, a samples file of lmms-eval, or an official to-eval list. benchmark: its name, such as
    "mmie". judge: a loaded judge, a repository, a folder, an address or "replay:FILE"; None for the default one. data:
    a local copy of the dataset; None for the environment's, else the Hub's. Raises UserError for what the user can
    mend, before anything in `out` is changed.
    """
    scoring = prepare_scoring(file, benchmark, judge=judge, data=data, options=options)
    folder = RunFolder(out)
    scoring.check_folder(folder)
    folder.make()
    with Journal(folder.verdicts, before_writing=folder.discard_results) as journal:
        folder.remove_unfinished()
        return scoring.judge_into(folder, journal)


def prepare_scoring(
    file: str | Path,
    benchmark: str | Benchmark,
    *,
    judge: str | LoadedJudge | None = None,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> Scoring:
    """Read answers and questions and load the judge; parameters and errors as of `score`.

    What is quick to check comes before what may download or load for minutes.
    """
    if isinstance(benchmark, str):
        benchmark = find(benchmark)
    judge = open_replay(benchmark, judge)
    check_named(judge, options)
    found = assess_file(file, benchmark, judge, data=data, options=options)
    rubric = find_rubric(benchmark, judge, options)
    return found.judged_by(find_engine(judge, options), rubric)


def open_replay(benchmark: Benchmark, judge: str | LoadedJudge | None) -> str | LoadedJudge | None:
    """The judge that a benchmark asks, None for one that asks none; recorded feedback is read at once, since it says
    whether questions are needed. Raises UserError."""
    if not benchmark.judged:
        return None
    judge = judge or default_judge()
    return load_judge(judge) if isinstance(judge, str) and judge.startswith(PREFIX) else judge


def check_named(judge: str | LoadedJudge | None, options: ScoreOptions) -> None:
    """Raise UserError for the name of a judge that cannot be (`judge.engines.loading.check_engine`)."""
    if isinstance(judge, str):
        check_engine(judge, options.engine)


def find_rubric(benchmark: Benchmark, judge: str | LoadedJudge | None, options: ScoreOptions) -> Rubric | None:
    """The wording put to a judge: `options.rubric`, else what it was trained on; None for one that does not read."""
    if judge is None or (isinstance(judge, LoadedJudge) and not judge.engine.reads):
        return None
    given = judge.rubric if isinstance(judge, LoadedJudge) else default_rubric(_judge_folder(judge, options.engine))
    return benchmark.rubric(options.rubric or given)


def find_engine(judge: str | LoadedJudge | None, options: ScoreOptions) -> Engine | None:
    """The engine of a judge, which is found or connected to unless it is. Raises UserError."""
    return load_engine(judge, options.engine) if isinstance(judge, str) else None if judge is None else judge.engine


@dataclasses.dataclass(frozen=True)
class AssessedFile:
    """A file of answers that was read and assessed, before its judge is there; the fields are those of `Scoring`.

    asking: what is known of how the answers came about.
    """

    benchmark: Benchmark
    given: Sequence[Answer]
    assessed: Sequence[Request | Verdict]
    dataset: Dataset | None
    source: Source | None
    options: ScoreOptions
    info: RunInfo
    asking: Asking

    def judged_by(self, engine: Engine | None, rubric: Rubric | None) -> Scoring:
        """The same with its judge, which is None where rules decide everything."""
        identity = {} if engine is None else engine.identity
        profile = self.options.profile
        signature = make_signature(self.benchmark, self.source, profile, rubric, identity, self.asking)
        grader = Grader(engine, rubric, profile, signature)
        known = (self.benchmark, self.given, self.assessed, self.dataset, self.source)
        return Scoring(*known, grader, self.options, self.info, self.asking.condition)


def assess_file(
    file: str | Path,
    benchmark: Benchmark,
    judge: str | LoadedJudge | None,
    *,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> AssessedFile:
    """Read answers and questions, and let rules decide what they can. judge: as `open_replay` gave it. Raises
    UserError."""
    with doing(f"reading {file} and its questions", after=MOMENT):
        given = read_responses(file, options.image_root, options.repeat)
        bare = isinstance(judge, LoadedJudge) and not judge.engine.reads
        answers, dataset = _questions(benchmark, given, None if data is None else Path(data), options, bare=bare)
        info = RunInfo(options.model or name_of_model(answers, file), describe_answers(answers, file))
        source = dataset.source if dataset else _source_of_own_questions(answers)
        every, part = complete(answers, dataset, partial=options.partial)
        condition = _condition(file, benchmark, options)
        assessed = benchmark.assess(every, dataset, options.profile, bare=bare, condition=condition)
    asking = Asking(name_of_wording(file) or condition.wording or UNKNOWN, part, condition)
    return AssessedFile(benchmark, answers, assessed, dataset, source, options, info, asking)


def write_requests(
    file: str | Path,
    benchmark: Benchmark,
    out: str | Path,
    *,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> tuple[list[Request], int]:
    """Write what a judge would be handed to `out`/requests.jsonl, and what it would not to dropped.jsonl; the requests,
    and how many of the others there are.

    No judge is loaded. Raises UserError as `score` does.
    """
    given = read_responses(file, options.image_root)
    answers, dataset = _questions(benchmark, given, None if data is None else Path(data), options, bare=False)
    requests, dropped = [], []
    condition = _condition(file, benchmark, options)
    for item in benchmark.assess(answers, dataset, options.profile, condition=condition):
        if isinstance(item, Request):
            requests.append(item)
        else:
            dropped.append({"id": item.id, "reason": item.reason, "note": item.details.get("note")})
    folder = RunFolder(out).make()
    write_json_lines(folder.requests, [request.to_json() for request in requests])
    write_json_lines(folder.dropped, dropped)
    return requests, len(dropped)


def _condition(file: str | Path, benchmark: Benchmark, options: ScoreOptions) -> Condition:
    """What the questions were asked under: as told, else as it stands beside the file."""
    name = options.condition or name_of_condition(file)
    return find_condition(benchmark.conditions, name) if name else PLAIN


def _judge_folder(judge: str, options: EngineOptions) -> str:
    """Where the judge's small files are: a judge behind an address has them where its tokenizer is."""
    return options.tokenizer or default_tokenizer() or judge if is_address(judge) else judge


def _questions(
    benchmark: Benchmark, answers: Sequence[Answer], data: Path | None, options: ScoreOptions, *, bare: bool
) -> tuple[Sequence[Answer], Dataset | None]:
    """The answers that are scored, and the questions: None where nobody needs them, since the file brings its own or a
    replay answers by id. With a subset the questions are needed, to say which they are."""
    if options.subset is not None:
        whole = benchmark.load(data)
        return within_subset(answers, whole, benchmark.take_subset(whole, options.subset))
    if benchmark.judged and data is None:
        if all(answer.record is not None for answer in answers):
            return answers, None
        if bare and all(answer.id is not None for answer in answers):
            return answers, None
    return answers, benchmark.load(data)


def _source_of_own_questions(answers: Sequence[Answer]) -> Source | None:
    """The source of questions that came with their answers: named by content, whoever answered them."""
    if any(answer.record is None for answer in answers):
        return None
    fields = ("id", "question", "gt_answer")
    rows = sorted(json.dumps([(answer.record or {}).get(field) for field in fields]) for answer in answers)
    digest = hashlib.sha256("\n".join(rows).encode("ascii")).hexdigest()
    return Source("to-eval", f"local:{digest[:12]}", "unknown")
