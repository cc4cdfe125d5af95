"""Results folders of one model under several conditions of MMVU, made up so that every number can be counted by hand.

Twelve pairs, six of them in "Number" and six in "Shape". The right letters are A and B (question and leading question)
in the even pairs, C and D in the odd ones. Option C is the longest of every question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Source, find
from judge.core.request import Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.io.samples import Sample, write_samples
from judge.results.result import Result, build_result
from judge.results.run_folder import RunFolder
from mmvu_tasks.categories import CATEGORIES, EDITIONS

PAIRS = 12
TRUTHS = "ABCD" * (PAIRS // 2)
"""By index: pair 0 has questions 0 and 1."""
QUESTION = "Question {}?\nA. a cat\nB. a dog\nC. a much longer option\nD. a cow"

RIGHT = TRUTHS
ALWAYS_A = "A" * len(TRUTHS)
CONDITIONS: Mapping[str, Mapping[str, str]] = {
    name: {"name": name, "picture": "real", "contract": "letter", "procedure": "one call", **said}
    for name, said in {
        "blind": {"picture": "none"},
        "blank": {"picture": "blank"},
        "swapped": {"picture": "swapped"},
        "instruction": {},
        "json": {"contract": "json"},
        "tool": {"contract": "tool"},
        "cgr": {"procedure": "cgr"},
    }.items()
}


def verdicts_of(
    letters: Sequence[str], details: Callable[[int], Mapping[str, Any]] = lambda index: {}
) -> list[Verdict]:
    """A letter a question; "-" names no option, "!" is a failed call. details: more of the question at an index."""
    made = []
    for index, (letter, truth) in enumerate(zip(letters, TRUTHS, strict=False)):
        pair, half = divmod(index, 2)
        level = "attribute"
        category = ("number", "shape")[pair * 2 // PAIRS]
        score = None if letter == "!" else int(letter == truth)
        said: dict[str, Any] = {"type": ("POS", "NEG")[half], "level": level, "score_reference": score or 0}
        if letter not in "-!":
            said["letter"] = letter
        made.append(
            Verdict(
                f"{level}/{category}/{pair:02}", "rule", score, None if score is not None else "call_failed",
                category.capitalize(), index, details={**said, **details(index)},
            )
        )  # fmt: skip
    return made


def write_run(
    folder: Path,
    verdicts: Sequence[Verdict],
    condition: str | None = None,
    *,
    model: str | None = "a-model",
    samples: bool = True,
    digest: str = "0123abcd",
    **parts: str,
) -> Path:
    """A finished run. digest: of the condition; parts: of the signature, besides benchmark, edition and condition."""
    folder.mkdir(parents=True)
    benchmark = find("mmvu")
    edition = parts.get("edition", "unknown (12)")
    named = {} if condition is None else {"condition": f"{condition}@{digest}"}
    signature = Signature({"benchmark": "mmvu", "edition": edition, "asked": "direct@5a1f0c33", **parts, **named})
    source = Source(benchmark.repo, "local:0123456789ab", edition)
    run = {"model": model, "date": "2026-01-31T12:00:00+00:00"}
    result: Result = build_result(benchmark, verdicts, None, source, signature, run=run)
    if condition is not None:
        result["condition"] = CONDITIONS[condition]
    RunFolder(folder).write_verdicts(verdicts)
    if samples:
        write_samples(folder, [sample_of(verdict) for verdict in verdicts])
    RunFolder(folder).write_results(result)
    return folder


def sample_of(verdict: Verdict) -> Sample:
    """The question, and the letter as the answer."""
    assert verdict.index is not None
    asked = (Text(QUESTION.format(verdict.index)),)
    said = (Text(str(verdict.details.get("letter", ""))),)
    return Sample(verdict.id, verdict.index, verdict.category, asked, said, TRUTHS[verdict.index])


def write_letters(folder: Path, letters: Sequence[str], condition: str | None = None, **more: Any) -> Path:
    """`write_run` of `verdicts_of`."""
    return write_run(folder, verdicts_of(letters), condition, **more)


def write_whole_edition(folder: Path, edition: str, condition: str | None = None) -> Path:
    """All questions of a published edition, every one answered right; without samples."""
    made: list[Verdict] = []
    for category in CATEGORIES:
        for pair in range(EDITIONS[edition][category.name]):
            for kind in ("POS", "NEG"):
                details = {"type": kind, "level": category.level, "letter": "B", "score_reference": 1}
                name = f"{category.key}/{pair:02}"
                made.append(Verdict(name, "rule", 1, None, category.name, len(made), details=details))
    return write_run(folder, made, condition, samples=False, edition=edition)
