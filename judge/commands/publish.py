"""`mmjudge publish RESULTS --model ORG/NAME`: a run's numbers onto its model's page on the Hugging Face Hub.

    mmjudge publish out/mmvu --model ORG/NAME --details ORG/mmjudge-details           # shows all that would be sent
    mmjudge publish out/mmvu --model ORG/NAME --details ORG/mmjudge-details --push    # sends it

    mmjudge publish out/train --dataset ORG/NAME           # training data of `mmjudge mmvu-data filter`

What a reader would take for something else (replayed feedback, another judge, a part of the questions, …) is refused
until `--allow REASON,…` says that it is meant. The numbers go to the model as a pull request, verdicts and responses to
a dataset repository of yours. Sending twice changes nothing. Exit codes: 0; 2 for what may not be published, what is in
the way, and what the Hub refuses.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands import options
from judge.core.benchmark import find
from judge.errors import UserError
from judge.io.progress import MOMENT, doing
from judge.publish import details, plan
from judge.publish.hub import Hub, Repo
from judge.publish.ready import ALLOWABLE, refuse_unready
from judge.results.run_folder import read_runs

EXAMPLES = (
    "mmjudge publish results/a --model ORG/NAME",
    "mmjudge publish results/a --model ORG/NAME --details ORG/mmjudge-details --push",
)
KEPT = "what the Hub has taken stays there; the same command sends the rest, and nothing twice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, metavar="RESULTS", help="results folder of `mmjudge score`, or training data")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--model", metavar="ORG/NAME", help="the model that was measured, on the Hub")
    where.add_argument("--dataset", metavar="ORG/NAME", help="where training data goes (`mmjudge mmvu-data filter`)")
    add("--details", metavar="ORG/DATASET", help="dataset repository for verdicts, responses and report")
    add("--model-index", action="store_true", help="the numbers in the metadata of the model's README.md, too")
    add("--push", action="store_true", help="send it; without this, show what would be sent")
    options.add(parser, "--max-unscored", help="refuse above this share (default: 5%%)")
    add("--allow", type=_reasons, default=frozenset(), metavar="REASON[,REASON…]",
        help="publish in spite of these, which the notes then name: "
        + "; ".join(f"{name}, {about}" for name, about in ALLOWABLE.items()))  # fmt: skip


def run(args: argparse.Namespace) -> int:
    return _publish_run(args) if args.dataset is None else _publish_dataset(args)


def _publish_dataset(args: argparse.Namespace) -> int:
    from judge.publish import dataset_folder

    if given := [name for name in ("details", "model_index", "allow") if getattr(args, name)]:
        raise UserError(f"--{given[0].replace('_', '-')} means nothing with --dataset", fix="leave it out")
    hub, repo = Hub(), Repo("dataset", args.dataset)
    hub.check(repo)
    planned = dataset_folder.plan_dataset(hub, args.folder, repo, offline=not args.push)
    print(hub.hide(dataset_folder.show_dataset(planned)))
    print()
    if args.push:
        dataset_folder.push_dataset(hub, planned, lambda line: print(hub.hide(line)))
    else:
        print("nothing was sent; add --push to send it")
    return 0


def _publish_run(args: argparse.Namespace) -> int:
    (measured,) = read_runs([args.folder])
    benchmark = find(measured.results["benchmark"])
    overruled = refuse_unready(measured, benchmark, args.max_unscored, args.allow)
    hub = Hub()
    model = Repo("model", args.model)
    dataset = Repo("dataset", args.details) if args.details else None
    for repo in (model, dataset):
        if repo is not None:
            hub.check(repo)
    target = plan.Target(model, dataset, index=args.model_index, allowed=[reason.name for reason in overruled])
    with doing("reading what the Hub has", after=MOMENT):
        planned = plan.make_plan(hub, measured, benchmark, target, offline=not args.push)
    for reason in overruled:
        print(f"allowed, {reason.name}: {reason.problem}")
    print(hub.hide(plan.show_plan(planned)))
    if dataset is not None:
        _advise(measured.folder, benchmark.repo)
    print()
    if args.push:
        plan.push_plan(hub, planned, lambda line: print(hub.hide(line)))
    else:
        print("nothing was sent; add --push to send it")
    return 0


def _reasons(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if unknown := sorted(names - set(ALLOWABLE)):
        raise argparse.ArgumentTypeError(
            f"{', '.join(map(repr, unknown))}: no such reason; known: {', '.join(ALLOWABLE)}"
        )
    return names


def _advise(folder: Path, questions: str) -> None:
    if (folder / details.REPORT).is_file():
        print(f"{details.REPORT} shows questions and pictures of {questions}: its terms must allow that")
    else:
        print(f"no report: mmjudge report {folder} --out {folder / details.REPORT}")
