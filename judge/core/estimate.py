"""What every number is reported as: its value, how sure it is, and how many units it is over.

    Estimate(value=75.0, ci_low=62.8, ci_high=84.2, n=60)

`judge.results.estimates` makes them.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with a 95% interval over n units; all None where n is 0. Never NaN."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """As `results.json` has it: {"value", "ci_low", "ci_high", "n"}."""
        return dataclasses.asdict(self)


EMPTY = Estimate(None, None, None, 0)
