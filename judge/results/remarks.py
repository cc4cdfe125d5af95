"""What a reader must know before runs of one benchmark are set side by side, a sentence each.

    remarks([("llava", run), ("qwen", run)])
    ->  ["PARTIAL: only some of the questions were asked: llava 20 of 48.",
         "Replayed feedback: nothing here says that one and the same judge wrote it for llava and qwen."]

`mmjudge compare`, `table`, `contrast` and the report all print these. Runs of other judges, rubrics or editions are not
compared at all: `judge.results.compare.refuse_unlike` and the groups of `judge.results.table` see to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from judge.core.benchmark import find
from judge.core.metric import Metric
from judge.core.signature import FEEDBACK
from judge.results.compare import same_run
from judge.results.run_folder import Run

UNKNOWN = "unknown"
FEW = 50
"""Below so many units there is a word about them."""


def remarks(runs: Sequence[tuple[str, Run]], *, wordings: bool = True, categories: bool = False) -> list[str]:
    """runs: name and run, at least one. wordings: whether the same question should have reached all models alike;
    categories: whether numbers by category are shown, too."""
    return [*_measured(runs), *_same(runs), *(_asked(runs) if wordings else ()), *_few(runs, categories)]


def listed(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _measured(runs: Sequence[tuple[str, Run]]) -> Iterator[str]:
    parts = [(name, run.signature.parts) for name, run in runs]
    if partial := [f"{name} {of['part']}" for name, of in parts if "part" in of]:
        yield f"PARTIAL: only some of the questions were asked: {listed(partial)}."
    if replayed := [name for name, of in parts if FEEDBACK in of]:
        who = "which judge wrote it" if len(runs) == 1 else "that one and the same judge wrote it"
        some = "" if len(replayed) == len(runs) else f" of {listed(replayed)}"
        yield f"Replayed feedback{some}: nothing here says {who} for {listed([name for name, _ in runs])}."


def _asked(runs: Sequence[tuple[str, Run]]) -> Iterator[str]:
    wordings = _by_value([(name, run.signature.parts.get("asked", UNKNOWN)) for name, run in runs])
    if len(wordings) > 1:
        said = "; ".join(f"{wording} for {listed(names)}" for wording, names in wordings.items())
        yield (
            f"As far as is known, the models were not asked in the same words ({said}); a difference may be one "
            "between the wordings."
        )
    reached = _by_value(
        [(name, found) for name, run in runs if (found := _interleaving(run)) is not None and found != UNKNOWN]
    )
    if len(reached) > 1:
        said = "; ".join(f"{how} for {listed(names)}" for how, names in reached.items())
        yield f"Texts and pictures of a question did not reach the models in the same order: {said}."


def _same(runs: Sequence[tuple[str, Run]]) -> Iterator[str]:
    """A sentence for all that are one and the same, not one for every two of them."""
    groups: list[list[tuple[str, Run]]] = []
    for one in runs:
        group = next((of for of in groups if all(same_run(run, one[1]) for _, run in of)), None)
        if group is None:
            groups.append(group := [])
        group.append(one)
    for group in groups:
        if len(group) > 1:
            yield (
                f"{listed([name for name, _ in group])} are one and the same run: the same answers, decided in the "
                "same way. They differ by exactly 0."
            )


def _few(runs: Sequence[tuple[str, Run]], categories: bool) -> Iterator[str]:
    """Counted in units of the first headline metric, by the run that has the fewest; one that has none has no number
    to be believed."""
    benchmark = find(runs[0][1].results["benchmark"])
    main = next(metric for metric in benchmark.metrics if metric.headline)
    by_category = {
        name: least for name in runs[0][1].results["categories"] if categories and (least := _fewest(runs, main, name))
    }
    n, fewest = _fewest(runs, main), min(by_category.values(), default=FEW)
    if 0 < n < FEW:
        by = f", by category as few as {fewest}" if by_category and fewest < n else ""
        yield f"Only {_units(n, main)}{by} (fewer than {FEW}): {_LOOSE}."
    elif fewest < FEW:
        name = min(by_category, key=lambda name: by_category[name])
        yield f"By category there are as few as {_units(fewest, main)} ({name}; fewer than {FEW}): {_LOOSE}."


_LOOSE = "intervals are wide, and a single one may decide whether a difference is significant"


def _fewest(runs: Sequence[tuple[str, Run]], main: Metric, category: str | None = None) -> int:
    """The least above 0, and 0 where no run has any."""
    found = (run.estimate(main.name, category).get("n") for _, run in runs)
    return min(filter(None, found), default=0)


def _units(n: int, main: Metric) -> str:
    return f"{n} {main.unit if n > 1 else main.unit.removesuffix('s')}"


def _by_value(found: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Value → the names that have it, both in order of appearance."""
    names: dict[str, list[str]] = {}
    for name, value in found:
        names.setdefault(value, []).append(name)
    return names


def _interleaving(run: Run) -> str | None:
    found = (run.results.get("run") or {}).get("interleaving")
    return None if found is None else str(found)
