"""`mmjudge-vlmeval`: VLMEvalKit's own run.py, with our datasets and models in it and an exit code that can be trusted.

    mmjudge-vlmeval --data MMVU_demo MMIE_demo --model mmjudge-hf --work-dir out

Arguments are VLMEvalKit's, untouched. VLMEvalKit ends with 0 whatever happened; this ends with 1 when a dataset or its
judge failed, read from the status.json files that the run wrote. Works on ms-vlmeval and in a checkout of upstream.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from judge.core.benchmark import find, names
from judge.core.foreign_text import shown, shown_error
from judge.errors import UserError
from judge.harness.after_import import after_import
from judge.harness.condition_names import asking_conditions, refuse_unknown
from judge.harness.ranks import this_rank
from judge.harness.session import MOST
from judge.harness.vlmeval.registration import install
from judge.harness.vlmeval.wrappers import wrapper
from judge.results.run_folder import RunFolder

_HARMLESS = {None, "mode_infer"}


def main() -> int:
    """Run VLMEvalKit with the arguments of this process; the exit code says whether every dataset was scored."""
    started = datetime.datetime.now().astimezone()
    given = _given(sys.argv[1:])
    checkout = Path.cwd() / "run.py"
    if checkout.is_file() and (Path.cwd() / "vlmeval").is_dir():
        sys.path.insert(0, str(Path.cwd()))
    install()
    after_import(
        "vlmeval.config", lambda config: print(*image_warnings(config, given), sep="\n", end="", file=sys.stderr)
    )
    try:
        for name in names():
            refuse_unknown([dataset for _, dataset in asked(given)], name, asking_conditions(find(name)))
        _run(checkout)
    except UserError as error:
        print(f"mmjudge-vlmeval: {shown_error(error)}", file=sys.stderr)
        return 2
    if this_rank().number > 0:
        return 0  # under torchrun the first process evaluates and writes the status
    work_dir = Path(given.work_dir)
    failures = [*failed(work_dir, started, asked(given)), *mostly_unscored(work_dir, started)]
    for line in failures:
        print(f"mmjudge-vlmeval: {shown(line)}", file=sys.stderr)
    return 1 if failures else 0


def _run(checkout: Path) -> None:
    """run.py as `__main__` of a checkout, else the installed package's."""
    if importlib.util.find_spec("vlmeval") is None:
        raise UserError("VLMEvalKit is not installed", fix="pip install 'mmjudge[vlmeval]'")
    package = Path(importlib.util.find_spec("vlmeval").origin or "").parent  # type: ignore[union-attr]
    beside = package.parent / "run.py"
    if importlib.util.find_spec("vlmeval.run") is not None:
        runpy.run_module("vlmeval.run", run_name="__main__", alter_sys=True)
    elif beside.is_file() or checkout.is_file():
        runpy.run_path(str(beside if beside.is_file() else checkout), run_name="__main__")
    else:
        raise UserError("this VLMEvalKit has no run.py", fix="pip install ms-vlmeval, or start in a checkout")


def _given(argv: list[str]) -> argparse.Namespace:
    """What this launcher has to know of VLMEvalKit's arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--work-dir", default="./outputs")
    parser.add_argument("--model", nargs="+", default=[])
    parser.add_argument("--data", nargs="+", default=[])
    parser.add_argument("--config")
    given, _ = parser.parse_known_args(argv)
    given.work_dir = os.environ.get("MMEVAL_ROOT", given.work_dir)
    return given


def image_warnings(config: ModuleType, given: argparse.Namespace) -> list[str]:
    """One line for every model wrapper that keeps the first image of a question and drops the others."""
    classes = {name: wrapper(name, config) for name in given.model}
    if given.config:
        models = json.loads(Path(given.config).read_text(encoding="utf-8")).get("model", {})
        classes |= {name: wrapper(name, config, row.get("class")) for name, row in models.items()}
    return [
        f"mmjudge-vlmeval: {name}: this wrapper ({cls.__name__}) sends only the first image of a question; "
        "MMIE's questions with several images are asked without the others\n"
        for name, cls in classes.items()
        if cls is not None and not getattr(cls, "INTERLEAVE", True)
    ]


def asked(given: argparse.Namespace) -> list[tuple[str, str]]:
    """Every (model, dataset) that the arguments name."""
    models, datasets = given.model, given.data
    if given.config:
        config = json.loads(Path(given.config).read_text(encoding="utf-8"))
        models, datasets = config.get("model", {}), config.get("data", {})
    return [(model, dataset) for model in models for dataset in datasets]


def failed(work_dir: Path, since: datetime.datetime, wanted: Iterable[tuple[str, str]]) -> list[str]:
    """One line for every (model, dataset) that this run left without a result; never empty if nothing was run."""
    lines, recorded = [], set()
    for file in sorted(work_dir.glob("**/status.json")):
        status = json.loads(file.read_text(encoding="utf-8"))
        model = str(status.get("model_name"))
        for name, row in status.get("datasets", {}).items():
            if file.is_symlink() or datetime.datetime.fromisoformat(row["updated_at"]) < since:
                continue  # of an earlier run
            recorded.add((_as_folder(model), name))
            problem = row.get("error_message") or row.get("skip_reason")
            if problem not in _HARMLESS:
                lines.append(f"{model} on {name}: {problem}")
            elif row.get("status") != "done":
                lines.append(f"{model} on {name}: ended in stage {row.get('status')!r}")
    if not recorded:
        return [f"no dataset was run (nothing new under {work_dir})"]
    # what cannot be prepared in API mode is logged, and leaves no row
    left_out = [(model, name) for model, name in wanted if (_as_folder(model), name) not in recorded]
    return lines + [f"{model} on {name}: not run; the log above has the reason" for model, name in left_out]


def mostly_unscored(work_dir: Path, since: datetime.datetime) -> list[str]:
    """One line for every result of this run most of whose answers have no score, with the reasons."""
    lines = []
    for file in sorted(work_dir.glob("**/*_mmjudge*/results.json")):
        if file.stat().st_mtime < since.timestamp():
            continue  # of an earlier run
        result = RunFolder(file.parent).read_results()
        unscored = result["unscored"]
        if unscored["n"] > MOST * result["n"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in unscored["reasons"].items())
            lines.append(f"{file.parent}: {unscored['n']} of {result['n']} answers have no score: {reasons}")
    return lines


def _as_folder(model: str) -> str:
    """API mode records a model by the name of its folder."""
    return model.replace("/", "--")


if __name__ == "__main__":
    sys.exit(main())
