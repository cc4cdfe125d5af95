"""How good is a subset of MMIE's questions? Made-up runs with MMIE's counts by field: python benchmarks/subset_sizes.py

Three runs of 20,103 scores each, normal within a field with a standard deviation of 1.5 points and rounded to 0 to 6;
fields differ, and the runs lie 2.5 percent of the scale apart. Prints what `mmjudge score --subset 1k` says of one of
them, and what `mmjudge subset-check` finds for all three. No model's answers are in it: with those the numbers will be
others. `--draws 5` is quicker.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from judge import cli
from judge.validity.subset_check import DRAWS, check_subsets

PUBLISHED = {
    ("SA", "Literature"): 5005, ("PBL", "Education"): 2835, ("PBL", "Finance"): 2604, ("PBL", "Health"): 2000,
    ("PBL", "EECS"): 1792, ("PBL", "Art"): 1304, ("PBL", "Sports"): 895, ("PBL", "Philosophy"): 52, ("MSR", ""): 3616,
}  # fmt: skip
"""Questions of MMIE by category and field."""
WITHIN, APART = 1.5, 0.15
"""Points: the standard deviation within a field; from run to run."""
RUNS = ("first", "second", "third")


def draw_scores(number: int) -> dict[str, int]:
    """The scores of one made-up run, by id."""
    rng = np.random.default_rng(number)
    found = {}
    for position, ((category, field), count) in enumerate(PUBLISHED.items()):
        mean = 3.4 + 0.25 * (position % 4) + APART * number
        scores = np.clip(np.rint(rng.normal(mean, WITHIN, count)), 0, 6).astype(int)
        found |= {f"{category}-{field}-{n}": int(score) for n, score in enumerate(scores)}
    return found


def strata() -> Iterator[tuple[str, tuple[str, str]]]:
    """Every made-up question: its id, its category and field."""
    for (category, field), count in PUBLISHED.items():
        yield from ((f"{category}-{field}-{n}", (category, field)) for n in range(count))


def score_subset(folder: Path) -> None:
    """What `mmjudge score --subset 1k` prints of the first run, its scores replayed."""
    records = []
    for name, (category, field) in strata():
        turns = [
            {"from": who, "content": [{"text": text, "image": None}]} for who, text in (("human", "?"), ("gpt", "!"))
        ]
        label = {"field": field} if field else {}
        records.append({"id": name, "catagory": category, "conversations": turns, **label})
    (folder / "data.json").write_text(json.dumps(records), encoding="utf-8")
    scores = draw_scores(0)
    answers = "".join(json.dumps({"id": name, "response": "An answer."}) + "\n" for name in scores)
    said = "".join(json.dumps({"id": name, "feedback": f"### Score\n{score}"}) + "\n" for name, score in scores.items())
    (folder / "responses.jsonl").write_text(answers, encoding="utf-8")
    (folder / "feedback.jsonl").write_text(said, encoding="utf-8")
    words = ("score", folder / "responses.jsonl", "--benchmark", "mmie", "--subset", "1k", "--data", folder)
    judge = ("--judge", f"replay:{folder / 'feedback.jsonl'}", "--out", folder / "out")
    if cli.main([str(word) for word in (*words, *judge)]):
        raise SystemExit("the subset could not be scored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        score_subset(Path(folder))
    runs = {}
    for number, name in enumerate(RUNS):
        scores = draw_scores(number)
        runs[name] = [(id_, stratum, scores[id_]) for id_, stratum in strata()]
    found = check_subsets(runs, draws=args.draws)
    print("\nsize   usual error   interval holds the score   in order, of pairs of runs")
    for size, row in found["sizes"].items():
        errors = [each["rmse"] for each in row["runs"].values()]
        held = sum(each["coverage"] for each in row["runs"].values()) / len(runs)
        error = f"{min(errors):.2f} to {max(errors):.2f}"
        print(f"{size:>4}   {error:>12}   {held:>24.1%}   {row['same_order_drawn']:>26.1%}")


if __name__ == "__main__":
    main()
