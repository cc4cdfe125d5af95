"""Answers of several models to the same questions, judged in one run: a results folder each.

    found = score_many({"anole": "anole.jsonl", "gill": "gill.jsonl"}, "mmie", "results", judge=judge)
    found.runs["anole"].estimate("score")     as of a run of its own, in results/anole
    found.saved                               Saved(tokens=61_320, tokens_saved=30_144, tiles=78, tiles_saved=33)

Every folder has its own journal, and its verdicts, their keys and their texts are those of a run of its own. The judge
is asked about all answers at once, those to one question together, so that the engine in this process computes the
question once for all that run at the same time (`judge.model.same_question`). What it did not compute again is counted;
of a judge elsewhere nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judge.core.benchmark import Benchmark, find
from judge.core.foreign_text import on_one_line
from judge.engines import Engine, Usage
from judge.engines.replay import Replay
from judge.errors import UserError
from judge.io.responses import count_repeats
from judge.model.counters import Counters
from judge.results.repeats import folder_of_repeat
from judge.results.run_folder import Run, RunFolder
from judge.scoring.journal import Journal, refuse_locked
from judge.scoring.pipeline import ToJudge, judge_answers_together
from judge.scoring.score import (
    DEFAULTS,
    AssessedFile,
    LoadedJudge,
    ScoreOptions,
    Scoring,
    assess_file,
    check_named,
    find_engine,
    find_rubric,
    open_replay,
    usage_of,
    usage_since,
)

_NAME = re.compile(r"[^\s/\\][^/\\]*")
COMPARISON = "comparison.json"
"""Of all pairs, written beside the folders of the models."""
_TAKEN = re.compile(r"(comparison|repeats|results|run)\.json|(verdicts|samples|requests|dropped)\.jsonl(\.\w+)?|images")
"""Names of files in a folder of several runs, and of those that make a folder that of one run."""
Files = Sequence[str | Path] | Mapping[str, str | Path]


@dataclasses.dataclass(frozen=True)
class Saved:
    """What the engine counted in this run. tokens: of all prompts that were put to it; tokens_saved: those of them that
    were taken from another answer to the same question. tiles, tiles_saved: the same of picture tiles.

    What all prompts begin with, the rubric, is shared by the answers of one model as well, and is not counted here.
    """

    tokens: int
    tokens_saved: int
    tiles: int
    tiles_saved: int

    @classmethod
    def between(cls, before: Counters, now: Counters) -> Saved:
        """What was counted since `before`."""
        c = {name: value - getattr(before, name) for name, value in dataclasses.asdict(now).items()}
        computed = c["prefill_tokens"] - c["prefix_computed"] - c["recomputed"]
        return cls(
            computed + c["prefix_reused"], c["question_reused"], c["tiles"] + c["tiles_reused"], c["tiles_reused"]
        )

    def __str__(self) -> str:
        def part(saved: int, whole: int, what: str) -> str:
            share = f" ({100 * saved / whole:.1f}%)" if whole else ""
            return f"{saved:,} of {whole:,} {what}{share}"

        tokens = part(self.tokens_saved, self.tokens, "prompt tokens")
        return f"{tokens} and {part(self.tiles_saved, self.tiles, 'picture tiles')}"


@dataclasses.dataclass(frozen=True)
class RunsTogether:
    """runs: by the name of their folder, in the order given. saved: None where no engine in this process counted.
    usage: what a server counted for all of them together, None where none did."""

    runs: Mapping[str, Run]
    saved: Saved | None
    usage: Usage | None = None


def score_many(
    files: Files,
    benchmark: str | Benchmark,
    out: str | Path,
    *,
    judge: str | LoadedJudge | Sequence[str] | None = None,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> RunsTogether:
    """Score several files of answers into folders below `out`, or go on where an earlier call was interrupted.

    files: as of `score`; each has a folder of its file's name without ending. Given as name → file, the name is that
    of the folder and of the model that answered; a "/" in it is "__" in the folder's. judge: as of `score`; recorded
    feedback answers by id, so that there must be one "replay:FILE" for each file, in order. Other parameters as of
    `score`.

    Raises UserError for what the user can mend in any of them, before anything below `out` is changed.
    """
    if isinstance(benchmark, str):
        benchmark = find(benchmark)
    models = name_models(files)
    folders = {name: RunFolder(Path(out) / name) for name in models}
    judges = _judge_of_each(benchmark, judge, len(models))
    check_named(judges[0], options)
    found = []
    for (model, file), own in zip(models.values(), judges, strict=True):
        how = dataclasses.replace(options, model=model or options.model)
        found.append(assess_file(file, benchmark, own, data=data, options=how))
    return _judge_found(Path(out), folders, found, judges)


def score_repeats(
    file: str | Path,
    benchmark: str | Benchmark,
    out: str | Path,
    *,
    judge: str | LoadedJudge | None = None,
    data: str | Path | None = None,
    options: ScoreOptions = DEFAULTS,
) -> RunsTogether:
    """Score all answers of a file that has several to each question: a results folder a repeat, `out`/repeat-1, …, as
    the harness writes them. Parameters and errors as of `score_many`."""
    if isinstance(benchmark, str):
        benchmark = find(benchmark)
    count = count_repeats(file)
    judges = _judge_of_each(benchmark, judge, count)
    check_named(judges[0], options)
    repeats = range(1, count + 1)
    folders = {folder_of_repeat(number): RunFolder(Path(out) / folder_of_repeat(number)) for number in repeats}
    found = []
    for number, own in zip(repeats, judges, strict=True):
        how = dataclasses.replace(options, repeat=number)
        found.append(assess_file(file, benchmark, own, data=data, options=how))
    return _judge_found(Path(out), folders, found, judges)


def _judge_found(
    out: Path,
    folders: Mapping[str, RunFolder],
    found: Sequence[AssessedFile],
    judges: Sequence[str | LoadedJudge | None],
) -> RunsTogether:
    """Load the judges, check the folders, and judge everything. found, judges: of each folder, in order."""
    rubrics = [find_rubric(one.benchmark, own, one.options) for one, own in zip(found, judges, strict=True)]
    engines: dict[str | int, Engine | None] = {}
    scorings: list[Scoring] = []
    for one, own, rubric in zip(found, judges, rubrics, strict=True):
        name = own if isinstance(own, str) else id(own)
        if name not in engines:
            engines[name] = find_engine(own, one.options)
        scorings.append(one.judged_by(engines[name], rubric))
    _check_folders(out, list(folders.values()), scorings)
    return _judge_all(folders, scorings)


def name_models(files: Files) -> dict[str, tuple[str | None, Path]]:
    """Folder name → (model, file), in order; the model is None where only a file was given. Raises UserError where two
    would have the same folder, also on a disk that takes small letters for large ones, and for what names no folder."""
    given = files.items() if isinstance(files, Mapping) else ((None, file) for file in files)
    found: dict[str, tuple[str | None, Path]] = {}
    for model, file in given:
        name = Path(file).stem if model is None else model.replace("/", "__")
        if not _NAME.fullmatch(name) or not name.isprintable() or name in (".", ".."):
            raise UserError(f"{on_one_line(model or str(file))!r} names no folder", fix="give another --model")
        if _TAKEN.fullmatch(name.casefold()):
            raise UserError(
                f"a results folder called {name!r} would be where a file of that name is looked for",
                fix="give another --model",
            )
        if other := next((known for known in found if known.casefold() == name.casefold()), None):
            raise UserError(
                f"{found[other][1]} and {file} would have the same results folder, {name!r}",
                fix="give --model NAME as often as files, in their order",
            )
        found[name] = (model, Path(file))
    if not found:
        raise UserError("no files of answers")
    return found


def _judge_of_each(
    benchmark: Benchmark, judge: str | LoadedJudge | Sequence[str] | None, count: int
) -> list[str | LoadedJudge | None]:
    """The judge of each file, recorded feedback opened. Raises UserError."""
    if judge is None or isinstance(judge, str | LoadedJudge):
        same = open_replay(benchmark, judge)
        judges: list[str | LoadedJudge | None] = [same] * count
    else:
        if len(judge) != count:
            raise UserError(f"{len(judge)} judges for {count} files", fix="give one judge, or one replay:FILE for each")
        judges = [open_replay(benchmark, own) for own in judge]
    replayed = [own for own in judges if isinstance(own, LoadedJudge) and isinstance(own.engine, Replay)]
    if count > 1 and len({id(own) for own in replayed}) < len(replayed):
        raise UserError(
            f"recorded feedback answers by id: all {count} files would get the same scores",
            fix="give --judge replay:FILE as often as files, in their order",
        )
    return judges


def _check_folders(out: Path, folders: Sequence[RunFolder], scorings: Sequence[Scoring]) -> None:
    """Raise UserError where one of the folders is another run's, or in use. Nothing is changed."""
    above = RunFolder(out)
    if above.owner.exists() or above.results.exists() or above.verdicts.exists():
        raise UserError("is the results folder of one run", file=out, fix="give another --out")
    for folder, scoring in zip(folders, scorings, strict=True):
        if folder.path.exists() and not folder.path.is_dir():
            raise UserError("is no folder", file=folder.path, fix="give another --out")
        scoring.check_folder(folder)
        refuse_locked(folder.verdicts)


