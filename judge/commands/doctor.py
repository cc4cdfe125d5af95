"""`mmjudge doctor`: what `mmie` and `mmvu` mean in each installed framework, which data and judge a run would use.

    lmms-eval 0.7.3
      mmie       ours     …/mmie_tasks/lmms_eval/mmie.yaml
      mmvu       ours     …/mmvu_tasks/lmms_eval/mmvu.yaml
    data
      mmie       not here: fetched from MMIE/MMIE when first used
                 → or set MMIE_DATA to a folder that holds it
      mmvu       v1, 600 records (MMVU_DATA=/data/mmvu)

The framework itself is asked, in a process of its own, as a run would start it. Nothing is downloaded. Exit code 1
where a benchmark's name would be somebody else's task, or none.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from judge.core.benchmark import Benchmark, find, names
from judge.engines.loading import TOKENIZER_VARIABLE, default_tokenizer, is_address, is_general
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.results.run_info import versions
from judge.scoring.pipeline import default_judge, default_rubric

EXAMPLES = (
    "mmjudge doctor",
    "MMVU_DATA=mmvu/ mmjudge doctor",
)
PACKAGES = ("torch", "torchvision", "transformers", "safetensors", "datasets", "huggingface_hub", "pillow")

# What a run imports, in its order; the task manager then says which file each name stands for.
ASK_LMMS_EVAL = """
import json, sys
import lmms_eval.evaluator
from lmms_eval.tasks import TaskManager
index = TaskManager().task_index
print(json.dumps({name: index.get(name, {}).get("yaml_path") for name in sys.argv[1:]}))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    # a doctor looks, it does not fetch: what is not in the cache is said
    os.environ["HF_HUB_OFFLINE"] = "1"
    print(", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items()))
    benchmarks = [find(name) for name in names()]
    sound = _lmms_eval(benchmarks)
    _vlmeval()
    print("data")
    for benchmark in benchmarks:
        _say(benchmark.name, *_data(benchmark))
    print("judge")
    for benchmark in benchmarks:
        if benchmark.judged:
            _say(benchmark.name, *_judge(benchmark))
    return 0 if sound else 1


def _lmms_eval(benchmarks: list[Benchmark]) -> bool:
    """Report what lmms-eval makes of the benchmarks' names; whether all are ours (or lmms-eval is not there)."""
    version = _version("lmms_eval")
    if version is None:
        print("lmms-eval: not installed\n  → pip install 'mmjudge[lmms-eval]'")
        return True
    print(f"lmms-eval {version}")
    asked = [sys.executable, "-c", ASK_LMMS_EVAL, *(benchmark.name for benchmark in benchmarks)]
    answer = subprocess.run(asked, capture_output=True, text=True)
    if answer.returncode != 0:
        print("  cannot be imported: " + "".join(answer.stderr.strip().splitlines()[-1:]))
        print("  → install torch, torchvision and lmms-eval anew, from one index, in one command")
        return False
    paths = json.loads(answer.stdout.splitlines()[-1])
    for line in answer.stderr.splitlines():
        if line.startswith(("mmjudge:", "→")):
            print(f"  {line}")
    sound = True
    print("  (as a run sees it; `lmms-eval tasks` loads no plug-ins and lists built-ins only)")
    for benchmark in benchmarks:
        path = paths[benchmark.name]
        if path is not None and Path(path).parent == benchmark.task_dir:
            _say(benchmark.name, f"ours     {path}")
        else:
            _say(benchmark.name, f"NOT OURS {path}" if path else "not found", _mend(benchmark))
            sound = False
    return sound


def _mend(benchmark: Benchmark) -> str:
    points = importlib.metadata.entry_points(group="lmms_eval.models")
    if not any(point.value.startswith("judge.") for point in points):
        return "pip install --force-reinstall --no-deps mmjudge"
    package = type(benchmark).__module__.partition(".")[0]
    return f'pip install -U lmms-eval, or meanwhile: lmms-eval --include_path "$(python -m {package})" --tasks mmjudge'


def _vlmeval() -> None:
    version = _version("ms-vlmeval") or _version("vlmeval")
    if version is None:
        return
    print(f"VLMEvalKit {version}")
    # a class is called as its dataset is asked for: --data MMIE
    datasets = [point.attr for point in importlib.metadata.entry_points(group="mmjudge.vlmeval")]
    if datasets:
        print(f"  start it as `mmjudge-vlmeval`, which adds the datasets {', '.join(sorted(datasets))}")
    else:
        print("  not supported yet")


def _data(benchmark: Benchmark) -> Iterator[str]:
    variable = f"{benchmark.name.upper()}_DATA"
    folder = os.environ.get(variable)
    try:
        dataset = benchmark.load()
    except UserError as error:
        if folder:
            yield from (f"{variable}={folder}: {error.problem}", error.fix or "")
        else:
            yield f"not here: fetched from {benchmark.repo} when first used"
            yield f"or set {variable} to a folder that holds it"
        return
    where = f"{variable}={folder}" if folder else f"Hub cache, {dataset.source.revision[:12]}"
    yield f"{dataset.source.edition}, {len(dataset.records)} records ({where})"


def _judge(benchmark: Benchmark) -> Iterator[str]:
    judge = default_judge()
    if judge.startswith(PREFIX):
        yield f"recorded feedback in {judge.removeprefix(PREFIX)}"
        return
    if is_address(judge):
        yield from _endpoints(judge)
        return
    if is_general(judge):
        yield from _general(judge)
        return
    try:
        from judge.engines.local import check_judge

        size = check_judge(judge)
        name = default_rubric(judge)
        benchmark.rubric(name)
    except ImportError as error:
        yield f"{judge}: {error}"
        yield "pip install 'mmjudge[hf]'"
        return
    except UserError as error:
        yield f"{judge}: {error.problem}" if Path(judge).exists() else f"{judge}: not here: fetched when first used"
        yield error.fix or ""
        return
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    yield f"{judge}, {size / 2**30:.2f} GiB on {device}, rubric {name}"


def _general(judge: str) -> Iterator[str]:
    from judge.engines.general import connect_general

    try:
        engine = connect_general(judge)
    except UserError as error:
        yield f"{judge}: {error.problem}"
        yield error.fix or ""
        return
    endpoints = ", ".join(str(endpoint.address) for endpoint in engine.endpoints)
    form = "held to a JSON schema" if engine.identity["reply"].startswith("json_schema") else "read as they come"
    yield f"{engine.identity['judge']} at {endpoints}; replies {form}"


def _endpoints(judge: str) -> Iterator[str]:
    from judge.engines.remote import connect

    try:
        server = connect(judge, default_tokenizer())
    except UserError as error:
        yield f"{judge}: {error.problem}"
        yield error.fix or ""
        return
    endpoints = ", ".join(str(endpoint.address) for endpoint in server.endpoints)
    served = server.identity
    yield f"{served['judge']} by {served['server']} at {endpoints}; prompts {served['prompt']}"
    if served["prompt"] == "unchecked":
        yield f"set {TOKENIZER_VARIABLE} to the folder or repository of the judge, to have prompts checked"


def _say(name: str, line: str, fix: str = "") -> None:
    print(f"  {name:<10} {line}" + (f"\n  {'':<10} → {fix}" if fix else ""))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
