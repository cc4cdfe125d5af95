"""What a benchmark's conditions are called in harnesses: the same in all of them.

named_conditions(MMVU)  ->  {"mmvu_blind": ("mmvu", …), …, "mmvu_demo_blind": ("mmvu_demo", …), …}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from judge.core.benchmark import Benchmark
from judge.core.condition import Condition
from judge.errors import UserError

Named = Mapping[str, tuple[str, Condition]]
"""Name of a task or dataset → the name of what is asked under the condition, and the condition."""


def named_conditions(benchmark: Benchmark) -> Named:
    """All conditions of a benchmark, of its data and of its demo."""
    return {
        f"{base}_{name}": (base, condition)
        for base in (benchmark.name, f"{benchmark.name}_demo")
        for name, condition in benchmark.conditions.items()
    }


def asking_conditions(benchmark: Benchmark) -> Named:
    """Those that need nothing of a model but answers."""
    return {
        name: (base, condition)
        for name, (base, condition) in named_conditions(benchmark).items()
        if condition.procedure in ("one call", "cgr")
    }


def refuse_unknown(wanted: Iterable[str], benchmark: str, known: Iterable[str]) -> None:
    """Raise UserError, with the nearest name, for a name that begins like those of a benchmark and is none of `known`.

    benchmark: how it is called, "mmvu". Patterns and names of files (`mmvu_mine.yaml`) are left alone.
    """
    there = sorted(known)
    for name in wanted:
        if name.startswith(f"{benchmark}_") and name not in there and not set(name) & set("*?[./"):
            near = difflib.get_close_matches(name, there, 1)
            short = [one for one in there if one.startswith(benchmark) and "_demo" not in one]
            fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(short)}"
            raise UserError(f"there is no {name!r}", fix=fix)
