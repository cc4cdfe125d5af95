"""The checkpoints that a run left in its folder, and where it begins or goes on: checkpoint-200, checkpoint-400, …

    find_checkpoints(Path("out/judge"), whole=True)  ->  {200: Path("out/judge/checkpoint-200"), …}
    begin_run(Path("out/judge"), {"recipe_sha256": "…", "data_sha256": "…"}, resume=True)  ->  the last of them

The state is what a checkpoint ends with: one without it was being written when the run was killed, and is not whole.
`started.json` says what a run must not change when it goes on; `training.json` is written last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.finetune.processes import first_process
from judge.io import files

STARTED, FINISHED = "started.json", "training.json"


def find_checkpoints(out: Path, *, whole: bool) -> dict[int, Path]:
    """Step → folder, ascending; {} where there is none. whole: only those that a run can go on from."""
    found = {
        int(m[1]): path for path in out.glob("checkpoint-*") if (m := re.fullmatch(r"checkpoint-(\d+)", path.name))
    }
    return {step: path for step, path in sorted(found.items()) if not whole or (path / "trainer_state.json").is_file()}


def begin_run(out: Path, same: Mapping[str, Any], *, resume: bool) -> Path | None:
    """Where to go on, or None for a start. Raises UserError rather than mix two runs in one folder.

    same: what fixes the run; it is kept by the first process, and a run that goes on must have it too.
    """
    refuse_out(out, resume=resume)
    whole = find_checkpoints(out, whole=True)
    if not resume:
        if first_process():
            out.mkdir(parents=True, exist_ok=True)
            files.write_json(out / STARTED, dict(same), indent=2)
        return None
    before = json.loads((out / STARTED).read_text(encoding="utf-8"))
    changed = [name for name in same if before.get(name) != same[name]]
    if changed:
        raise UserError(
            f"was started with another {', '.join(changed)}", file=out / STARTED, fix="give another out for another run"
        )
    if not whole and first_process():
        print(f"{out} has no whole checkpoint: the run begins again", flush=True)
    return whole[max(whole)] if whole else None


def refuse_out(out: Path, *, resume: bool) -> None:
    """Raise UserError where a run cannot begin in `out`, or cannot go on there. Nothing is changed."""
    if not resume:
        _refuse_earlier(out)
    elif (out / FINISHED).exists():
        raise UserError("is finished", file=out / FINISHED, fix="give another out for another run")
    elif not (out / STARTED).exists():
        raise UserError("holds no run to resume", file=out, fix="leave --resume out")


def _refuse_earlier(out: Path) -> None:
    """Raise UserError where a run was here before; --resume is named only where there is something to go on from."""
    if (out / FINISHED).exists():
        raise UserError("holds an earlier run, which is finished", file=out, fix="give another out")
    if find_checkpoints(out, whole=True):
        raise UserError("holds an earlier run", file=out, fix="go on with --resume, or give another out")
    if find_checkpoints(out, whole=False):
        raise UserError(
            "holds an earlier run without a whole checkpoint", file=out, fix="give another out, or delete this one"
        )
