"""Results folders as tests compare them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def results_but_run(folder: Path) -> dict[str, Any]:
    """`results.json` without the part that says who ran it, when and for how long."""
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert found.pop("run")["answers"]["n"] > 0
    return found
