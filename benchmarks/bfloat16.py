"""How many of a judge's texts and scores change in bfloat16, and there with the batch size.

    python benchmarks/bfloat16.py                                             # the demo's tiny judge, CPU
    python benchmarks/bfloat16.py --judge MMIE/MMIE-Score --device cuda --n 600 --batch 16 [--out FILE]

The judge reads held-out examples of the demo (drawn pictures, answers good and wrong in five ways) four times: in
float32 and in bfloat16, one prompt at a time and in batches. Rounding differs between the two types, and in bfloat16
also between matrix kernels, which are chosen by the size of a batch; greedy decoding turns a rounding error into
another text wherever two tokens are nearly as likely. In float32 the batch is expected to change nothing: that row is
the control. Score: what `strict` parsing makes of a text; having none is a value too. Intervals are Wilson's at 95%.

Prints a Markdown table, then JSON. What it measures holds for the judge, the machine and the prompts it ran on.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from output import print_result
from toy_judge import held_out
from toy_judge.examples import CONDITIONS, make_request

from judge.core.score_text import parse_score
from judge.engines import MAX_NEW_TOKENS, EngineOptions, Prompt
from judge.engines.local import load_local_engine
from judge.errors import UserError
from judge.model.weights import checkpoint, source
from judge.results.statistics import proportion
from judge.scoring.pipeline import default_rubric
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import judge_dir

Answers = list[tuple[str, int | None]]
"""Text and score of every prompt, in order."""

COMPARED = (
    ("float32 → bfloat16", ("float32", "batch"), ("bfloat16", "batch")),
    ("bfloat16, batch 1 → {batch}", ("bfloat16", "one"), ("bfloat16", "batch")),
    ("float32, batch 1 → {batch} (control)", ("float32", "one"), ("float32", "batch")),
)


def prompts(n: int, rubric: str, folder: Path) -> list[Prompt]:
    """About n held-out examples, as many of every condition, their pictures drawn into `folder`."""
    wording = BENCHMARK.rubric(rubric)
    requests = [
        make_request(example, folder, f"demo-{number}")
        for number, example in enumerate(held_out.held_out_examples(-(-n // len(CONDITIONS))))
    ]
    return [Prompt(made, wording.render(made)) for made in requests]


def answers(some: Sequence[Prompt], judge: str, device: str, dtype: str, batch: int, new_tokens: int) -> Answers:
    """What the judge says of every prompt. Raises UserError where a prompt got no text: nothing can be compared."""
    options = EngineOptions(device=device, dtype=dtype, batch_size=batch, max_new_tokens=new_tokens)
    engine = load_local_engine(judge, options)
    done = dict(engine.complete(some))
    found: Answers = []
    for number in range(len(some)):
        completion = done[number]
        if completion.text is None:
            raise UserError(f"no text ({completion.unscored}: {completion.note})", record=some[number].request.id)
        found.append((completion.text, parse_score(completion.text, stopped=completion.stopped, profile="strict")[0]))
    return found


def changes(before: Answers, after: Answers) -> dict[str, Any]:
    """How many texts and scores differ (counts, percent with interval); unscored and mean score of both sides."""
    pairs = list(zip(before, after, strict=True))
    scores = [[score for _, score in side if score is not None] for side in (before, after)]
    found: dict[str, Any] = {"n": len(pairs)}
    for name, place in (("texts", 0), ("scores", 1)):
        changed = sum(a[place] != b[place] for a, b in pairs)
        found[name] = {"changed": changed, **proportion(changed, len(pairs)).to_json()}
    return found | {
        "unscored": [len(pairs) - len(side) for side in scores],
        "mean": [sum(side) / len(side) if side else None for side in scores],
    }


def measure(
    some: Sequence[Prompt], judge: str, device: str, batch: int, new_tokens: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """Every comparison by name; seconds of every run, loading included."""
    runs: dict[tuple[str, str], Answers] = {}
    seconds = {}
    for dtype in ("float32", "bfloat16"):
        for how, size in (("one", 1), ("batch", batch)):
            start = time.perf_counter()
            runs[dtype, how] = answers(some, judge, device, dtype, size, new_tokens)
            seconds[f"{dtype}, batch {size}"] = round(time.perf_counter() - start, 1)
            gc.collect()
    return {name.format(batch=batch): changes(runs[a], runs[b]) for name, a, b in COMPARED}, seconds


def table(found: dict[str, Any]) -> str:
    """`measure`'s comparisons in Markdown."""
    lines = ["| change | n | texts changed | scores changed | mean score, 0-6 |", "|---|---:|---|---|---|"]
    for name, row in found.items():
        shares = [
            f"{row[what]['changed']} = {row[what]['value']:.1f}% "
            f"({row[what]['ci_low']:.1f} to {row[what]['ci_high']:.1f})"
            for what in ("texts", "scores")
        ]
        means = " → ".join("-" if mean is None else f"{mean:.2f}" for mean in row["mean"])
        lines.append(f"| {name} | {row['n']} | {' | '.join(shares)} | {means} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: exit code 0, or 2 where a judge cannot be loaded or asked."""
    import torch
    import transformers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default=str(judge_dir()), help="folder or Hub repository; default: the demo's")
    parser.add_argument("--rubric", help="default: the one the judge was trained on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--n", type=int, default=60, help=f"prompts, rounded up to a multiple of {len(CONDITIONS)}")
    parser.add_argument("--batch", type=int, default=8, help="prompts at a time, where memory allows")
    parser.add_argument("--max-new-tokens", type=int, default=MAX_NEW_TOKENS)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            some = prompts(args.n, args.rubric or default_rubric(args.judge), Path(folder))
            found, seconds = measure(some, args.judge, args.device, args.batch, args.max_new_tokens)
    except UserError as error:
        print(f"bfloat16: {error}", file=sys.stderr)
        return 2
    on_gpu = args.device.startswith("cuda")
    row = {
        "judge": "demo" if Path(args.judge) == judge_dir() else args.judge,
        "weights": checkpoint.weights_sha256(source.resolve_judge(args.judge).folder)[:12],
        "device": torch.cuda.get_device_name(args.device) if on_gpu else f"cpu ({platform.machine()})",
        "compared": found,
        "seconds": seconds,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print_result(table(found), row, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
