"""RA and MR from integer counts against every printed cell of both published tables, to the printed digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest

from judge.core.metric import Ratio
from judge.core.verdict import Verdict
from mmvu_tasks.categories import CATEGORIES
from mmvu_tasks.metrics import METRICS, summarise
from mmvu_tasks.pairs import OUTCOMES

TABLES = json.loads((Path(__file__).parent / "published_tables.json").read_text())
ROWS = [(edition, model) for edition in ("v1", "CVPR") for model, row in TABLES[edition].items() if "PP" in row]

# The tables round half up (61.14 of 546/893; 30.625 -> 30.63), but these cells are cut, not rounded:
CUT = {
    ("CVPR", "GPT4o", "MR", "Character/Number"),  # 6/69 = 8.6956
    ("v1", "LLaVA-1.6-34B", "RA", "Position"),  # 16/22 = 72.7272
    ("v1", "LLaVA-1.6-34B", "RA", "Abstract"),  # 18/22 = 81.8181
    ("v1", "LLaVA-1.6-34B", "RA", "Concrete"),  # 15/21 = 71.4285
    ("v1", "LLaVA-1.6-34B", "MR", "Abstract"),  # 3/21 = 14.2857
}
# and one is a misprint: 19/24 = 79.1666, printed 19.17; with 19 its row sums to 207/300 = 69.00 as printed
MISPRINT = ("v1", "Mini-Gemini-HD-34B", "RA", "Activity")


RA, MR = (metric.ratio for metric in METRICS[:2])


def of_counts(metric: Ratio, **counts: int) -> float:
    """RA or MR of so many pairs with each outcome."""
    return float(metric.of(np.array([counts.get(outcome, 0) for outcome in OUTCOMES])))


def verdicts(edition: str, row: dict[str, list[int]]) -> Iterator[Verdict]:
    """A run with the row's counts: in each category PP pairs both right, PN misled, the rest wrong twice."""
    index = 0
    for number, category in enumerate(CATEGORIES):
        pairs = category.v1 if edition == "v1" else category.cvpr
        both, misled = row["PP"][number], row.get("PN", [0] * 12)[number]
        for pair in range(pairs):
            scores = (1, 1) if pair < both else (1, 0) if pair < both + misled else (0, 0)
            for kind, score in zip(("POS", "NEG"), scores, strict=True):
                details = {"type": kind, "level": category.level, "score_reference": score}
                yield Verdict(f"{category.key}/{pair}", "rule", score, None, category.name, index, details=details)
                index += 1


def printed(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def rounded(value: float | None, how: str) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.01"), how)


@pytest.mark.parametrize(("edition", "model"), ROWS)
def test_every_cell_of_the_row(edition: str, model: str) -> None:
    row = TABLES[edition][model]
    summary = summarise(list(verdicts(edition, row)), None)
    cells = {
        (metric, name): (row[metric] if name == "all" else row[f"{metric}_cat"][number - 1], found[metric].value)
        for metric in ("RA", "MR")
        if metric in row
        for number, (name, found) in enumerate([("all", summary.metrics), *summary.categories.items()])
    }
    assert len(cells) == (26 if "PN" in row else 13)
    for (metric, name), (shown, value) in cells.items():
        cell = (edition, model, metric, name)
        if cell == MISPRINT:
            assert (printed(shown), rounded(value, ROUND_HALF_UP)) == (Decimal("19.17"), Decimal("79.17"))
        elif cell in CUT:
            assert printed(shown) == rounded(value, ROUND_DOWN) != rounded(value, ROUND_HALF_UP)
        else:
            assert printed(shown) == rounded(value, ROUND_HALF_UP), cell


def test_rows_and_exceptions_are_the_published_ones() -> None:
    assert [edition for edition, _ in ROWS].count("v1") == 19
    assert [edition for edition, _ in ROWS].count("CVPR") == 14
    assert sum("MR" in TABLES["v1"][model] for edition, model in ROWS if edition == "v1") == 17


def test_the_row_left_out_was_not_scored_on_all_pairs() -> None:
    row = TABLES["CVPR"]["Qwen-VL-max-0809"]
    presence = CATEGORIES[1]
    assert (presence.name, presence.cvpr, row["RA_cat"][1]) == ("Presence", 83, 60.87)
    # 50/83 = 60.24, 51/83 = 61.45: nothing in between
    shown = {rounded(of_counts(RA, PP=both, NN=83 - both), ROUND_HALF_UP) for both in range(84)}
    assert printed(60.87) not in shown
    # the one partial set that fits all its cells: 268 of 423 pairs right, 91 of 359 misled
    assert rounded(of_counts(RA, PP=268, NN=155), ROUND_HALF_UP) == printed(row["RA"])
    assert rounded(of_counts(MR, PP=268, PN=91), ROUND_HALF_UP) == printed(row["MR"])


def test_counts_of_a_summary() -> None:
    row = TABLES["CVPR"]["GPT4o"]
    summary = summarise(list(verdicts("CVPR", row)), None)
    # PP 581, PN 141: POS = 722/893 = 80.85; NEG here = PP alone
    assert summary.extra["pairs"]["outcomes"] == {"PP": 581, "PN": 141, "NP": 0, "NN": 171}
    assert (summary.metrics["RA"].n, summary.metrics["MR"].n, summary.metrics["POS"].n) == (893, 722, 893)
    assert rounded(summary.metrics["POS"].value, ROUND_HALF_UP) == Decimal("80.85")
    levels = {name: found["RA"].n for name, found in summary.groups["level"].items()}
    # 82; 83+62+81+72+84+71; 68+64+65+90+71
    assert levels == {"character": 82, "attribute": 453, "context": 358}
