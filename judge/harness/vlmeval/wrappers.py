"""VLMEvalKit's model wrappers: the class behind a name, and what it makes of texts and pictures in turn.

interleaving(Path("out/M/M_MMIE.xlsx"))  ->  "kept" for a wrapper with INTERLEAVE = True, else "first picture only"
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from judge.results.run_info import Interleaving


def wrapper(model: str, config: ModuleType, named: str | None = None) -> Any:
    """The wrapper class behind a model's name in VLMEvalKit's table, or called `named` in a `--config`, or None."""
    import vlmeval.vlm

    return getattr(vlmeval.vlm, named, None) if named else getattr(config.supported_VLM.get(model), "func", None)


def interleaving(eval_file: Path) -> Interleaving:
    """What the model's wrapper does: most pass on everything in order, the others the first picture only.

    Upstream has a folder of the date between the model's and the file.
    """
    import vlmeval.config

    named = {}
    if "--config" in sys.argv[:-1]:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            file = Path(sys.argv[sys.argv.index("--config") + 1])
            models = json.loads(file.read_text(encoding="utf-8")).get("model", {})
            named = {name.replace("/", "--"): row.get("class") for name, row in models.items()}
    for folder in (eval_file.parent.name, eval_file.parent.parent.name):
        cls = wrapper(folder, vlmeval.config, named.get(folder))
        if cls is not None:
            kept = getattr(cls, "INTERLEAVE", None)
            return "unknown" if kept is None else "kept" if kept else "first picture only"
    return "unknown"
