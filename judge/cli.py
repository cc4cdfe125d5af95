"""`mmjudge`: the command line. Subcommands are imported when they are called, so `--help` answers at once."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from judge.core.foreign_text import Screen, shown_error
from judge.core.version import __version__
from judge.errors import UserError

# name → one-line help; the module is judge.commands.<name>
COMMANDS = {
    "score": "score saved responses: verdicts.jsonl and results.json",
    "compare": "paired difference of two results folders",
    "table": "finished runs as a leaderboard: text, Markdown, LaTeX, CSV or JSON",
    "agree": "how well a judge's scores agree with people's",
    "ablate": "what each criterion of the rubric does to a judge's scores",
    "report": "results folders as one HTML file",
    "publish": "a run's numbers onto its model's page on the Hugging Face Hub",
    "train": "fine-tune a judge on human scores",
    "convert": "a judge folder from the original layout to the native one, or back",
    "release": "a fine-tuned judge for others, if it is better than its base",
    "verify": "run recorded cases through this install of the judge",
    "annotate": "a local page to score answers by hand",
    "probe": "ask whether a judge can be steered by the text it judges",
    "doctor": "what mmie and mmvu resolve to here, and what to mend",
}

OF_THE_JUDGE = {"torch", "transformers", "safetensors", "sentencepiece"}
"""What the core does without, until a judge is to run here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code. argv: words after `mmjudge`; None for those of this process.

    0 done, 1 a checked thing is not so, 2 input to mend, 3 too much is unscored, 130 interrupted, 141 nobody reads on.
    Raises SystemExit (code 2) for options that argparse refuses.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that has no "→" still shows the numbers
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="mmjudge", description="Score answers to MMIE and MMVU, and look after the judge."
    )
    parser.add_argument("--version", action="version", version=f"mmjudge {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, line in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=line, description=line)
        if argv[:1] == [name]:
            module = importlib.import_module(f"judge.commands.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    with contextlib.redirect_stderr(Screen(sys.stderr)):  # what is refused is quoted
        args = parser.parse_args(argv)
    try:
        # what is printed quotes ids, labels and answers, which are anybody's
        with contextlib.redirect_stdout(Screen(sys.stdout)):
            code: int = args.run(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"mmjudge {args.command}: {shown_error(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in OF_THE_JUDGE:
            raise
        print(f"mmjudge {args.command}: {error.name} is not installed\n→ pip install 'mmjudge[hf]'", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `mmjudge … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell has it: 128 + SIGPIPE
    except KeyboardInterrupt:
        print("interrupted; give the same command again to go on", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
