"""How the tiny judge fares on unseen answers: `python -m benchmarks.toy_judge.held_out [--judge DIR] [--n 20]`.

Questions are built on plans and sums that training leaves out; answers are good, or wrong in one way. The judge
reads them as it reads any request. A judge worth having gives good answers more than shuffled ones, and those more
than blank ones; this prints its mean per condition beside the mean the answers deserve.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.core.estimate import EMPTY, Estimate
from judge.engines import EngineOptions
from judge.results.statistics import mean_score
from judge.scoring.grader import Grader
from judge.validity.agreement import measure_agreement
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import judge_dir

from .examples import CONDITIONS, RUBRIC, Example, generate_examples, make_request

Scored = list[tuple[Example, int | None]]


def held_out_examples(n: int, seed: str = "held out") -> list[Example]:
    """n of every condition, all three categories in turn."""
    return [
        example
        for condition in CONDITIONS
        for turn, category in enumerate(BENCHMARK.categories)
        for example in itertools.islice(
            generate_examples(seed, held=True, condition=condition, category=category), len(range(turn, n, 3))
        )
    ]


def judge_examples(some: Sequence[Example], folder: Path) -> Scored:
    """Every example with the score the judge in `folder` gives it; None where it gives none."""
    from judge.engines.local import load_local_engine

    engine = load_local_engine(str(folder), EngineOptions(device="cpu", max_new_tokens=160))
    with tempfile.TemporaryDirectory() as drawn:
        requests = [make_request(example, Path(drawn), f"demo-{number}") for number, example in enumerate(some)]
        scores = Grader(engine, BENCHMARK.rubric(RUBRIC)).scores(requests)
    return list(zip(some, scores, strict=True))


def by_condition(scored: Scored) -> Mapping[str, Sequence[tuple[int, int | None]]]:
    """Condition → (deserved, given) of its examples."""
    return {name: [(e.score, given) for e, given in scored if e.condition == name] for name in CONDITIONS}


def score_table(scored: Scored) -> str:
    """Mean score, in points, with its 95% interval, per condition."""
    lines = [
        "| answers | n | deserved | given | 95% interval | exact | unscored |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for name, pairs in by_condition(scored).items():
        given = [score for _, score in pairs if score is not None]
        mean = mean_score(BENCHMARK.scale.histogram(given))
        deserved = sum(score for score, _ in pairs) / len(pairs)
        exact = sum(a == b for a, b in pairs) / len(pairs)
        shown = "-" if mean.value is None else f"{mean.value:.2f} | {mean.ci_low:.2f} to {mean.ci_high:.2f}"
        lines.append(
            f"| {name.replace('_', ' ')} | {len(pairs)} | {deserved:.2f} | {shown} | {exact:.0%} "
            f"| {len(pairs) - len(given)} |"
        )
    return "\n".join(lines)


def count_words(scored: Scored) -> list[float]:
    """Words of every answer, what a judge must know more than."""
    return [float(sum(len((part["text"] or "").split()) for part in example.answer)) for example, _ in scored]


def estimate_agreement(scored: Scored) -> Mapping[str, Estimate]:
    """How well the given scores agree with the deserved ones, where one was given."""
    pairs = [(given, example.score) for example, given in scored if given is not None]
    return measure_agreement([given for given, _ in pairs], [deserved for _, deserved in pairs])


def agreement_table(judged: Scored, base: Scored) -> str:
    """The judge, its base, the length of the answer and one constant beside the scores deserved."""
    deserved = [float(example.score) for example, _ in judged]
    mean = sum(deserved) / len(deserved)
    rows = {
        "this judge": estimate_agreement(judged),
        "its base, which saw no good answer": estimate_agreement(base),
        "words of the answer": {**measure_agreement(count_words(judged), deserved), "mae": EMPTY},
        f"always {mean:.2f}": measure_agreement([mean] * len(deserved), deserved),
    }
    lines = ["| | n | Pearson | mean absolute error |", "|---|---:|---|---|"]
    for name, found in rows.items():
        lines.append(f"| {name} | {found['pearson'].n} | {_shown(found['pearson'])} | {_shown(found['mae'])} |")
    return "\n".join(lines)


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.ci_low:.2f}, {estimate.ci_high:.2f}]"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, default=judge_dir())
    parser.add_argument("--n", type=int, default=20, help="answers per condition")
    args = parser.parse_args(argv)
    print(score_table(judge_examples(held_out_examples(args.n), args.judge)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
