"""`mmjudge`: the command line. Subcommands are imported when they are called, so `--help` answers at once."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import difflib
import importlib
import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from judge.core.foreign_text import Screen, shown, shown_error
from judge.core.version import __version__
from judge.errors import UserError

GROUPS = {
    "evaluate": {
        "score": "score saved answers: verdicts.jsonl and results.json",
        "doctor": "would a run work here: packages, tasks, Hub, data, judge, device, disk",
    },
    "ask": {
        "ask": "put a benchmark's questions to a system that answers with text and pictures",
        "questions": "questions and pictures as files, for programs of others",
    },
    "look": {
        "table": "finished runs as a leaderboard: text, Markdown, LaTeX, CSV or JSON",
        "view": "runs side by side in the browser, answer by answer",
        "compare": "paired difference of two results folders",
        "contrast": "one model under several conditions: does it look, does it keep the contract",
        "report": "results folders as one HTML file",
        "analyse": "what a model under test would answer, and what it attends to",
        "export": "runs for other programs: Inspect logs, a Hugging Face data set, a wandb table",
        "subset-check": "how well a subset's scores and ranks match those of all questions",
    },
    "judge": {
        "agree": "how well a judge's scores agree with people's",
        "probe": "ask whether a judge can be steered by the text it judges",
        "ablate": "what each criterion of the rubric does to a judge's scores",
        "verify": "run recorded cases through this install of the judge",
        "annotate": "a local page to score answers by hand",
        "train": "fine-tune a judge on human scores",
        "convert": "a judge folder from the original layout to the native one, or back",
    },
    "train": {
        "mmvu-data": "paired training data in the manner of MMVU-Train: construct, filter, mix",
        "mmvu-train": "tune a model on conversations about pictures",
        "merge": "some of a tuned model's weights into its base",
        "mmvu-suite": "MMVU beside general benchmarks, and the paper's rows",
    },
    "publish": {
        "publish": "a run's numbers onto its model's page on the Hugging Face Hub",
        "release": "a fine-tuned judge for others, if it is better than its base",
    },
}
"""What a user wants to do → name → one-line help; the module is judge.commands.NAME, "_" for "-"."""

NO_HOME = "Could not determine home directory."
"""What pathlib raises of a "~" that stands for nothing."""
HOMELESS = (
    "~ stands for no folder here: $HOME is not set, or a path names a user that is none\n→ export HOME=…, or mend the ~"
)
NOTHING_KEPT = "nothing is left half-written; give the same command again"
"""What an interrupted command says that has nothing to go on from; the others have a sentence of their own, `KEPT`."""

OF_THE_JUDGE = {"torch", "transformers", "safetensors", "sentencepiece"}
"""What the core does without, until a judge is to run here."""


class Parser(argparse.ArgumentParser):
    """argparse's, which answers a misspelt command, option or value with the nearest one there is."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, but that words which no option takes are an error of this parser: it knows the options."""
        self._words = list(sys.argv[1:] if args is None else args)
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print usage, `message` and what was probably meant; exit with 2."""
        nearest = [*self._nearest_options(), *_nearest_choice(message)]
        super().error("\n→ ".join([message, *(f"did you mean {name}?" for name in nearest)]))

    def _nearest_options(self) -> Iterator[str]:
        known = [name for action in self._actions for name in action.option_strings]
        given = (word.partition("=")[0] for word in itertools.takewhile("--".__ne__, self._words))
        for word in given:
            if word.startswith("--") and not any(name.startswith(word) for name in known):
                yield from difflib.get_close_matches(word, known, n=1)


def _nearest_choice(message: str) -> list[str]:
    refused = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message, re.DOTALL)
    return difflib.get_close_matches(refused[1], re.findall(r"[\w.-]+", refused[2]), n=1) if refused else []


def make_parser(argv: Sequence[str]) -> Parser:
    """The parser of all subcommands, with the options of the one that `argv` names: the others are not imported."""
    width = max(len(name) for commands in GROUPS.values() for name in commands)
    groups = (
        "\n".join([f"{title}:", *(f"  {name:<{width}} {line}" for name, line in commands.items())])
        for title, commands in GROUPS.items()
    )
    parser = Parser(
        prog="mmjudge",
        usage="mmjudge COMMAND ...",
        description="Score answers to MMIE and MMVU, look at the results, and look after the judge.",
        epilog="\n\n".join([*groups, "mmjudge COMMAND --help shows options and examples."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mmjudge {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    for name, line in (pair for commands in GROUPS.values() for pair in commands.items()):
        subparser = subparsers.add_parser(
            name, prog=f"mmjudge {name}", description=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if argv[:1] == [name]:
            module = importlib.import_module(_module(name))
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
            subparser.epilog = "\n  ".join(["examples:", *module.EXAMPLES])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code. argv: words after `mmjudge`; None for those of this process.

    0 done, 1 a checked thing is not so, 2 input to mend, 3 too much is unscored, 130 interrupted, 141 nobody reads on.
    Raises SystemExit (code 2) for options that argparse refuses.
    """
    as_program = argv is None
    _open_closed_streams()
    argv = list(sys.argv[1:] if argv is None else argv)
    args = argparse.Namespace(command=(argv or ["…"])[0])
    try:
        return _run_command(argv, args)
    except KeyboardInterrupt:
        kept = getattr(sys.modules.get(_module(args.command)), "KEPT", NOTHING_KEPT) if "run" in args else NOTHING_KEPT
        print(f"mmjudge {args.command}: interrupted; {shown(kept.format_map(vars(args)))}", file=sys.stderr)
        if as_program:
            _leave(130)
        return 130  # as the shell has it: 128 + SIGINT


def _run_command(argv: Sequence[str], args: argparse.Namespace) -> int:
    """As `main`, but for the last of the codes; the command's options go into `args`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that has no "→" still shows the numbers
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = make_parser(argv)
    with contextlib.redirect_stderr(Screen(sys.stderr)):  # what is refused is quoted
        parser.parse_args(argv, args)
    try:
        # what is printed quotes ids, labels and answers, which are anybody's
        with contextlib.redirect_stdout(Screen(sys.stdout)):
            code: int = args.run(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"mmjudge {args.command}: {shown_error(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if str(error) != NO_HOME:
            raise
        print(f"mmjudge {args.command}: {HOMELESS}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in OF_THE_JUDGE:
            raise
        print(f"mmjudge {args.command}: {error.name} is not installed\n→ pip install 'mmjudge[hf]'", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `mmjudge … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell has it: 128 + SIGPIPE
    return code


def _open_closed_streams() -> None:
    """Write nowhere where the caller has closed stdout or stderr: print would fail, or write the one into the other."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def _leave(code: int) -> NoReturn:
    """End an interrupted process without the interpreter's own end, where threads of torch and of others would be cut
    off in the middle, with words of theirs. What waits for the end, such as Ray's, is called; a second Ctrl-C kills."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _module(command: str) -> str:
    """The module of a subcommand."""
    return f"judge.commands.{command.replace('-', '_')}"


if __name__ == "__main__":
    sys.exit(main())
