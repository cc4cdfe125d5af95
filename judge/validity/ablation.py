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
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_answers, make_signature
from judge.validity.pairing import folder_name


@dataclasses.dataclass(frozen=True)
class Variant:
    """A rubric without `criterion` (None: the whole one) and the categories that it is another rubric for."""

    criterion: str | None
    rubric: Rubric
    categories: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Judged:
    """verdicts: model under test → its verdicts, in the order of its answers (of the variant's categories)."""

    variant: Variant
    signature: Signature
    verdicts: Mapping[str, Sequence[Verdict]]


def variants(rubric: Rubric, categories: Sequence[str], only: Sequence[str] = ()) -> list[Variant]:
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


def judge_all(
    some: Sequence[Variant],
    responses: Mapping[str, Sequence[Answer]],
    benchmark: Benchmark,
    dataset: Dataset | None,
    engine: Engine,
    profile: Profile,
    out: Path,
    *,
    packages: Sequence[str] = (),
    progress: bool = True,
) -> list[Judged]:
    """Every variant on the answers of every model. The whole rubric, which says what category an answer is of, first.

    Writes a results folder a variant and model below `out`. Raises UserError as `judge_answers` does.
    """
    if len({folder_name(model) for model in responses}) < len(responses):
        raise UserError(f"{', '.join(responses)}: two of these names make the same folder", fix="rename a model")
    judged: list[Judged] = []
    categories: dict[str, list[str | None]] = {}
    source = dataset.source if dataset is not None else None
    for number, variant in enumerate(some):
        signature = make_signature(benchmark, source, profile, variant.rubric, engine.identity)
        grader = Grader(engine, variant.rubric, profile, signature)
        verdicts: dict[str, list[Verdict]] = {}
        for model, answers in responses.items():
            concerned = [
                answer
                for place, answer in enumerate(answers)
                if variant.criterion is None or categories[model][place] in variant.categories
            ]
            if progress:
                print(f"[{number + 1}/{len(some)}] {variant.rubric.name}: {len(concerned)} of {model}", file=sys.stderr)
            folder = RunFolder(out / folder_name(variant.rubric.name) / folder_name(model)).make()
            with Journal(folder.verdicts) as journal:
                folder.discard_results()
                assessed = benchmark.assess(concerned, dataset, profile, bare=grader.needs_no_questions)
                found = judge_answers(assessed, grader, journal, progress=progress)
                folder.write_results(build_result(benchmark, found, dataset, source, signature, packages=packages))
            verdicts[model] = found
            if variant.criterion is None:
                categories[model] = [verdict.category for verdict in found]
        judged.append(Judged(variant, signature, verdicts))
    return judged
