"""The checkpoints that a run left in its folder: checkpoint-200, checkpoint-400, …

    find_checkpoints(Path("out/judge"), whole=True)  ->  {200: Path("out/judge/checkpoint-200"), …}

The state is what a checkpoint ends with: one without it was being written when the run was killed, and is not whole.
"""

from __future__ import annotations

import re
from pathlib import Path


def find_checkpoints(out: Path, *, whole: bool) -> dict[int, Path]:
    """Step → folder, ascending; {} where there is none. whole: only those that a run can go on from."""
    found = {
        int(m[1]): path for path in out.glob("checkpoint-*") if (m := re.fullmatch(r"checkpoint-(\d+)", path.name))
    }
    return {step: path for step, path in sorted(found.items()) if not whole or (path / "trainer_state.json").is_file()}
