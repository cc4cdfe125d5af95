"""A model as a component of a system: does it keep the contract, and does it say the same when it is asked again?

    component_of(benchmark, run, repeats)  ->  Component({"parses": Estimate(91.2, …, 600), "fits": …, "fluff": …,
                                                          "RA": …, "RA, those that fit": …, "RA, as a system": …,
                                                          "flips": …, "RA of the majority": …}, times=5)

From the parts `contract` of verdicts and results, and from the verdicts of all repeats (`Benchmark.stability`). In
percent, with intervals that take questions about one picture as a cluster.

parses       the whole answer is JSON
fluff        there is something around the object or the call
called       there is a call                                no call, wrong tool, bad arguments, several calls
fits         a program can take the answer as it stands
as a system  an answer that does not fit is a wrong one
flips        questions whose answer is not the same each time
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.estimate import Estimate
from judge.core.verdict import Verdict
from judge.results.run_folder import Run
from judge.results.statistics import clustered_proportion

PROBLEMS = {
    "no call": "no_call",
    "wrong tool": "wrong_tool",
    "bad arguments": "invalid_arguments",
    "several calls": "several_calls",
}
"""Column → `problem` of a contract's details."""
JSON_COLUMNS, TOOL_COLUMNS = ("parses", "fits", "fluff"), ("called", "fits", "fluff", *PROBLEMS)
COLUMNS = (
    "parses", "called", "fits", "fluff", *PROBLEMS, "RA", "RA, those that fit", "RA, as a system", "flips",
    "two agree", "RA of the majority",
)  # fmt: skip
"""All columns there may be, in their order."""


@dataclasses.dataclass(frozen=True)
class Component:
    """values: column → estimate, in the order of `COLUMNS`. times: how often every question was asked."""

    values: Mapping[str, Estimate]
    times: int


def component_of(benchmark: Benchmark, run: Run, repeats: Sequence[Run]) -> Component | None:
    """None where there was no contract and no repeat: there is nothing to say."""
    kept = [verdict for verdict in run.verdicts if isinstance(verdict.details.get("contract"), Mapping)]
    values: dict[str, Estimate] = {}
    if kept:
        columns = TOOL_COLUMNS if _contract(kept[0]).get("kind") == "tool" else JSON_COLUMNS
        values |= {column: _share(kept, _HOLDS[column]) for column in columns}
        found = run.results.get("contract") or {}
        for column, name in (("RA", "RA"), ("RA, those that fit", "RA_fits"), ("RA, as a system", "RA_kept")):
            if name in found:
                values[column] = Estimate(**found[name])
    if repeats:
        main = benchmark.headline[0]
        values.setdefault(main, Estimate(**run.estimate(main)))
        stability = benchmark.stability([each.verdicts for each in repeats])
        if stability:
            values |= {"flips": Estimate(**stability["flip_rate"]), "two agree": Estimate(**stability["agreement"])}
            values["RA of the majority"] = Estimate(**stability["majority"]["RA"])
    ordered = {column: values[column] for column in (*COLUMNS, *values) if column in values}
    return Component(ordered, max(1, len(repeats))) if ordered else None


def _contract(verdict: Verdict) -> Mapping[str, Any]:
    found: Mapping[str, Any] = verdict.details["contract"]
    return found


def _has_fluff(contract: Mapping[str, Any]) -> bool:
    return bool(contract.get("fluff")) or contract.get("problem") == "fluff"


def _problem(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda contract: contract.get("problem") == name


_HOLDS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "parses": lambda contract: bool(contract.get("parses")),
    "called": lambda contract: bool(contract.get("calls")),
    "fits": lambda contract: bool(contract.get("fits")),
    "fluff": _has_fluff,
    **{column: _problem(name) for column, name in PROBLEMS.items()},
}


def _share(verdicts: Sequence[Verdict], holds: Callable[[Mapping[str, Any]], bool]) -> Estimate:
    clusters: dict[str, list[bool]] = {}
    for verdict in verdicts:
        clusters.setdefault(verdict.id, []).append(holds(_contract(verdict)))
    return clustered_proportion([sum(of) for of in clusters.values()], [len(of) for of in clusters.values()])
