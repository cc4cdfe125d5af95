"""A step of the tiny judge's fine-tuning: shared prefixes against whole prompts, Muon's iteration against torch's.

    python benchmarks/finetune_step.py [--rows 24] [--repeats 5]

Same rows, same weights, one thread, processor time, the fastest of `--repeats`; the two losses are checked to be equal
before they are timed. Rows are the demo's questions with answers as the dataset has them. Prints JSON with ratios.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import torch

from judge.finetune import batches, dataset
from judge.finetune.base import Base
from judge.finetune.loss import Lesson
from judge.finetune.optimiser import COEFFICIENTS, EPSILON, STEPS, orthogonal
from judge.io.human_scores import HumanScore
from judge.model.weights import checkpoint
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir


def rows(base: Base, count: int) -> tuple[list[dataset.Row], dataset.Encoder]:
    """`count` rows of project-based questions, each with its own reference answer."""
    encoder = dataset.Encoder(base.tokenizer, BENCHMARK.rubric("mmjudge"), base.layout)
    requests = [item for item in BENCHMARK.references(demo_dir(), count) if item.category == "PBL"]
    score = HumanScore("", "", "", 4, feedback="The second picture shows a closed lid, and the text is right.")
    judged = [dataset.Judged((item.id, ""), item, (score,)) for item in requests]
    some, _ = encoder.rows(judged, "feedback")
    return (some * count)[:count], encoder


def fastest(action: Callable[[], Any], repeats: int) -> float:
    """Processor seconds."""
    action()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """The command. Ends with a message where the two losses differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = Base.find(str(judge_dir()))
    some, encoder = rows(base, args.rows)
    lesson = Lesson(checkpoint.load_model(base.folder))
    groups = batches.group_rows(some, share_prefix=True, rope_limit=lesson.rope_limit)
    prefixes = batches.find_shared_prefixes(some, groups, base.layout.image_token)
    collate = batches.Collator(encoder)
    shared = collate([(row, prefixes[group]) for row, group in zip(some, groups, strict=True)])
    whole = collate([(row, ()) for row in some])
    with torch.no_grad():
        losses = [lesson(**batch)["loss"].item() for batch in (whole, shared)]
    if abs(losses[0] - losses[1]) > 1e-4 * losses[0]:
        raise SystemExit(f"the losses differ: {losses}")
    passes = [
        fastest(lambda batch=batch: lesson(**batch)["loss"].backward(), args.repeats)  # type: ignore[misc]
        for batch in (whole, shared)
    ]
    report: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "rows": len(some),
        "prompt tokens": len(some[0].prompt),
        "shared tokens": len(shared["prefix"]),
        "forward and backward, whole / shared": round(passes[0] / passes[1], 1),
    }
    newton_schulz = getattr(torch.optim, "_muon", None)
    if newton_schulz is not None:
        parameters = lesson.judge.model.language_model.layers.named_parameters()
        matrices = [weight.detach() for _, weight in parameters if weight.ndim == 2]
        theirs = fastest(
            lambda: [
                newton_schulz._zeropower_via_newtonschulz(matrix, COEFFICIENTS, STEPS, EPSILON) for matrix in matrices
            ],
            args.repeats,
        )
        ours = fastest(lambda: [orthogonal(matrix) for matrix in matrices], args.repeats)
        report["Muon's iteration, torch (bfloat16) / ours (float32)"] = round(theirs / ours, 1)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
