"""`mmjudge mmvu-data construct|filter|mix`: training data in the manner of MMVU-Train, from pictures to a mix.

    mmjudge mmvu-data construct pictures/ --address http://localhost:8000/v1 --model M --out out/made
    mmjudge mmvu-data filter out/made --images pictures/ --out out/train
    mmjudge mmvu-data mix llava_mix.json --new out/train/llava.json --replace 24000 --out out/mix

Each ends with 0, or 2 for input that must be mended; construct ends with 3 where samples have no data yet. Killed, the
same command goes on; no call is repeated whose reply was stored. docs/mmvu_train.md shows them at work.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from judge.commands import options
from judge.errors import UserError
from judge.io.progress import MOMENT, doing

EXAMPLES = (
    "mmjudge mmvu-data construct pictures/ --address http://localhost:8000/v1 --model M --out out/made --dry-run",
    "mmjudge mmvu-data filter out/made --images pictures/ --form llava --form trl --out out/train",
)
KEPT = "replies so far are kept; the same command goes on from there"
SOME_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="construct|filter|mix")
    _add_construct(steps.add_parser("construct", help="ask a model about pictures: replies.jsonl and pairs.jsonl"))
    _add_filter(steps.add_parser("filter", help="leave out what is no use, or a leak; write the forms of trainers"))
    _add_mix(steps.add_parser("mix", help="replace a share of another mix, or add to it"))


def run(args: argparse.Namespace) -> int:
    return {"construct": _construct, "filter": _filter, "mix": _mix}[args.step](args)


def _add_construct(parser: argparse.ArgumentParser) -> None:
    from judge.engines.endpoints import KEY_VARIABLE
    from mmvu_tasks.train.prompts import VERSIONS

    add = parser.add_argument
    add("source", metavar="SOURCE", help="a folder of pictures (NAME.txt: a caption), a LLaVA-style JSON, or a dataset")
    add("--address", required=True, metavar="URL", help="of an OpenAI-compatible server: http://HOST:PORT/v1")
    add("--model", required=True, help="the name that the server knows it by")
    options.add(parser, "--out", required=True, help="folder for replies.jsonl, pairs.jsonl and failed.jsonl")
    options.add(parser, "--image-root", help="of a LLaVA-style JSON (default: its folder)")
    add("--split", default="train", help="of a dataset (default: train)")
    add("--limit", type=options.positive, metavar="N", help="only the first N samples")
    add("--prompt", choices=VERSIONS, default="v3", help="version (default: v3, the one that was adopted)")
    add("--attempts", type=options.positive, default=3, metavar="N", help="replies of one sample at most (default: 3)")
    add("--structured", choices=["auto", "always", "never"], default="auto", help="ask for JSON by schema "
        "(default: auto, until the server refuses it)")  # fmt: skip
    add("--at-once", type=options.positive, default=8, metavar="N", help="calls under way (default: 8)")
    add("--seconds", type=float, default=600.0, metavar="S", help="for one call (default: 600)")
    add("--max-tokens", type=options.positive, default=4096, metavar="N", help="of a reply (default: 4096)")
    add("--temperature", type=float, default=0.0, metavar="T", help="default: 0")
    add("--extra", type=_object, default={}, metavar="JSON", help='further fields of a request; "" leaves one out')
    add("--key-variable", metavar="NAME", help=f"of the environment, holds the key (default: {KEY_VARIABLE}, if set)")
    add("--price", type=float, nargs=2, metavar=("IN", "OUT"), help="dollars for a million tokens, to show the cost")
    add("--dry-run", action="store_true", help="say how many calls and tokens it would be; ask nothing")


def _add_filter(parser: argparse.ArgumentParser) -> None:
    from mmvu_tasks.train.forms import FORMS

    add = parser.add_argument
    add("source", type=Path, metavar="PAIRS", help="folder of `construct`, or its pairs.jsonl")
    options.add(parser, "--out", required=True, help="folder for pairs.jsonl, the forms, and the card")
    add("--images", type=Path, metavar="DIR", help="folder of the pictures (default: the folder of PAIRS)")
    add("--form", action="append", choices=list(FORMS), help="may be given several times (default: all)")
    add("--answers", choices=["letters", "text"], default="letters", help="of chat forms (default: letters)")
    add("--authors", action="store_true", help="as the authors' script: their phrases only, one question at a time")
    add("--near", type=options.share, default=0.9, metavar="SHARE", help="words in common, of words of either, from "
        "which questions are one (default: 0.9)")  # fmt: skip
    add("--repeats", type=options.positive, default=3, metavar="N", help="pictures that may have one and the same pair "
        "(default: 3)")  # fmt: skip
    add("--balance", action="store_true", help="leave out questions without a partner of the other sign")
    add("--most", type=_most, action="append", default=[], metavar="TYPE=SHARE", help="the most of a type of question")
    add("--seed", type=options.seed, default=0, metavar="N", help="of the order of options and of --most (default: 0)")
    options.add(parser, "--data", help="MMVU's test set, which must not be in it (default: $MMVU_DATA, else the Hub's)")
    add("--hash-distance", type=int, default=None, metavar="BITS", help="of 64, up to which pictures are one "
        "(default: 6; -1: only those of the same bytes)")  # fmt: skip
    add("--no-leak-check", action="store_true", help="do not compare with the test set; the card says so")


def _add_mix(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("base", type=Path, metavar="BASE", help="LLaVA-style JSON list, or lines")
    add("--new", type=Path, required=True, metavar="FILE", help="llava.json of `filter`")
    options.add(parser, "--out", required=True, help="folder for mixed.json and its manifest")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--replace", type=_amount, metavar="N|SHARE", help="records in place of as many of the base")
    how.add_argument("--add", type=_amount, metavar="N|SHARE", help="records besides the base")
    how.add_argument("--rebuild", type=Path, metavar="MIX.JSON", help="make the mix of this manifest again")
    add("--of", metavar="SOURCE", help="with --replace: take them out of this source alone")
    add("--seed", type=options.seed, default=0, metavar="N", help="of the choice and the order (default: 0)")


def _construct(args: argparse.Namespace) -> int:
    import dataclasses

    from mmvu_tasks.train.construct import Construction, construct_pairs, find_due
    from mmvu_tasks.train.estimate import Prices, estimate_tokens
    from mmvu_tasks.train.prompts import version_of
    from mmvu_tasks.train.samples import Source

    prices = Prices(*args.price) if args.price else None
    construction = Construction(_server(args), version_of(args.prompt), args.structured, args.attempts, prices)
    source = Source(args.source, args.out / "images", args.image_root, args.split)
    found = source.read_samples()
    if args.limit is not None:
        found = dataclasses.replace(found, samples=found.samples[: args.limit])
    if found.without:
        print(f"{found.without:,} records without a picture are left out")
    if args.dry_run:
        due, so_far = find_due(construction, found, args.out)
        estimate = estimate_tokens(due, construction.version, found.root, so_far)
        cost = f", ${prices.of(estimate.prompt, estimate.new):,.2f}" if prices else ""
        print(f"{len(found.samples):,} samples, {len(due):,} to be asked about, {estimate.missing:,} of them without a "
              f"picture that can be read")  # fmt: skip
        print(f"{estimate.calls:,} calls, at most {estimate.calls * args.attempts:,}; estimated tokens of "
              f"{estimate.calls:,}: {estimate.prompt:,} of prompts, {estimate.new:,} of replies{cost}")  # fmt: skip
        return 0
    _check_key(args.key_variable)
    made = construct_pairs(construction, found, args.out)
    prompt, new = made.tokens
    cost = f", ${prices.of(prompt, new):,.2f}" if prices else ""
    print(f"{made.samples:,} samples: {made.records:,} records with {made.pairs:,} negative questions; "
          f"{prompt:,} + {new:,} tokens{cost}")  # fmt: skip
    if made.reasons:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in made.reasons.items())
        print(f"without a record: {listed}; {args.out / 'failed.jsonl'} says why\n→ the same command asks again where "
              "a call or a picture failed", file=sys.stderr)  # fmt: skip
        return SOME_FAILED
    print(f"→ mmjudge mmvu-data filter {args.out} --images {found.root} --out DIR")
    return 0


def _server(args: argparse.Namespace) -> Any:
    from pydantic import ValidationError

    from judge.systems.endpoint_writer import EndpointWriterSettings
    from judge.systems.posting import only_address

    keys = {"key_variable": args.key_variable} if args.key_variable else {}
    only_address(args.address)
    try:
        return EndpointWriterSettings(
            address=args.address, model=args.model, at_once=args.at_once, seconds=args.seconds, extra=args.extra,
            max_new_tokens=args.max_tokens, temperature=args.temperature, **keys,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        name = {"max_new_tokens": "max-tokens"}.get(str(first["loc"][0]), str(first["loc"][0]).replace("_", "-"))
        raise UserError(f"--{name}: {first['msg']}") from None


def _check_key(variable: str | None) -> None:
    """A variable that was named must be there; without one, a server may want no key."""
    if variable and not os.environ.get(variable):
        raise UserError(f"${variable} is not set", fix=f"put the key into it: export {variable}=…")


def _filter(args: argparse.Namespace) -> int:
    from judge.io.files import cannot_write, make_folder, sha256
    from mmvu_tasks.train import card, pairs
    from mmvu_tasks.train.filter import DROPPED, Rules, filter_pairs
    from mmvu_tasks.train.forms import FORMS, INFO, Shape, write_form
    from mmvu_tasks.train.leakage import read_tests
    from mmvu_tasks.train.pictures import NEAR

    source = args.source / pairs.FILE if args.source.is_dir() else args.source
    target = args.out / pairs.FILE
    if not source.is_file():
        raise UserError("is no file of pairs", file=source, fix="give the folder of `mmjudge mmvu-data construct`")
    if target.resolve() == source.resolve():
        raise UserError("would be written over", file=source, fix="give another --out")
    near = NEAR if args.hash_distance is None else args.hash_distance
    with doing("reading and hashing MMVU's pictures", after=MOMENT):
        tests = None if args.no_leak_check else read_tests(args.data, near)
    rules = Rules(args.authors, args.near, args.repeats, args.balance, dict(args.most), args.seed)
    names = [pairs.FILE]
    try:
        make_folder(args.out)
        with doing(f"filtering {source}", after=MOMENT):
            dropped = filter_pairs(source, target, rules, args.images or source.parent, tests)
        for form in args.form or FORMS:
            with doing(f"writing {form}", after=MOMENT):
                written = write_form(form, target, args.out, Shape(args.answers, args.seed))
            names += [written.name, *([INFO] if form == "llamafactory" else [])]
        counts = card.count_records(target)
        about = {
            "source": {"file": source.name, "sha256": sha256(source)}, "counts": counts, "dropped": dropped,
            "rules": {"authors": rules.authors, "near": rules.near, "repeats": rules.repeats, "balance": rules.balance,
                      "shares": dict(rules.shares), "seed": rules.seed, "answers": args.answers},
            "test_set": None if tests is None else {
                "repo": tests.source.repo, "revision": tests.source.revision, "edition": tests.source.edition,
                "near": tests.near, "questions": len(tests.questions), "pictures": len(tests.ids)},
        }  # fmt: skip
        card.write_card(args.out, about, names)
    except OSError as error:
        raise cannot_write(args.out, error) from error
    left_out = ", ".join(f"{reason} {n:,}" for reason, n in dropped.most_common())
    if not counts["records"]:
        raise UserError(f"nothing is left of it ({left_out or 'it is empty'})", file=source,
                        fix=f"{args.out / DROPPED} says why, pair by pair")  # fmt: skip
    print(f"{counts['records']:,} records: {counts['POS']:,} positive and {counts['NEG']:,} negative questions")
    if left_out:
        print(f"left out: {left_out}")
    for name, said in counts["types"].items():
        print(f"  {name:<16} {said['n']:>9,}  {said['share']:6.1%}")
    if tests is None:
        print("not compared with MMVU's test set (--no-leak-check)")
    print(f"{args.out}: {', '.join([*names, DROPPED, card.FILE])}")
    return 0


def _mix(args: argparse.Namespace) -> int:
    from mmvu_tasks.train.mix import MIXED, Wish, mix_data, rebuild_mix

    if args.of is not None and args.replace is None:
        raise UserError("--of is for --replace: nothing else takes records out", fix="leave it out, or give --replace")
    if args.rebuild is not None:
        manifest = rebuild_mix(args.rebuild, args.base, args.new, args.out)
        print(f"{args.out / MIXED}: {manifest['records']:,} records, as the manifest says")
        return 0
    wish = (
        Wish("add", args.add, args.seed) if args.replace is None else Wish("replace", args.replace, args.seed, args.of)
    )
    manifest = mix_data(wish, args.base, args.new, args.out)
    print(f"{args.out / MIXED}: {manifest['records']:,} records, {manifest['replaced']:,} of the base replaced, "
          f"{manifest['added']:,} new")  # fmt: skip
    for name, counted in manifest["sources"].items():
        print(f"  {name:<16} {counted['before']:>9,} → {counted['after']:>9,}")
    return 0


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not an object: give '{\"seed\": 7}'")
    return value


def _most(text: str) -> tuple[str, float]:
    from mmvu_tasks.train.wording import TYPES

    name, _, share = text.partition("=")
    if name not in TYPES:
        raise argparse.ArgumentTypeError(f"{name!r}: no type of question; known: {', '.join(TYPES)}")
    return name, options.share(share)


def _amount(text: str) -> float:
    """A number of records, or a share of the base."""
    if text.isascii() and text.isdigit():
        return float(options.positive(text))
    share = options.share(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a number of records, or a share between 0 and 1")
    return share
