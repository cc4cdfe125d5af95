"""Whether the harnesses would find our tasks: read from what is installed, without importing a harness.

    ok       lmms-eval: mmie and mmvu are ours; its own mmie (token F1, no judge) is overridden
    fails    lmms-eval: nothing of mmjudge is registered, so that mmie would be another's
             → pip install --force-reinstall --no-deps mmjudge

lmms-eval loads the entry-point group `lmms_eval.models` before it makes its index of tasks, which ours extends
(`judge.harness.lmms_eval.registration`). Its source is read for the two names that this needs. Which file a name then
stands for is seen in a scan of some 2,000 files: `judge.preflight.deep`.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import shutil
import sys
from pathlib import Path

from judge.core.benchmark import Benchmark
from judge.preflight.finding import Finding, Findings, State
from judge.preflight.job import Job
from judge.preflight.packages import HARNESS_PACKAGES, TITLES, installed_version

TASKS = "tasks"
LMMS_EVAL_GROUP, VLMEVAL_GROUP = "lmms_eval.models", "mmjudge.vlmeval"
REINSTALL = "pip install --force-reinstall --no-deps mmjudge"
REINSTALL_HARNESS = "pip install --force-reinstall --no-deps lmms-eval"


def check_tasks(job: Job) -> Findings:
    """Lines about both harnesses, as far as they are installed."""
    if installed_version(*HARNESS_PACKAGES["lmms-eval"]) is not None:
        yield from _lmms_eval(job)
    if installed_version(*HARNESS_PACKAGES["vlmeval"]) is not None:
        yield from _vlmeval(job)


def _lmms_eval(job: Job) -> Findings:
    state: State = "fails" if job.harness == "lmms-eval" else "warning"
    names = " and ".join(benchmark.name for benchmark in job.benchmarks)
    points = [point for point in importlib.metadata.entry_points(group=LMMS_EVAL_GROUP) if _is_ours(point)]
    if not points:
        said = f"lmms-eval: nothing of mmjudge is registered, so that {names} would be another's or none's"
        yield Finding(TASKS, state, said, REINSTALL)
        return
    for point in points:
        try:
            point.load()
        except Exception as error:
            said = f"lmms-eval: {point.value} cannot be loaded ({type(error).__name__}: {error})"
            yield Finding(TASKS, state, said, REINSTALL)
            return
    if (changed := _cannot_extend()) is not None:
        said = f"lmms-eval: this version cannot be extended ({changed}): {names} would not be found"
        yield Finding(TASKS, state, said, f"pip install lmms-eval; or meanwhile {by_include_path(job.benchmarks)}")
        return
    lost = [b.name for b in job.benchmarks if not (b.task_dir / f"{b.name}.yaml").is_file()]
    if lost:
        said = f"lmms-eval: no task file of {', '.join(lost)} in what is installed of mmjudge"
        yield Finding(TASKS, state, said, REINSTALL)
        return
    if not _is_command("lmms-eval"):
        said = "lmms-eval: the command is neither on the PATH nor beside this Python"
        yield Finding(TASKS, state, said, f"python -m lmms_eval, in place of lmms-eval; or {REINSTALL_HARNESS}")
    own = _folder_of("lmms_eval")
    builtin = [b.name for b in job.benchmarks if own and (own / "tasks" / b.name / f"{b.name}.yaml").is_file()]
    said = f"lmms-eval: {names} are ours" if len(job.benchmarks) > 1 else f"lmms-eval: {names} is ours"
    said += f"; its own {' and '.join(builtin)} is overridden" if builtin else ""
    yield Finding(TASKS, "ok", said)


def by_include_path(benchmarks: tuple[Benchmark, ...]) -> str:
    """The command that reaches our tasks where lmms-eval cannot be extended."""
    package = type(benchmarks[0]).__module__.partition(".")[0]
    return f'lmms-eval --include_path "$(python -m {package})" --tasks mmjudge'


def _is_ours(point: importlib.metadata.EntryPoint) -> bool:
    return point.value.startswith("judge.")


def _cannot_extend() -> str | None:
    """Why our tasks would not get into lmms-eval's index, None where they would."""
    folder = _folder_of("lmms_eval")
    if folder is None:
        return "its files are not found"
    try:
        tree = ast.parse((folder / "tasks" / "__init__.py").read_text(encoding="utf-8"))
        loads = (folder / "models" / "__init__.py").read_text(encoding="utf-8")
    except (OSError, ValueError, SyntaxError) as error:
        return f"its source cannot be read: {type(error).__name__}"
    manager = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "TaskManager"), None)
    methods = {node.name for node in manager.body if isinstance(node, ast.FunctionDef)} if manager else set()
    if missing := {"initialize_tasks", "_get_task_and_group"} - methods:
        return f"TaskManager has no {' and no '.join(sorted(missing))}"
    if "load_entrypoint_manifests" not in loads:
        return f"it loads no entry points {LMMS_EVAL_GROUP}"
    return None


def _is_command(name: str) -> bool:
    return Path(sys.executable).with_name(name).exists() or shutil.which(name) is not None


def _folder_of(package: str) -> Path | None:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(found.origin).parent if found is not None and found.origin else None


def _vlmeval(job: Job) -> Findings:
    state: State = "fails" if job.harness == "vlmeval" else "warning"
    # a class is called as its dataset is asked for: --data MMIE
    datasets = sorted(point.attr for point in importlib.metadata.entry_points(group=VLMEVAL_GROUP))
    lost = [b.name.upper() for b in job.benchmarks if b.name.upper() not in datasets]
    if lost:
        yield Finding(TASKS, state, f"VLMEvalKit: no dataset {' and '.join(lost)} is registered", REINSTALL)
        return
    if not _is_command("mmjudge-vlmeval"):
        said = (
            "VLMEvalKit: mmjudge-vlmeval, which starts it with our datasets, is neither on the PATH nor beside Python"
        )
        yield Finding(TASKS, state, said, f"{REINSTALL}; or python -m judge.harness.vlmeval.launcher")
        return
    said = f"{TITLES['vlmeval']}: started as `mmjudge-vlmeval`, it has the datasets {', '.join(datasets)}"
    yield Finding(TASKS, "ok", said)
