"""What a check finds: a line, and how to mend it.

Finding("data", "ok", "mmvu: edition v1, 600 questions (MMVU_DATA=/data/mmvu)")
Finding("device", "fails", "no GPU cuda:7 here; …", "unset MMJUDGE_DEVICE, or export MMJUDGE_DEVICE=cpu")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

from judge.errors import UserError

State = Literal["ok", "warning", "fails"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A line: what was found, and how to mend it. part: the heading that it belongs below. "fails": the run would."""

    part: str
    state: State
    found: str
    mend: str | None = None


Findings = Iterator[Finding]


def of_error(part: str, error: UserError, state: State = "fails", name: str = "") -> Finding:
    """The line that an error makes. name: what it is about, put before it."""
    said = str(error).rpartition("\n→ ")[0] if error.fix else str(error)
    return Finding(part, state, f"{name}: {said}" if name else said, error.fix)
