"""The options that several subcommands take: each is declared and checked here, once.

    options.add(parser, "--out", required=True)
    options.add(parser, "--benchmark", *options.DATA, *options.JUDGE, *options.ENGINE)
    …
    judge = options.judge_name(args)
    options.refuse_unused(args, benchmark, judge)      # `--device cuda` for a benchmark that asks no judge: an error

An option that was not given is None, or False where it takes no value, so that one that was given can be told apart
from a default. What stands in for None is said where it is used (`profile` here, `judge.engines` for the rest).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.core.benchmark import Benchmark, Profile, find, names
from judge.engines import EngineOptions, GeneralOptions
from judge.engines.loading import TOKENIZER_VARIABLE, default_tokenizer, is_address, is_general
from judge.engines.ray_connection import check_address, default_address
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.model.weights.source import check_judge_name
from judge.scoring.pipeline import JUDGE_VARIABLE, default_judge

if TYPE_CHECKING:
    from judge.engines.cost import Price

DATA = ("--data", "--image-root")
JUDGE = ("--judge", "--tokenizer", "--rubric", "--profile")
ENGINE = ("--device", "--dtype", "--batch-size")
"""Of a judge that runs here; `mmjudge score` has "--rope" besides."""
GENERAL = ("--votes", "--temperature", "--judge-max-side")
"""Of a general judge, "openai:…"."""
PAGE = ("--port", "--browser")
"""Of a local page."""
RAY = ("--ray", "--workers")
"""Of commands that judge many answers."""

PROFILE: Profile = "strict"


def whole_number(least: int) -> Callable[[str], int]:
    """The check of an option whose value is a whole number, `least` or more."""

    def check(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return value

    return check


positive = whole_number(1)
seed = pixels = port = whole_number(0)
resamples = whole_number(100)
"""Fewer give no 95% interval: its ends are the 3rd and the 98th of a hundred."""


def share(text: str) -> float:
    """The check of an option whose value is a share: "5%" or "0.05" becomes 0.05."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5% or 0.05")
    return value


def temperature(text: str) -> float | str:
    """The check of --temperature: a number from 0 to 2, or "default" for the server's own."""
    try:
        value = -1.0 if text == "default" else float(text)
    except ValueError:
        value = math.nan
    if text != "default" and not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no temperature; write a number from 0 to 2, or default")
    return text if text == "default" else value


