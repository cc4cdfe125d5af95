"""What the environment says: the only channel that reaches a task in every way lmms-eval can be started.

    MMJUDGE_JUDGE       repository, folder, replay:FILE, http://… or openai:…               MMIE/MMIE-Score
    MMJUDGE_TOKENIZER   with an address: the judge served there, to check prompts       none
    MMJUDGE_DEVICE      where it runs                                                   this rank's GPU, else cpu
    MMJUDGE_DTYPE       float32 or bfloat16                                             by device
    MMJUDGE_PROFILE     reference or strict                                             strict
    MMJUDGE_RUBRIC      mmjudge or official                                             the one the judge was trained on
    MMJUDGE_BATCH_SIZE  answers judged at once                                          the engine's choice
    MMJUDGE_JOURNAL     folder of verdicts, so that a killed run judges nothing twice   ~/.cache/mmjudge/journal
    MMJUDGE_IMAGE_ROOT  folder below which images made by the model under test may lie  the working directory
    MMJUDGE_PARTIAL     1: only the questions that have an answer were asked            the others are unscored

The right column is what holds where a variable is unset or empty.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from judge.core.benchmark import Profile
from judge.errors import UserError
from judge.harness.ranks import Rank, this_rank


@dataclasses.dataclass(frozen=True)
class Settings:
    """One reading of the variables above; None is "unset"."""

    judge: str | None
    device: str | None
    dtype: str | None
    profile: Profile
    rubric: str | None
    batch_size: int | None
    journal: Path
    image_root: Path
    rank: Rank
    tokenizer: str | None = None
    partial: bool = False


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises UserError that names the variable."""
    values = os.environ if environment is None else environment

    def value(name: str) -> str | None:
        return values.get(f"MMJUDGE_{name}") or None

    cache = Path(values.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Settings(
        judge=value("JUDGE"),
        device=value("DEVICE"),
        dtype=value("DTYPE"),
        profile=_profile(value("PROFILE") or "strict"),
        rubric=value("RUBRIC"),
        batch_size=_count(value("BATCH_SIZE")),
        journal=Path(value("JOURNAL") or cache / "mmjudge" / "journal").expanduser(),
        image_root=Path(value("IMAGE_ROOT") or Path.cwd()),
        rank=this_rank(values),
        tokenizer=value("TOKENIZER"),
        partial=_flag(value("PARTIAL")),
    )


def _profile(value: str) -> Profile:
    for profile in get_args(Profile):
        if value == profile:
            return profile
    raise UserError(f"MMJUDGE_PROFILE is {value!r}", fix=f"set it to one of: {', '.join(get_args(Profile))}")


def _flag(value: str | None) -> bool:
    if value not in (None, "0", "1"):
        raise UserError(f"MMJUDGE_PARTIAL is {value!r}", fix="set it to 1 or 0, or unset it")
    return value == "1"


def _count(value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isdecimal() or int(value) == 0:
        raise UserError(f"MMJUDGE_BATCH_SIZE is {value!r}", fix="set it to a whole number of 1 or more, or unset it")
    return int(value)
