"""Results folders to publish: MMVU v1, whole, with numbers that can be counted on one hand."""

from __future__ import annotations

import json
from pathlib import Path

from judge.core.benchmark import Source
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.results.result import build_result
from judge.results.run_folder import Run, RunFolder, read_run
from judge.scoring.pipeline import make_signature
from mmie_tasks.benchmark import BENCHMARK as MMIE
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.categories import CATEGORIES

REPO = "BAAI/Multimodal-Robustness-Benchmark"
REVISION = "5503434ddd753f426f4b38109466949a1217c2bb"


def verdicts(plain: int = 240, leading: int = 180, unscored: int = 0, failed: int = 0) -> list[Verdict]:
    """300 pairs; the first `plain` have the plain question right, the first `leading` the leading one.

    unscored, failed: how many of the last pairs have a leading question without a score, or one that got no answer.
    """
    made: list[Verdict] = []
    for category in CATEGORIES:
        for number in range(category.v1):
            pair = len(made) // 2
            for kind, right in (("POS", pair < plain), ("NEG", pair < leading)):
                missing = kind == "NEG" and pair >= 300 - unscored
                silent = "empty_answer" if kind == "NEG" and pair >= 300 - failed else None
                details = {"type": kind, "level": category.level, "letter": "A", "score_reference": int(right)}
                made.append(
                    Verdict(
                        f"{category.key}/{number:02}", "rule", None if missing else int(right),
                        "call_failed" if missing else None, category.name, len(made), details=details,
                        failure=silent,
                    )
                )  # fmt: skip
    return made


def write(folder: Path, made: list[Verdict] | None = None, edition: str | None = "v1", revision=REVISION) -> Path:
    """A folder as `mmjudge score` leaves it."""
    made = verdicts() if made is None else made
    source = Source(REPO, revision, edition) if edition is not None else None
    result = build_result(BENCHMARK, made, None, source, make_signature(BENCHMARK, source, "strict"))
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(json.dumps(verdict.to_json()) + "\n" for verdict in made)
    (folder / "verdicts.jsonl").write_text(rows)
    RunFolder(folder).write_results(result)
    return folder


def mmie(folder: Path, **changed: str | None) -> Run:
    """A folder of six answers to MMIE, measured as the published systems were but for `changed` parts; None: absent."""
    measured = {
        "benchmark": "mmie",
        "edition": "full",
        "profile": "reference",
        "rubric": "official@1a2b3c4d",
        "judge": "MMIE/MMIE-Score@9e8d7c6b",
    }
    parts = {name: value for name, value in {**measured, **changed}.items() if value is not None}
    made = [Verdict(f"{kind}-{number}", "judge", number, None, kind) for kind in MMIE.categories for number in (3, 5)]
    source = Source(MMIE.repo, "local:0123456789ab", parts["edition"]) if "edition" in parts else None
    result = build_result(MMIE, made, None, source, Signature(parts))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(verdict.to_json()) + "\n" for verdict in made))
    RunFolder(folder).write_results(result)
    return read_run(folder)
