"""A judge's verdicts and people's scores of the same answers, joined by question and by model under test.

    verdicts  {"id": "PBL-2896694", "score": 3, …}             of the answers of anole-7b, as whoever asks says
    humans    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "score": 4}
              {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a2", "score": 5}
    ->        Pair(id="PBL-2896694", model="anole-7b", category="PBL", given=3, ratings={"a1": 4, "a2": 5})

A verdict does not say whose answer it is about, so a results folder comes with that name:

    out/anole-7b                  the one model that people scored
    anole-7b=out/anole            by name
    out                           holds a results folder for each model, named after it

What cannot be joined is kept and counted: answers that people scored and the judge left unscored, and those that only
one side has. A verdict does not hold the answer that it is about, but results say which answers they are of, by a hash:
where people were shown all of another model's answers, the name is refused.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer, find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.human_scores import HumanScore
from judge.io.verdicts import read_verdicts
from judge.results.criteria import points_of
from judge.results.run_folder import RESULTS, VERDICTS, RunFolder, read_run
from judge.results.run_info import describe_answers

AnswerKey = tuple[str, str]
"""id of the question, model under test: one answer."""

NAMED = 3
"""How many names an error lists."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One answer that both have scored, in points. given: the judge's score.

    expected: the expectation of the probabilities of the judge's score, None where there are none. ratings: annotator
    → score. answer: as the human scores have it, None where they have none. points: the judge's for single criteria,
    None where it gives none; people_points: the means of the annotators', {} where they gave none.
    """

    id: str
    model: str
    category: str
    given: int
    expected: float | None
    ratings: Mapping[str, float]
    answer: Answer | None = None
    points: Mapping[str, int] | None = None
    people_points: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> AnswerKey:
        """Which answer this is."""
        return self.id, self.model

    @property
    def human(self) -> float:
        """The mean of the annotators' scores."""
        return math.fsum(self.ratings.values()) / len(self.ratings)


@dataclasses.dataclass(frozen=True)
class JudgeVerdicts:
    """One judge's verdicts on the answers of each model under test, by the model's name.

    signature: how they were made; None where that is not known.
    """

    verdicts: Mapping[str, Sequence[Verdict]]
    signature: Signature | None = None

    @property
    def scores(self) -> dict[AnswerKey, int]:
        """The score of every answer that has one."""
        return {
            (verdict.id, model): verdict.score
            for model, verdicts in self.verdicts.items()
            for verdict in verdicts
            if verdict.score is not None
        }


@dataclasses.dataclass(frozen=True)
class JoinedScores:
    """pairs in the order of the human scores.

    unscored: the reason, by answer, of those that people scored and the judge did not. no_verdict, no_human: answers
    that only one side has.
    """

    pairs: Sequence[Pair]
    unscored: Mapping[AnswerKey, str]
    no_verdict: Sequence[AnswerKey]
    no_human: Sequence[AnswerKey]

    def left_out(self) -> dict[str, Any]:
        """As in `agreement.json`: counts, reasons and names."""
        return {
            "unscored": {
                "n": len(self.unscored),
                "reasons": dict(Counter(self.unscored.values())),
                "answers": _names(self.unscored),
            },
            "without_verdict": {"n": len(self.no_verdict), "answers": _names(self.no_verdict)},
            "without_human_score": {"n": len(self.no_human), "answers": _names(self.no_human)},
        }


def folder_name(model: str) -> str:
    """A model's name as the name of a folder, which leads nowhere else: "org/model" → "org_model"."""
    return re.sub(r"[^\w.-]", "_", model).lstrip(".") or "model"


def split_model(given: str) -> tuple[str | None, Path]:
    """(model or None, path) of an argument `MODEL=PATH` or `PATH`. A path that exists may itself hold "="."""
    model, sign, path = given.partition("=")
    return (model, Path(path)) if sign and not Path(given).exists() else (None, Path(given))


def read_judge_verdicts(given: Sequence[str], humans: Sequence[HumanScore]) -> JudgeVerdicts:
    """The verdicts in results folders and verdicts files, each `PATH` or `MODEL=PATH`; see above.

    humans: says which models there are. Raises UserError for a model that nobody scored, a path that may be about
    several, a file that cannot be read, and verdicts that were made in different ways.
    """
    models = _answers_by_model(humans)
    verdicts: dict[str, list[Verdict]] = {}
    signature: Signature | None = None
    first: Path | None = None
    for word in given:
        for model, path in _paths(word, models):
            if model in verdicts:
                raise UserError(f"a second set of verdicts on {_shown(model)}", file=path, fix="give one a model")
            verdicts[model], own = read_verdicts_with_signature(path)
            if signature is not None and own is not None and (differing := signature.differences(own)):
                raise UserError(
                    f"was not judged as {first} was: {', '.join(differing)} differ",
                    file=path,
                    fix="score the answers of every model with the same command and version",
                )
            if signature is None:
                signature, first = own, path
    return JudgeVerdicts(verdicts, signature)


