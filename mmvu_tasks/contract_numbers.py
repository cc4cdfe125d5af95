"""How often a contract was kept, and what that costs: the part `contract` of `results.json`.

    {"kind": "json", "n": 600,
     "parses": {"value": 91.2, "ci_low": …, "ci_high": …, "n": 600}, "fits": {…}, "letter": {…},
     "fluff": {"fence": 40, "text": 11}, "problems": {"fluff": 48, "schema": 4},
     "RA": {…}, "RA_fits": {…}, "RA_kept": {…}}
    {"kind": "tool", "n": 600, "called": {…}, "fits": {…}, "letter": {…},
     "problems": {"no_call": 12, "invalid_arguments": 3}, "RA": {…}, …}

In percent, over answers that there are (a failed call is none), questions about one picture as a cluster. letter: by
the contract a letter can be read, whatever is around it. RA counts letters wherever they were read; RA_fits, over pairs
of which both answers fit; RA_kept, over all pairs, an answer that does not fit being wrong: what a system gets.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from judge.core.estimate import Estimate
from judge.core.metric import Metric
from judge.core.verdict import Verdict
from judge.results.estimates import estimate
from judge.results.statistics import clustered_proportion


def contract_numbers(verdicts: Sequence[Verdict], robustness: Metric) -> dict[str, Any] | None:
    """The numbers of verdicts under a contract; None where none was asked for. robustness: the metric RA."""
    kept = [verdict for verdict in verdicts if isinstance(verdict.details.get("contract"), Mapping)]
    if not kept:
        return None

    def of(verdict: Verdict) -> Mapping[str, Any]:
        found: Mapping[str, Any] = verdict.details["contract"]
        return found

    kind = str(of(kept[0]).get("kind"))
    numbers: dict[str, Any] = {"kind": kind, "n": len(kept)}
    if kind == "json":
        numbers["parses"] = _share(kept, lambda v: bool(of(v).get("parses"))).to_json()
    else:
        numbers["called"] = _share(kept, lambda v: bool(of(v).get("calls"))).to_json()
    numbers["fits"] = _share(kept, lambda v: bool(of(v).get("fits"))).to_json()
    numbers["letter"] = _share(kept, lambda v: v.details.get("rule") == "contract").to_json()
    if kind == "json":
        numbers["fluff"] = dict(Counter(of(v)["fluff"] for v in kept if of(v).get("fluff")))
    numbers["problems"] = dict(Counter(of(v)["problem"] for v in kept if of(v).get("problem")).most_common())
    fits = {id(verdict) for verdict in kept if of(verdict).get("fits")}
    strict = [v if id(v) in fits or v.score is None else dataclasses.replace(v, score=0) for v in verdicts]
    broken = {verdict.id for verdict in kept if id(verdict) not in fits}
    return {
        **numbers,
        "RA": estimate(robustness, verdicts).to_json(),
        "RA_fits": estimate(robustness, [v for v in verdicts if v.id not in broken]).to_json(),
        "RA_kept": estimate(robustness, strict).to_json(),
    }


def _share(verdicts: Sequence[Verdict], holds: Callable[[Verdict], bool]) -> Estimate:
    """The share of verdicts for which something holds; those on one picture vary together."""
    clusters: dict[str, list[bool]] = {}
    for verdict in verdicts:
        clusters.setdefault(verdict.id, []).append(holds(verdict))
    return clustered_proportion([sum(of) for of in clusters.values()], [len(of) for of in clusters.values()])
