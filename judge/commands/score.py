"""`mmjudge score FILE --benchmark mmie --out DIR`: saved responses in, `verdicts.jsonl` and `results.json` out.

Beside them goes `samples.jsonl`, questions and answers to be read in a report (`judge.io.samples`).

No model under test runs here. `verdicts.jsonl` is the journal: killed at any point, the same command goes on and
judges nothing twice. `results.json` appears when everything is decided. Exit codes: 0; 2 for input that must be mended;
3 where more answers than `--max-unscored` have no score (everything is written all the same).

The rubric is, in this order: `--rubric`; what `mmjudge.json` in the judge's folder names (`{"rubric": "mmjudge"}`: a
judge is asked in the words that it was trained on); "official", the wording of the published judge.

Several GPUs are used at once, one process each (`judge.engines.processes`). As ranks of `accelerate launch`,
`torchrun` or `srun` the processes share the work through DIR (`judge.scoring.ranks`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Benchmark, Dataset, Source, find, names
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.engines import Engine, EngineOptions
from judge.engines.devices import ALONE, default_device, this_rank
from judge.engines.loading import TOKENIZER_VARIABLE, default_tokenizer, is_address, load_judge_engine
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError
from judge.io.presentation import keep_samples
from judge.io.responses import read_responses
from judge.model.weights.source import check_judge_name
from judge.results.result import Result, build_result
from judge.results.run_folder import RunFolder
from judge.results.terminal import result_table
from judge.scoring import ranks
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import JUDGE_VARIABLE, default_judge, default_rubric, judge_answers, make_signature

TOO_MANY_UNSCORED = 3
ENGINE_PACKAGES = ("pillow", "safetensors", "torch", "transformers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "file",
        metavar="FILE",
        type=Path,
        help="responses.jsonl, a samples JSONL of lmms-eval, or an official to-eval list",
    )
    add("--benchmark", required=True, choices=names(), help="whose answers these are")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for verdicts.jsonl and results.json")
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="local copy of the dataset (default: the environment's, else the Hub's)",
    )
    add(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder that images of answers lie below (default: FILE's folder)",
    )
    add(
        "--judge",
        metavar="JUDGE",
        action="append",
        help=f"Hub repository, folder, http://HOST:PORT/v1[,…] or replay:FILE (default: ${JUDGE_VARIABLE} or MMIE's)",
    )
    add(
        "--tokenizer",
        metavar="JUDGE",
        help=f"with addresses: the judge they serve, whose tokenizer checks prompts (default: ${TOKENIZER_VARIABLE})",
    )
    add(
        "--rubric",
        choices=["mmjudge", "official"],
        help="wording put to the judge (default: what the judge was trained on)",
    )
    add(
        "--profile",
        choices=["reference", "strict"],
        default="strict",
        help="as the official scripts do, or nothing lost",
    )
    add("--device", help="cpu, cuda, cuda:1, … (default: an accelerator where there is one)")
    add("--dtype", choices=["float32", "bfloat16"], help="default: bfloat16 on an accelerator, float32 on a CPU")
    add("--batch-size", type=_positive, metavar="N", help="answers judged together; changes speed, not scores")
    add("--workers", type=_positive, metavar="N", help="processes, each with a judge of its own (default: one a GPU)")
    add(
        "--rope",
        choices=["reference", "recompute", "long"],
        default="reference",
        help="long prompts (in the signature)",
    )
    add(
        "--stop-at-score",
        action="store_true",
        help="with --profile reference: end an answer where its score is certain (in the signature)",
    )
    add("--max-unscored", type=share, default=0.05, metavar="SHARE", help="exit with 3 above this share (default: 5%%)")
    add("--retry-unscored", action="store_true", help="judge again all that an earlier run left unscored")
    add("--keep-images", action="store_true", help="keep all pictures for the report, not only few or singled-out ones")
    add("--dry-run", action="store_true", help="stop before the judge: requests.jsonl and dropped.jsonl")


def share(text: str) -> float:
    """ "5%" or "0.05" → 0.05."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5% or 0.05")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of answers")
    return int(text)