def _answers_by_model(humans: Sequence[HumanScore]) -> dict[str, str | None]:
    """Every model that people scored → the hash of its answers as results have it, None where some are not given."""
    answers: dict[str, dict[str, Answer | None]] = {}
    for score in humans:
        of_model = answers.setdefault(score.model, {})
        of_model[score.id] = of_model.get(score.id) or score.answer
    return {
        model: None if None in some.values() else str(describe_answers([a for a in some.values() if a])["sha256"])
        for model, some in answers.items()
    }


def _model_of(path: Path, models: Mapping[str, str | None]) -> str | None:
    """The one model that the results at `path` are about: by the hash of the answers, else by the name in them."""
    results = path / RESULTS if path.is_dir() else path.with_name(RESULTS)
    if not results.is_file():
        return None
    run = RunFolder(results.parent).read_results().get("run") or {}
    found = [model for model, answers in models.items() if answers and answers == run.get("answers", {}).get("sha256")]
    if found:
        return found[0] if len(found) == 1 else None
    return run["model"] if run.get("model") in models else None


def _paths(word: str, models: Mapping[str, str | None]) -> list[tuple[str, Path]]:
    model, path = split_model(word)
    known = ", ".join(map(_shown, list(models)[:NAMED])) + (" …" if len(models) > NAMED else "")
    if model is not None:
        if model not in models:
            raise UserError(f"nobody scored answers of {model!r}; people scored: {known}", file=path)
        meant = _model_of(path, models)
        if meant not in (None, model):
            raise UserError(f"is about answers of {meant!r}, not of {model!r}", file=path, fix=f"write {meant}={path}")
        return [(model, path)]
    if path.is_dir() and not (path / VERDICTS).exists():
        found = [(name, path / folder_name(name)) for name in models]
        found = [(name, folder) for name, folder in found if (folder / VERDICTS).is_file()]
        if found:
            return found
    if len(models) > 1:
        raise UserError(
            f"does not say whose answers it is about; people scored {len(models)} models: {known}",
            file=path,
            fix=f"write {_model_of(path, models) or 'MODEL'}={path}",
        )
    return [(next(iter(models)), path)]


def read_verdicts_with_signature(path: Path) -> tuple[list[Verdict], Signature | None]:
    """A results folder, or a file of verdicts: with the signature of the results in its folder, if there are any.

    Raises UserError for what cannot be read, and for an id with several verdicts.
    """
    if path.is_dir():
        run = read_run(path)
        verdicts, signature = list(run.verdicts), run.signature
    else:
        benchmark, signature = None, None
        if path.name == VERDICTS and path.with_name(RESULTS).is_file():
            results = RunFolder(path.parent).read_results()
            benchmark, signature = find(results["benchmark"]), Signature.parse(results["signature"])
        verdicts = read_verdicts(path) if benchmark is None else RunFolder(path.parent).read_verdicts(benchmark)
    twice = [name for name, times in Counter(verdict.id for verdict in verdicts).items() if times > 1]
    if twice:
        raise UserError(
            f"{len(twice)} ids have several verdicts, first {twice[0]!r}: they cannot be joined with people's by id",
            file=path,
        )
    return verdicts, signature


def join_scores(verdicts: Mapping[str, Sequence[Verdict]], humans: Sequence[HumanScore]) -> JoinedScores:
    """Verdicts by model under test, with people's scores of the same answers. What has no counterpart is listed."""
    by_key = {(verdict.id, model): verdict for model, some in verdicts.items() for verdict in some}
    ratings: dict[AnswerKey, dict[str, float]] = {}
    answers: dict[AnswerKey, Answer] = {}
    criteria: dict[AnswerKey, dict[str, list[float]]] = {}
    for score in humans:
        key = score.id, score.model
        ratings.setdefault(key, {})[score.annotator] = score.score
        if score.answer is not None:
            answers.setdefault(key, score.answer)
        for name, points in score.criteria.items():
            criteria.setdefault(key, {}).setdefault(name, []).append(points)
    pairs: list[Pair] = []
    unscored: dict[AnswerKey, str] = {}
    for key, scores in ratings.items():
        verdict = by_key.get(key)
        if verdict is None:
            continue
        if verdict.score is None:
            unscored[key] = verdict.unscored or ""
            continue
        category = verdict.category or ""
        pair = Pair(*key, category, verdict.score, verdict.expected, scores, answers.get(key))
        people = {name: math.fsum(values) / len(values) for name, values in criteria.get(key, {}).items()}
        pairs.append(dataclasses.replace(pair, points=points_of(verdict), people_points=people))
    return JoinedScores(
        pairs,
        unscored,
        [key for key in ratings if key not in by_key],
        [key for key in by_key if key not in ratings],
    )


def _names(answers: Mapping[AnswerKey, str] | Sequence[AnswerKey]) -> list[dict[str, str]]:
    return [{"id": name, "model": model} for name, model in answers]


def _shown(model: str) -> str:
    return repr(model) if model else "a model without a name"
