"""Whether two demos have the same verdicts and numbers: `python maintain/same_demo.py BEFORE AFTER [--aside PART …]`.

    git worktree add ../before c2fe862 && make -C ../before demo && make demo
    python maintain/same_demo.py ../before/out/demo out/demo --aside asked

`verdicts.jsonl` must be the same byte for byte, and `results.json` too, once the parts of the signature that --aside
names, and `run`, which says when and where, are taken out of both. Exit code 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = ("mmie", "mmvu")


def results_but(file: Path, aside: Sequence[str]) -> str:
    """The text of `results.json` without `run` and without some parts of its signature."""
    result = json.loads(file.read_text(encoding="utf-8"))
    result.pop("run", None)
    parts = [part for part in result["signature"].split("|") if part.partition(":")[0] not in aside]
    result["signature"] = "|".join(parts)
    return json.dumps(result, indent=1, ensure_ascii=False)


def differences(before: Path, after: Path, aside: Sequence[str]) -> list[str]:
    """One line for every file that differs."""
    found = []
    for name in BENCHMARKS:
        if (before / name / "verdicts.jsonl").read_bytes() != (after / name / "verdicts.jsonl").read_bytes():
            found.append(f"{name}/verdicts.jsonl differs")
        old, new = (results_but(folder / name / "results.json", aside) for folder in (before, after))
        if old != new:
            lines = zip(old.splitlines(), new.splitlines(), strict=False)
            first = next((pair for pair in lines if pair[0] != pair[1]), ("", "more lines"))
            found.append(f"{name}/results.json differs, first: {first[0].strip()} | {first[1].strip()}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--aside", nargs="*", default=[], metavar="PART", help="parts of the signature to leave out")
    args = parser.parse_args()
    found = differences(args.before, args.after, args.aside)
    print("\n".join(found) or f"the same: {', '.join(BENCHMARKS)}")
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
