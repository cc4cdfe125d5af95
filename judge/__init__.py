"""MMIE and MMVU in the harnesses people already use, with a judge whose numbers can be trusted.

    from judge import EngineOptions, compare, load_judge, read_run, score

    judge = load_judge("MMIE/MMIE-Score", EngineOptions(device="cuda"))
    run = score("anole.jsonl", "mmie", "out/anole", judge=judge)      # a Run: folder, results, verdicts
    run.estimate("score")  ->  {"value": 55.2, "ci_low": 54.8, "ci_high": 55.6, "n": 20103}
    compare(read_run("out/gill"), run).metrics["score"].paired.p  ->  0.004

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from judge.core.version import __version__ as __version__

if TYPE_CHECKING:
    from judge.core.verdict import Verdict
    from judge.engines import EngineOptions
    from judge.results.compare import Comparison, compare
    from judge.results.frames import frame_answers, frame_leaderboard
    from judge.results.run_folder import Run, read_run
    from judge.scoring.score import ScoreOptions, load_judge, score
    from judge.scoring.several import score_many

__all__ = [
    "Comparison",
    "EngineOptions",
    "Run",
    "ScoreOptions",
    "Verdict",
    "compare",
    "frame_answers",
    "frame_leaderboard",
    "load_judge",
    "read_run",
    "score",
    "score_many",
]

_HOMES = {
    "Comparison": "judge.results.compare",
    "EngineOptions": "judge.engines",
    "Run": "judge.results.run_folder",
    "ScoreOptions": "judge.scoring.score",
    "Verdict": "judge.core.verdict",
    "compare": "judge.results.compare",
    "frame_answers": "judge.results.frames",
    "frame_leaderboard": "judge.results.frames",
    "load_judge": "judge.scoring.score",
    "read_run": "judge.results.run_folder",
    "score": "judge.scoring.score",
    "score_many": "judge.scoring.several",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
