"""What may be published: a finished run over a whole published edition, whose numbers follow from its verdicts.

A number on a model's page is read without its circumstances, so a part of the questions, another set of questions or
too many answers without a score are refused here, whatever the notes say.
"""

from __future__ import annotations

from judge.core.benchmark import Benchmark
from judge.errors import UserError
from judge.results.run_folder import RESULTS, Run

ROUNDING = 1e-6
"""Metrics are far coarser; the same verdicts give this close a value on every machine."""


def refuse_unready(run: Run, benchmark: Benchmark, max_unscored: float) -> None:
    """Raise UserError unless the numbers of `run` may stand under the benchmark's name.

    max_unscored: the largest share, 0 to 1, of answers without a score.
    """
    file = run.folder / RESULTS
    edition = run.results.get("dataset", {}).get("edition")
    if edition not in benchmark.editions:
        raise UserError(
            f"{edition!r} is no published edition of {benchmark.title} ({', '.join(benchmark.editions)})",
            file=file, field="dataset.edition", fix="score the answers with the published data: --data DIR",
        )  # fmt: skip
    size, n = benchmark.editions[edition], run.results["n"]
    if n != size:
        raise UserError(
            f"{n} answers, but {benchmark.title} {edition} has {size} questions: the run is unfinished, or a part",
            file=file, field="n", fix="answer the whole benchmark, score it, publish that",
        )  # fmt: skip
    unscored = sum(verdict.score is None for verdict in run.verdicts)
    if unscored > max_unscored * n:
        raise UserError(
            f"{unscored} of {n} answers have no score, more than --max-unscored {max_unscored:.1%}",
            file=file, field="unscored", fix="mmjudge score … --retry-unscored judges those answers again",
        )  # fmt: skip
    _refuse_unfounded(run, benchmark)


def _refuse_unfounded(run: Run, benchmark: Benchmark) -> None:
    """Numbers that were edited, or belong to other verdicts, are not published."""
    recomputed = benchmark.summarise(run.verdicts, None).metrics
    for name in benchmark.headline:
        published, estimate = run.estimate(name), recomputed[name]
        value = published.get("value")
        if estimate.value is None or not isinstance(value, int | float) or abs(value - estimate.value) > ROUNDING:
            raise UserError(
                f"{value} in {RESULTS}, but the verdicts give {estimate.value}",
                file=run.folder / RESULTS, field=f"metrics.{name}",
                fix="write the folder again: mmjudge score … --out DIR",
            )  # fmt: skip