def price(text: str) -> Price:
    """The check of --price."""
    from judge.engines.cost import Price

    try:
        return Price.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def ray_address(text: str) -> str:
    """The check of an address of Ray. What follows `--ray` is taken for one, even the FILE of the command."""
    try:
        return check_address(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(f"{error.problem}; {error.fix}, or nothing, as the last option") from error


def _declared() -> dict[str, dict[str, Any]]:
    """What `add_argument` is called with, by option."""
    return {
        "--benchmark": {"choices": names(), "help": "whose answers these are"},
        "--out": {"type": Path, "metavar": "DIR"},
        "--data": {
            "type": Path,
            "metavar": "DIR",
            "help": "local copy of the dataset (default: the environment's, else the Hub's)",
        },
        "--image-root": {
            "type": Path,
            "metavar": "DIR",
            "help": "folder that images of answers lie below (default: the folder of the file that names them)",
        },
        "--judge": {
            "action": "append",
            "metavar": "JUDGE",
            "help": "Hub repository, folder, http://HOST:PORT/v1[,…], openai:MODEL[@http://…] or replay:FILE (default: "
            f"${JUDGE_VARIABLE} or MMIE's)",
        },
        "--tokenizer": {
            "metavar": "JUDGE",
            "help": "with addresses: the judge they serve, whose tokenizer checks prompts (default: "
            f"${TOKENIZER_VARIABLE})",
        },
        "--rubric": {
            "choices": ["mmjudge", "official"],
            "help": "wording put to the judge (default: what the judge was trained on)",
        },
        "--profile": {
            "choices": ["reference", "strict"],
            "help": f"as the official scripts do, or nothing lost (default: {PROFILE})",
        },
        "--device": {"help": "cpu, cuda, cuda:1, … (default: an accelerator where there is one)"},
        "--dtype": {
            "choices": ["float32", "bfloat16"],
            "help": "default: bfloat16 on an accelerator, float32 on a CPU",
        },
        "--batch-size": {
            "type": positive,
            "metavar": "N",
            "help": "answers judged together; changes speed, not scores",
        },
        **_declared_of_ray(),
        **_declared_of_general(),
        "--rope": {
            "choices": ["reference", "recompute", "long"],
            "help": "long prompts (in the signature; default: reference)",
        },
        "--subset": {"metavar": "NAME"},
        "--max-unscored": {"type": share, "default": 0.05, "metavar": "SHARE"},
        "--n": {"type": positive, "metavar": "N"},
        **_declared_of_pages(),
        "--resamples": {"type": resamples, "metavar": "N"},
        "--seed": {"type": seed, "default": 0, "metavar": "N", "help": "of the resampling (default: 0)"},
    }


def _declared_of_pages() -> dict[str, dict[str, Any]]:
    free = "of the page (default: any that is free)"
    return {
        "--port": {"type": port, "default": 0, "metavar": "N", "help": free},
        "--browser": {"action": "store_true", "help": "open the page in the browser, too"},
    }


def _declared_of_ray() -> dict[str, dict[str, Any]]:
    return {
        "--ray": {
            "nargs": "?",
            "const": default_address(),
            "type": ray_address,
            "metavar": "ADDRESS",
            "help": "judge on all GPUs of this machine, or of the Ray cluster at auto, HOST:PORT or ray://HOST:PORT",
        },
        "--workers": {
            "type": positive,
            "metavar": "N",
            "help": "with --ray: how many judges (default: one a GPU; without GPUs, one a machine)",
        },
    }


def _declared_of_general() -> dict[str, dict[str, Any]]:
    return {
        "--votes": {
            "type": positive,
            "metavar": "N",
            "help": "with openai:…: ask it N times about every answer, and combine (default: 1)",
        },
        "--temperature": {
            "type": temperature,
            "metavar": "T",
            "help": "with openai:…: 0 to 2, or default for the server's own (in the signature; default: 0)",
        },
        "--judge-max-side": {
            "type": pixels,
            "metavar": "PIXELS",
            "help": "with openai:…: scale pictures down to this longer side; 0: never (default: "
            f"{GeneralOptions().max_side})",
        },
        "--price": {
            "type": price,
            "metavar": "IN/OUT",
            "help": "with openai:…: price of a million tokens in and out, such as 2.50/10, for what it costs",
        },
    }


def add(parser: argparse._ActionsContainer, *options: str, **changes: Any) -> None:
    """Add shared options to a subcommand's parser, or to a group of it.

    changes: `required`, `default`, `metavar` or `help` of its own.
    """
    declared = _declared()
    for option in options:
        parser.add_argument(option, **{**declared[option], **changes})


def profile(args: argparse.Namespace) -> Profile:
    """What --profile says, else "strict"."""
    given: Profile | None = args.profile
    return given or PROFILE


def engine_options(args: argparse.Namespace) -> EngineOptions:
    """The options of an engine, from those that this subcommand takes; the rest are the engine's own defaults."""
    taken = ("device", "dtype", "batch_size", "rope", "ray", "workers", "tokenizer", "stop_at_score")
    given = {name: value for name in taken if (value := getattr(args, name, None)) is not None}
    return EngineOptions(**{"tokenizer": default_tokenizer(), **given, "general": _general_options(args)})


def _general_options(args: argparse.Namespace) -> GeneralOptions:
    names = {"votes": "votes", "temperature": "temperature", "judge_max_side": "max_side"}
    given = {field: value for name, field in names.items() if (value := getattr(args, name, None)) is not None}
    if given.get("temperature") == "default":
        given["temperature"] = None
    return GeneralOptions(**given)


def judge_name(args: argparse.Namespace) -> str:
    """The judge that --judge names, else the default one; addresses joined by commas. Raises UserError.

    Only the name is checked: nothing is loaded, fetched or asked.
    """
    given: list[str] = args.judge or []
    judge = ",".join(given) or default_judge()
    if is_address(judge):
        from judge.engines.endpoints import addresses

        addresses(judge)
    elif is_general(judge) and len(given) < 2:
        from judge.engines.general import parse_general_judge

        parse_general_judge(judge)
    elif len(given) > 1:
        raise UserError("--judge is given several times", fix="one judge, or addresses that serve the same one")
    elif not judge.startswith(PREFIX):
        check_judge_name(judge)
    return judge


def judge_folder(args: argparse.Namespace, judge: str) -> str:
    """Where the judge's small files are: a judge behind an address has them in --tokenizer or its variable."""
    return args.tokenizer or default_tokenizer() or judge if is_address(judge) else judge


def judged_benchmark(args: argparse.Namespace) -> Benchmark:
    """The benchmark that --benchmark names, else the first that asks a judge. Raises UserError where none does."""
    judged = [found for found in map(find, [args.benchmark] if args.benchmark else names()) if found.judged]
    if not judged:
        raise UserError(f"{args.benchmark or 'every installed benchmark'} is decided by rules: no judge is asked")
    return judged[0]


_PAID = (*GENERAL, "--price")
_MEANINGLESS = {
    "decided by rules": (*JUDGE, *ENGINE, *RAY, "--rope", "--stop-at-score", "--retry-unscored", *_PAID),
    "replayed": ("--tokenizer", "--rubric", *ENGINE, *RAY, "--rope", "--stop-at-score", *_PAID),
    "served": ("--device", "--dtype", *RAY, "--rope", "--stop-at-score", *_PAID),
    "general": ("--tokenizer", "--device", "--dtype", *RAY, "--rope", "--stop-at-score"),
    "loaded here": ("--tokenizer", *_PAID),
}
"""Options without a meaning, by how answers are decided."""


def refuse_unused(args: argparse.Namespace, benchmark: Benchmark, judge: str | None = None) -> None:
    """Refuse what was given on the command line and means nothing for this benchmark or this kind of judge.

    judge: as `judge_name` has it, or None where the benchmark asks none or it is not known. Raises UserError.
    """
    if not benchmark.judged:
        case, reason = "decided by rules", f"{benchmark.name} is decided by rules and asks no judge"
    elif judge is None:
        return
    elif judge.startswith(PREFIX):
        case, reason = "replayed", "recorded feedback is replayed, no judge is asked"
    elif is_address(judge):
        case, reason = "served", "this is for whoever serves the judge at its address"
    elif is_general(judge):
        case, reason = "general", "a general judge runs at its address"
    else:
        case, reason = "loaded here", "a judge that runs here brings its own tokenizer"
    if unused := [option for option in _MEANINGLESS[case] if _given(args, option)]:
        means, it = ("means", "it") if len(unused) == 1 else ("mean", "them")
        raise UserError(f"{', '.join(unused)} {means} nothing here: {reason}; leave {it} out")


def _given(args: argparse.Namespace, option: str) -> bool:
    value = getattr(args, option.removeprefix("--").replace("-", "_"), None)
    return value is not None and value is not False
