"""What may be published: a finished run over a whole published edition, measured as the published systems were.

    reasons_against(run, benchmark, max_unscored=0.05)  ->
        [Reason("replay", "the judge's words were replayed from a file; …"), Reason("profile", "profile is …")]
    refuse_unready(run, benchmark, 0.05, allowed={"replay"})    raises one UserError that names what is left of them

A number on a model's page is read without its circumstances, so all that keeps it from being what a reader takes it
for is named at once. Most of that can be allowed, reason by reason: it then stands in the notes of the number. Numbers
that do not follow from their verdicts, or that too many answers are missing from, cannot.

A results folder is the word of whoever made it. This finds mistakes; it proves nothing against a forger.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Set

from judge.core.benchmark import Benchmark
from judge.core.signature import CONDITION
from judge.errors import UserError
from judge.io.presentation import view_of
from judge.results.published import read_published
from judge.results.run_folder import RESULTS, Run

MAX_MISSING_PICTURES = 0.01
"""A share of the answers, 0 to 1. Pictures that are not on disk say nothing of the model: the folder is incomplete."""
ALLOWABLE: Mapping[str, str] = {
    "edition": "questions that are no published edition, or not known to be one",
    "subset": "a part of the questions",
    "failures": "many answers that count as the worst because the model failed (an empty answer, …)",
    "replay": "recorded feedback instead of a judge",
    "judge": "another judge than that of the published systems",
    "rubric": "another rubric",
    "profile": "another profile",
}
"""Reasons that an option can overrule, with what each is about."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a run should not be published. name: of `ALLOWABLE`, or the field of results.json that cannot stand."""

    name: str
    problem: str
    fix: str | None = None


def refuse_unready(
    run: Run, benchmark: Benchmark, max_unscored: float, allowed: Set[str] = frozenset()
) -> list[Reason]:
    """The reasons in `allowed` that this run has against it.

    max_unscored: the largest share, 0 to 1, of answers without a score. Raises UserError that names all other reasons.
    """
    against = reasons_against(run, benchmark, max_unscored)
    left = [reason for reason in against if reason.name not in allowed]
    if not left:
        return against
    lines = [f"{len(left)} reason{'s' if len(left) > 1 else ''} not to publish this:"]
    lines += [f"- {reason.name}: {reason.problem}" for reason in left]
    fixes = [reason.fix for reason in left if reason.fix]
    if names := [reason.name for reason in left if reason.name in ALLOWABLE]:
        allow = ",".join(name for name in ALLOWABLE if name in {*names, *(allowed & {r.name for r in against})})
        fixes.append(f"mend it, or publish it as what it is with --allow {allow}")
    raise UserError("\n".join(lines), file=run.folder / RESULTS, fix="\n→ ".join(dict.fromkeys(fixes)))


def reasons_against(run: Run, benchmark: Benchmark, max_unscored: float) -> list[Reason]:
    """All that keeps a reader from taking the numbers of `run` for those of the benchmark, [] where nothing does."""
    return [
        *_of_the_questions(run, benchmark),
        *_of_the_failures(run, max_unscored),
        *_of_the_protocol(run, benchmark),
        *_without_value(run, benchmark),
    ]


def edition_of(run: Run) -> str:
    """The edition as `results.json` has it, "unknown" where nobody looked at the questions."""
    found = (run.results.get("dataset") or {}).get("edition")
    return found if isinstance(found, str) else "unknown"


def _of_the_questions(run: Run, benchmark: Benchmark) -> Iterator[Reason]:
    edition, n = edition_of(run), run.results["n"]
    size = benchmark.editions.get(edition)
    if size is None:
        known = ", ".join(benchmark.editions)
        yield Reason("edition", f"{edition!r} is no published edition of {benchmark.title} ({known})")
    if run.signature.parts.get("edition", "unknown") != edition:
        yield Reason("dataset.edition", f"{edition!r}, but the signature has another", _AGAIN)
    if "subset" in run.signature.parts:
        yield Reason("subset", f"only the subset {run.signature.parts['subset']} of the questions was scored")
    elif size is not None and n != size:
        yield Reason("subset", f"{n} answers, but {benchmark.title} {edition} has {size} questions")
    elif "part" in run.signature.parts:
        yield Reason("subset", f"only a part of the questions was asked, {run.signature.parts['part']}")


def _of_the_failures(run: Run, max_unscored: float) -> Iterator[Reason]:
    n, most = run.results["n"], f"more than --max-unscored {max_unscored:.1%}"
    unscored = sum(verdict.score is None for verdict in run.verdicts)
    if unscored > max_unscored * n:
        fix = "mmjudge score … --retry-unscored judges those answers again"
        yield Reason("unscored", f"{unscored} of {n} answers have no score, {most}", fix)
    missing = sum(verdict.unscored == "image_missing" for verdict in run.verdicts)
    if missing > MAX_MISSING_PICTURES * n:
        fix = "put the pictures under --image-root, then: mmjudge score … --retry-unscored"
        most_missing = f"more than {MAX_MISSING_PICTURES:.0%}"
        yield Reason("image_missing", f"{missing} of {n} answers miss a picture of theirs, {most_missing}", fix)
    worst = sum(verdict.failure is not None for verdict in run.verdicts)
    if worst > max_unscored * n:
        yield Reason("failures", f"{worst} of {n} answers count as the worst because the model failed, {most}")


def _of_the_protocol(run: Run, benchmark: Benchmark) -> Iterator[Reason]:
    """How the run was measured, against the published systems of its edition, or of any where that is unknown."""
    parts = run.signature.parts
    replayed = "feedback" in parts or "replay" in (parts.get("judge"), parts.get("engine"))
    if replayed:
        yield Reason("replay", "the judge's words were replayed from a file; nothing shows which judge gave them")
    if CONDITION in parts:
        yield Reason("condition", f"the questions were asked under the condition {parts[CONDITION]}, not as published")
    tables = read_published(view.published) if (view := view_of(benchmark)).published else []
    tables = [table for table in tables if CONDITION not in table.requires]
    edition = edition_of(run)
    tables = [table for table in tables if table.requires.get("edition") == edition] or tables
    differing = [table.differences(parts) for table in tables]
    if not tables or not all(differing):
        return
    for name, (wanted, found) in min(differing, key=len).items():
        here = "unknown" if found is None else found
        if name == "edition" or (replayed and name in ("judge", "rubric") and here in ("unknown", "replay")):
            continue  # said already
        yield Reason(name, f"{name} is {wanted} for the published systems, {here} here")


def _without_value(run: Run, benchmark: Benchmark) -> Iterator[Reason]:
    """That the numbers follow from the verdicts, `read_run` has seen to."""
    for name in benchmark.headline:
        if run.estimate(name).get("value") is None:
            yield Reason(f"metrics.{name}", "no value: nothing was scored")


_AGAIN = "write the folder again: mmjudge score … --out DIR"
