"""`mmjudge doctor`: would a run work here, and with what? The checks are `judge.preflight`'s; this prints them.

    packages
      ok       lmms-eval 0.7.3, the version that was tested
    hub
      fails    model MMIE/MMIE-Score: gated, and this account has no access to it
               → accept its terms on https://huggingface.co/MMIE/MMIE-Score, then: hf auth login

    `lmms-eval --tasks mmie,mmvu` would fail here: 1 of 14 checks fails.

Nothing is fetched, unpacked or loaded. Exit code 1 where the run would fail, 0 with warnings. docs/doctor.md says what
each line means.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import Any

from judge.commands import options
from judge.core.benchmark import find, names
from judge.core.secrets import hide_secrets
from judge.core.version import __version__
from judge.errors import UserError
from judge.preflight.checks import PARTS, Examined, environment_with, examine
from judge.preflight.finding import Finding
from judge.preflight.job import HARNESSES, Job

EXAMPLES = (
    "mmjudge doctor",
    "mmjudge doctor --benchmark mmvu --harness vlmeval --deep",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add(parser, "--benchmark", help="only what this one needs (default: all that are installed)")
    parser.add_argument(
        "--harness",
        choices=HARNESSES,
        default=HARNESSES[0],
        help="what the run is started with; none: `mmjudge score` alone (default: lmms-eval)",
    )
    options.add(parser, *options.DATA, "--judge", "--tokenizer", "--rubric", "--device", "--dtype")
    parser.add_argument(
        "--deep", action="store_true", help="import the harnesses and torch as well, and hash the judge: minutes"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")


def run(args: argparse.Namespace) -> int:
    job = _job(args)
    if job.deep:
        said = "importing lmms-eval, VLMEvalKit and torch, and hashing the judge: a minute or two"
        print(f"mmjudge doctor: {said}", file=sys.stderr, flush=True)
    examined = examine(job)
    if args.json:
        print(json.dumps(_as_json(job, examined), indent=1))
    else:
        _print(job, examined)
    return 0 if examined.works else 1


def _job(args: argparse.Namespace) -> Job:
    benchmarks = tuple(find(name) for name in ([args.benchmark] if args.benchmark else names()))
    if args.data is not None and args.benchmark is None:
        raise UserError("--data is of one benchmark", fix="add --benchmark mmie, or --benchmark mmvu")
    if args.benchmark:
        options.refuse_unused(args, benchmarks[0], ",".join(args.judge) if args.judge else None)
    given = {
        "MMJUDGE_JUDGE": ",".join(args.judge) if args.judge else None,
        "MMJUDGE_TOKENIZER": args.tokenizer,
        "MMJUDGE_RUBRIC": args.rubric,
        "MMJUDGE_DEVICE": args.device,
        "MMJUDGE_DTYPE": args.dtype,
        "MMJUDGE_IMAGE_ROOT": None if args.image_root is None else str(args.image_root),
    }
    return Job(benchmarks, args.harness, environment_with(given), args.data, args.deep)


def _print(job: Job, examined: Examined) -> None:
    print(f"mmjudge {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for part in PARTS:
        findings = [finding for finding in examined.findings if finding.part == part]
        if findings:
            print(part)
        for finding in findings:
            _print_finding(finding)
    said = [f"{name} {hide_secrets(value)}" for name, value in examined.settings.items()]
    if said:
        print(f"\nit would use: {', '.join(said)}")
    print(("" if said else "\n") + _conclusion(job, examined))


def _print_finding(finding: Finding) -> None:
    mend = f"\n           → {finding.mend}" if finding.mend else ""
    print(f"  {finding.state:<8} {finding.found}{mend}")


def _conclusion(job: Job, examined: Examined) -> str:
    count = {state: sum(f.state == state for f in examined.findings) for state in ("fails", "warning")}
    warnings = f"{count['warning']} warning{'s' if count['warning'] != 1 else ''}"
    if not examined.works:
        lines = "1 line says" if count["fails"] == 1 else f"{count['fails']} lines say"
        return f"`{job.command}` would fail here: {lines} why, and what mends it ({warnings})"
    return f"`{job.command}` would work here" + (f" ({warnings})" if count["warning"] else "")


def _as_json(job: Job, examined: Examined) -> dict[str, Any]:
    return {
        "command": job.command,
        "works": examined.works,
        "settings": {name: hide_secrets(value) for name, value in examined.settings.items()},
        "checks": [
            {"part": f.part, "state": f.state, "found": hide_secrets(f.found), "mend": f.mend}
            for f in examined.findings
        ],
    }
