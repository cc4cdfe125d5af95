"""Whether a judge can be trusted: agreement with people, ablation of criteria, probes.

    humans = read_human_scores("humans.jsonl")                               # judge.io.human_scores
    report = report_agreement(read_judge_verdicts(["out/anole"], humans), humans)
    report["overall"]["pearson"]                ->  {"value": 0.11, "ci_low": -0.03, "ci_high": 0.25, "n": 200}

What a run holds in memory does as well: `JudgeVerdicts({"anole": run.verdicts}, run.signature)`. Criteria are left out
one at a time by `judge.validity.ablation`; `judge.validity.probe` asks whether a judge can be steered.
"""

from judge.validity.agreement_report import report_agreement
from judge.validity.pairing import JudgeVerdicts, read_judge_verdicts
from judge.validity.resampling import Resampling

__all__ = ["JudgeVerdicts", "Resampling", "read_judge_verdicts", "report_agreement"]