def run(args: argparse.Namespace) -> int:
    benchmark = find(args.benchmark)
    if args.stop_at_score and args.profile != "reference":
        raise UserError(
            "--stop-at-score: under --profile strict a later line may contradict the first score, so none is certain",
            fix="add --profile reference, or leave it out",
        )
    answers = read_responses(args.file, args.image_root)
    folder = RunFolder(args.out).make()
    # what is quick to check comes before what may download or load for minutes
    judge = None if args.dry_run else _judge(benchmark, args.judge)
    replay = Replay(judge.removeprefix(PREFIX)) if judge and judge.startswith(PREFIX) else None
    rank = this_rank()
    if judge is None or replay is not None:
        if rank.number > 0:
            return 0  # the first one needs no help
        rank = ALONE
    if args.dry_run:
        return _dry_run(benchmark, answers, args)
    others = ranks.signs(args.out, rank)
    with Journal(folder.verdicts) if rank.number == 0 else contextlib.nullcontext() as journal:
        dataset = _dataset(benchmark, answers, args.data, bare=replay is not None)
        source = dataset.source if dataset else _own_questions(answers)
        rubric: Rubric | None = None
        engine: Engine | None = replay
        if judge is not None and replay is None:
            args.tokenizer = args.tokenizer or default_tokenizer()
            rubric = benchmark.rubric(args.rubric or default_rubric(_described(judge, args)))
            if not is_address(judge):
                args.device = args.device if rank.alone else default_device(args.device, rank)
            engine = _engine(judge, args)
        identity = engine.identity if engine is not None else {}
        signature = make_signature(benchmark, source, args.profile, rubric, identity)
        grader = Grader(engine, rubric, args.profile, signature)
        if journal is not None:
            folder.discard_results()
        if engine is not None and not rank.alone:
            assessed = benchmark.assess(answers, dataset, args.profile)
            requests = [item for item in assessed if isinstance(item, Request)]
            retry = args.retry_unscored
            count = ranks.judge_share(requests, grader, args.out, rank, retry_unscored=retry)
            if journal is None:
                ranks.say(f"rank {rank.number} of {rank.size}: {count} of {len(requests)} answers are judged")
                return 0
            ranks.join(requests, grader, journal, rank, others, retry_unscored=retry)
            args.retry_unscored = False  # every rank has seen to its own
        assert journal is not None
        assessed = benchmark.assess(answers, dataset, args.profile, bare=grader.needs_no_questions)
        verdicts = judge_answers(assessed, grader, journal, retry_unscored=args.retry_unscored)
        packages = ENGINE_PACKAGES if engine is not None and engine.reads else ()
        result = build_result(benchmark, verdicts, dataset, source, signature, packages=packages)
        keep_samples(args.out, benchmark, answers, dataset, verdicts, keep_images=args.keep_images)
        path = folder.write_results(result)
    print(result_table(result, benchmark.title, benchmark.headline))
    print(f"\n{path}")
    return _exit_code(result, args.max_unscored)


def _judge(benchmark: Benchmark, given: list[str] | None) -> str | None:
    if not benchmark.judged:
        if given is not None:
            print(f"{benchmark.name} is decided by rules: --judge is not used", file=sys.stderr)
        return None
    judge = ",".join(given) if given else default_judge()
    if is_address(judge):
        from judge.engines.endpoints import addresses

        addresses(judge)
    elif given and len(given) > 1:
        raise UserError("--judge is given several times", fix="one judge, or addresses that serve the same one")
    elif not judge.startswith(PREFIX):
        check_judge_name(judge)
    return judge


def _dataset(benchmark: Benchmark, answers: Sequence[Answer], data: Path | None, *, bare: bool) -> Dataset | None:
    """The questions, or None where nobody needs them: the file brings its own, or a replay answers by id."""
    if benchmark.judged and data is None:
        if all(answer.record is not None for answer in answers):
            return None
        if bare and all(answer.id is not None for answer in answers):
            return None
    return benchmark.load(data)


def _own_questions(answers: Sequence[Answer]) -> Source | None:
    """The source of questions that came with their answers: named by content, whoever answered them."""
    if any(answer.record is None for answer in answers):
        return None
    fields = ("id", "question", "gt_answer")
    rows = sorted(json.dumps([(answer.record or {}).get(field) for field in fields]) for answer in answers)
    digest = hashlib.sha256("\n".join(rows).encode("ascii")).hexdigest()
    return Source("to-eval", f"local:{digest[:12]}", "unknown")


def _described(judge: str, args: argparse.Namespace) -> str:
    """Where the judge's small files are: those of one that is served elsewhere are given beside its address."""
    return args.tokenizer or judge if is_address(judge) else judge


def _engine(judge: str, args: argparse.Namespace) -> Engine:
    if args.stop_at_score and is_address(judge):
        raise UserError("--stop-at-score: endpoints write answers to their end", fix="leave it out")
    options = EngineOptions(
        device=args.device,
        dtype=args.dtype,
        batch_size=args.batch_size,
        rope=args.rope,
        workers=args.workers,
        tokenizer=args.tokenizer,
        stop_at_score=args.stop_at_score,
    )
    return load_judge_engine(judge, options)


def _dry_run(benchmark: Benchmark, answers: Sequence[Answer], args: argparse.Namespace) -> int:
    if not benchmark.judged:
        raise UserError(f"{benchmark.name} is decided by rules: there is nothing to hand to a judge")
    dataset = _dataset(benchmark, answers, args.data, bare=False)
    requests, dropped = [], []
    for item in benchmark.assess(answers, dataset, args.profile):
        if isinstance(item, Request):
            requests.append(item.to_json())
        else:
            dropped.append({"id": item.id, "reason": item.unscored, "note": item.details.get("note")})
    for name, rows in (("requests.jsonl", requests), ("dropped.jsonl", dropped)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (args.out / name).write_text(text, encoding="ascii", newline="\n")
    print(f"{args.out}: {len(requests)} requests, {len(dropped)} dropped")
    return 0


def _exit_code(result: Result, max_unscored: float) -> int:
    unscored = result["unscored"]
    if unscored["rate"] is None or unscored["rate"] <= max_unscored:
        return 0
    print(
        f"{unscored['n']} of {result['n']} answers have no score, more than --max-unscored {max_unscored:.1%}\n"
        "→ see the reasons above; --retry-unscored judges those answers again",
        file=sys.stderr,
    )
    if "image_missing" in unscored["reasons"]:
        print("→ pictures of answers are looked for beside FILE, or below --image-root DIR", file=sys.stderr)
    return TOO_MANY_UNSCORED
