"""`mmjudge questions --benchmark mmie --out DIR`: what a model under test is asked, as files for programs of others.

`DIR/questions.jsonl` has a line a question with its parts in order, and `DIR/images/` the pictures
(`judge.systems.question_files`). A program answers with `responses.jsonl`, which `mmjudge score` reads.

    mmjudge questions responses.jsonl --layout to-eval --benchmark mmie --out DIR

makes of answers the list that the official MMIE scorer reads: `DIR/to-eval.json`, with the pictures beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands import options
from judge.core.benchmark import find
from judge.errors import UserError

EXAMPLES = (
    "mmjudge questions --benchmark mmie --out questions --limit 20",
    "mmjudge questions responses.jsonl --layout to-eval --benchmark mmie --out official",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("responses", metavar="FILE", type=Path, nargs="?", help="with --layout to-eval: the answers")
    options.add(parser, "--benchmark", required=True, help="whose questions")
    options.add(parser, "--out", required=True, help="folder for the file and images/")
    options.add(parser, *options.DATA)
    options.add(parser, "--subset", help="only a fixed part of the questions, which stands for all: 1k (mmie)")
    add("--limit", type=options.positive, metavar="N", help="only the first N questions")
    add(
        "--layout",
        choices=["lines", "to-eval"],
        default="lines",
        help="a line a question, or the official scorer's list of questions and answers (default: lines)",
    )
    add("--model", metavar="NAME", help="with --layout to-eval: the model that answered (default: what FILE says)")


def run(args: argparse.Namespace) -> int:
    from judge.systems.ask import chosen
    from judge.systems.question_files import write_questions

    benchmark = find(args.benchmark)
    if args.layout == "to-eval":
        return _to_eval(args)
    for option, given in (("FILE", args.responses), ("--model", args.model), ("--image-root", args.image_root)):
        if given is not None:
            raise UserError(f"{option} goes with --layout to-eval", fix="add that, or leave it out")
    dataset = benchmark.load(args.data, images=True)
    subset = benchmark.take_subset(dataset, args.subset) if args.subset else None
    questions = benchmark.questions(dataset, chosen(dataset, args.limit, subset))
    file = write_questions(questions, args.out)
    missing = [question for question in questions if question.missing]
    without = f", {len(missing)} of them without a picture that is not to be had" if missing else ""
    print(f"{file}: {len(questions)} questions{without}")
    return 0


def _to_eval(args: argparse.Namespace) -> int:
    from judge.io.responses import read_responses
    from judge.results.run_info import name_of_model
    from judge.systems.question_files import write_to_eval

    if args.responses is None:
        raise UserError("--layout to-eval needs answers", fix="mmjudge questions responses.jsonl --layout to-eval …")
    if args.limit is not None or args.subset is not None:
        raise UserError("--limit and --subset are for questions; --layout to-eval takes the answers that are there")
    benchmark = find(args.benchmark)
    answers = read_responses(args.responses, args.image_root)
    model = args.model or name_of_model(answers, args.responses) or args.responses.stem
    dataset = benchmark.load(args.data, images=True)
    file, items = write_to_eval(benchmark, answers, dataset, model, args.out)
    left = len(answers) - items
    print(f"{file}: {items} answers" + (f"; {left} left out, since their calls failed" if left else ""))
    return 0