def _judge_all(folders: Mapping[str, RunFolder], scorings: Sequence[Scoring]) -> RunsTogether:
    engines = {id(scoring.grader.engine): scoring.grader.engine for scoring in scorings}
    before = [dataclasses.replace(counters) for counters in _counters(engines.values())]
    usage_before = {number: usage_of(engine) for number, engine in engines.items()}
    with contextlib.ExitStack() as stack:
        to_judge = []
        for folder, scoring in zip(folders.values(), scorings, strict=True):
            folder.make()
            journal = stack.enter_context(Journal(folder.verdicts, before_writing=folder.discard_results))
            folder.remove_unfinished()
            folder.claim(scoring.info.owner)
            scoring.say_missing_pictures()
            to_judge.append(ToJudge(scoring.assessed, scoring.grader, journal))
        verdicts = judge_answers_together(to_judge, retry_unscored=scorings[0].options.retry_unscored)
        runs = {
            name: scoring.write_results(folder, own, None)
            for (name, folder), scoring, own in zip(folders.items(), scorings, verdicts, strict=True)
        }
    saved = [Saved.between(*pair) for pair in zip(before, _counters(engines.values()), strict=True)]
    used = [usage_since(usage_before[number], engine) for number, engine in engines.items()]
    usage = Usage.from_json(used[0]) if len(used) == 1 else None
    return RunsTogether(runs, saved[0] if len(saved) == 1 else None, usage)


def _counters(engines: Iterable[Engine | None]) -> list[Counters]:
    """Of the engines that count: those in this process."""
    found = (getattr(engine, "counters", None) for engine in engines)
    return [counters for counters in found if isinstance(counters, Counters)]
