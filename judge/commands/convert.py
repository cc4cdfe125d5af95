"""`mmjudge convert SRC DST`: a judge folder in the other layout, checked before it gets its name.

    mmjudge convert MMIE-Score out/native      # original → what transformers and vLLM load without remote code
    mmjudge convert out/native out/original    # and back, for `mmjudge score`

Which way follows from SRC. Every tensor keeps its bytes; logits of the reloaded folder are compared in float32. Of a
native folder the commands that serve it with vLLM are printed, and the one that scores with these servers.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from judge.commands import options
from judge.engines.devices import check_device
from judge.errors import UserError

EXAMPLES = (
    "mmjudge convert MMIE/MMIE-Score native/",
    "mmjudge convert native/ original/",
)
PICTURES = 16
"""The most that a server takes with one prompt; vLLM's default is its own, and one prompt over it is refused."""

LONG = 4
"""A server for long prompts has a window of at most this many short ones: all of it must fit the GPU's memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SRC", help="judge folder in either layout, or ORG/NAME[@REVISION] on the Hub")
    add("target", type=Path, metavar="DST", help="folder to make; must not exist")
    add("--to", choices=("native", "original"), help="refuse where SRC is in this layout already")
    options.add(parser, "--device", default="cpu", help="where the logits are compared (default: cpu)")


def run(args: argparse.Namespace) -> int:
    from judge.model.weights import convert, source

    check_device(args.device)
    found = source.resolve_judge(args.source)
    to = convert.target_layout(found.folder)
    if args.to not in (None, to):
        raise UserError(f"is in the {args.to} layout already", file=found.folder, fix="leave --to out")
    report = convert.convert_judge(found.folder, args.target, device=args.device)
    print(f"{args.target}: {report.to} layout, {report.tensors} tensors of equal bytes, {report.bytes:,} bytes")
    worst = ", ".join(f"{name} {difference:.1e}" for name, difference in report.logits.items())
    print(f"largest difference of float32 logits: {worst} (allowed: {convert.LOGIT_TOLERANCE:.0e})")
    if to == "native":
        print("\nwith vLLM (docs/scale.md), short prompts, long prompts, and scoring with both:")
        for line in serving_commands(args.target, found.name, args.source):
            print(f"  {line}")
    return 0


def serving_commands(native: Path, name: str, judge: str) -> list[str]:
    """Shell commands that serve a native folder for short and for long prompts, and that score with these servers.

    name: what it is served as, which the signature names. judge: the same in the original layout, whose tokenizer
    checks what the servers read. vLLM picks one set of rope factors by its window, hence two servers.
    """
    from judge.model.judge_files import Fields, read_object

    fields = Fields(read_object(native / "config.json"), native / "config.json")
    short = int(fields.value("text_config.rope_parameters.original_max_position_embeddings"))
    long = min(int(fields.value("text_config.max_position_embeddings")), LONG * short)
    folder = native.resolve()
    serve = [
        *("vllm", "serve", str(folder), "--served-model-name", name, "--dtype", str(fields.value("dtype"))),
        *("--generation-config", "vllm", "--chat-template", str(folder / "chat_template.jinja")),
        *("--chat-template-content-format", "string", "--limit-mm-per-prompt", f'{{"image": {PICTURES}}}'),
    ]
    servers = [[*serve, "--max-model-len", str(short), "--port", "8001"]]
    servers += [[*serve, "--max-model-len", str(long), "--port", "8002"]]
    there = "http://localhost:8001/v1#short,http://localhost:8002/v1#long"
    score = ["mmjudge", "score", "answers.jsonl", "--benchmark", "mmie", "--out", "results", "--judge", there]
    return [shlex.join(command) for command in [*servers, [*score, "--tokenizer", judge]]]
