"""What does each criterion of a rubric do? Judge everything again with one left out at a time.

    out/mmjudge/anole-7b/verdicts.jsonl                         the whole rubric
    out/mmjudge-without-text-quality/anole-7b/verdicts.jsonl    SA and PBL only: MSR has no such criterion

Every variant is a rubric of its own, hence a signature and a journal of its own: interrupted, the same command goes on.
A category whose wording a variant does not change is not judged again; there, the change is none.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Benchmark, Dataset, Profile
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import Engine
from judge.errors import UserError
from judge.results.result import build_result
from judge.results.run_folder import RunFolder
from judge.results.run_info import RunInfo, describe_answers
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_answers, make_signature
from judge.validity.pairing import folder_name

PACKAGES = ("pillow", "safetensors", "torch", "transformers")
"""Whose versions results are recorded with."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A rubric without `criterion` (None: the whole one) and the categories that it is another rubric for."""

    criterion: str | None
    rubric: Rubric
    categories: Sequence[str]


@dataclasses.dataclass(frozen=True)
class JudgedVariant:
    """verdicts: model under test → its verdicts, in the order of its answers (of the variant's categories)."""

    variant: Variant
    signature: Signature
    verdicts: Mapping[str, Sequence[Verdict]]


@dataclasses.dataclass(frozen=True)
class AblationSetup:
    """What all variants have in common. dataset: None where the answers hold their own questions."""

    benchmark: Benchmark
    dataset: Dataset | None
    engine: Engine
    profile: Profile

    def grader(self, rubric: Rubric) -> Grader:
        """The judge under one of the rubrics, with a signature of its own."""
        source = None if self.dataset is None else self.dataset.source
        signature = make_signature(self.benchmark, source, self.profile, rubric, self.engine.identity)
        return Grader(self.engine, rubric, self.profile, signature)


def rubric_variants(rubric: Rubric, categories: Sequence[str], only: Sequence[str] = ()) -> list[Variant]:
    """The whole rubric, then one without each criterion, in order of appearance; `only`: these criteria.

    Raises UserError for a rubric that does not number its criteria and for a criterion that it has not.
    """
    owners: dict[str, list[str]] = {}
    for category in categories:
        for name in rubric.criteria(category):
            owners.setdefault(name, []).append(category)
    if not owners:
        raise UserError(
            f"the rubric {rubric.name!r} does not number its criteria, so none can be left out",
            fix="give --rubric mmjudge (for a judge that was trained on another wording, that is a change of its own)",
        )
    for name in only:
        if name not in owners:
            raise UserError(f"no criterion {name!r} in the rubric {rubric.name!r}; it has {', '.join(owners)}")
    return [
        Variant(None, rubric, list(categories)),
        *(Variant(name, rubric.without(name), found) for name, found in owners.items() if not only or name in only),
    ]


def judge_variants(
    variants: Sequence[Variant], responses: Mapping[str, Sequence[Answer]], setup: AblationSetup, out: Path
) -> list[JudgedVariant]:
    """Every variant on the answers of every model. The whole rubric, which says what category an answer is of, first.

    responses: answers by model under test. Writes `out`/RUBRIC/MODEL, a results folder for each, and says on stderr
    what it is at. Raises UserError for models whose folders would be the same, and as `judge_answers` does.
    """
    if len({folder_name(model) for model in responses}) < len(responses):
        raise UserError(f"{', '.join(responses)}: two of these names make the same folder", fix="rename a model")
    judged: list[JudgedVariant] = []
    for number, variant in enumerate(variants):
        grader = setup.grader(variant.rubric)
        verdicts: dict[str, list[Verdict]] = {}
        for model, answers in responses.items():
            # the first, the whole rubric's, verdicts on all answers
            concerned = [
                answer
                for position, answer in enumerate(answers)
                if not judged or judged[0].verdicts[model][position].category in variant.categories
            ]
            progress = f"[{number + 1}/{len(variants)}] {variant.rubric.name}: {len(concerned)} of {model}"
            print(progress, file=sys.stderr)
            folder = RunFolder(out / folder_name(variant.rubric.name) / folder_name(model)).make()
            verdicts[model] = _judge_into(folder, model, concerned, setup, grader)
        judged.append(JudgedVariant(variant, grader.signature, verdicts))
    return judged


def _judge_into(
    folder: RunFolder, model: str, answers: Sequence[Answer], setup: AblationSetup, grader: Grader
) -> list[Verdict]:
    """The verdicts on answers, kept in a results folder: those it has already are not asked for again."""
    benchmark, dataset = setup.benchmark, setup.dataset
    with Journal(folder.verdicts) as journal:
        folder.discard_results()
        assessed = benchmark.assess(answers, dataset, setup.profile, bare=grader.needs_no_questions)
        found = judge_answers(assessed, grader, journal)
        source = None if dataset is None else dataset.source
        run = RunInfo(model, describe_answers(answers)).to_json(PACKAGES)
        folder.write_results(build_result(benchmark, found, dataset, source, grader.signature, run=run))
    return found
