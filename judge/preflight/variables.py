"""Settings in the environment: names that nobody reads, and values that mean nothing.

warning  MMJUDGE_IMAGEROOT is read by nobody
         → export MMJUDGE_IMAGE_ROOT="$MMJUDGE_IMAGEROOT"
fails    MMJUDGE_DTYPE is 'float16'
         → export MMJUDGE_DTYPE=bfloat16, or float32; or unset MMJUDGE_DTYPE
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from judge.engines.loading import is_address, is_general
from judge.engines.local import ITEM_BYTES
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.harness.ranks import this_rank
from judge.harness.settings import read_settings
from judge.io.archives import is_bound
from judge.model.weights.source import check_judge_name
from judge.preflight.finding import Finding, Findings, of_error
from judge.preflight.job import Job

SETTINGS = "settings"
PREFIXED = "MMJUDGE_"
KNOWN = frozenset(
    f"{PREFIXED}{name}"
    for name in (
        *("JUDGE", "TOKENIZER", "DEVICE", "DTYPE", "PROFILE", "RUBRIC", "BATCH_SIZE", "JOURNAL", "IMAGE_ROOT"),
        *("PARTIAL", "API_KEY", "SYSTEM", "PICTURES", "VLMEVAL_MODEL", "UNPACK_BYTES", "UNPACK_MEMBERS"),
    )
)
"""Every variable of ours that something reads."""
RUBRICS = ("mmjudge", "official")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def check_variables(job: Job) -> Findings:
    """Lines about what is set; one that all is well where nothing is wrong."""
    found = [*_unknown(job), *_unreadable(job), *_values(job), *_folders(job)]
    if not found:
        given = sorted(name for name in job.environment if name in KNOWN and job.environment[name])
        said = f"{', '.join(given)} can be read" if given else "no MMJUDGE_ variable is set: defaults hold"
        found = [Finding(SETTINGS, "ok", said)]
    yield from found


def _unknown(job: Job) -> Findings:
    for name in sorted(name for name in job.environment if name.startswith(PREFIXED) and name not in KNOWN):
        # what all names begin with makes no two of them alike
        nearest = difflib.get_close_matches(name[len(PREFIXED) :], [known[len(PREFIXED) :] for known in KNOWN], n=1)
        mend = f'export {PREFIXED}{nearest[0]}="${name}"; unset {name}' if nearest else f"unset {name}"
        yield Finding(SETTINGS, "warning", f"{name} is read by nobody", mend)


def _unreadable(job: Job) -> Findings:
    """Every variable by itself: `read_settings` stops at the first."""
    for name in sorted(KNOWN & job.environment.keys()):
        try:
            read_settings({name: job.environment[name]})
        except UserError as error:
            yield Finding(SETTINGS, "fails", error.problem, f"unset {name}; or {error.fix}")
    try:
        this_rank(job.environment)
    except UserError as error:
        yield of_error(SETTINGS, error)


def _values(job: Job) -> Findings:
    settings = job.settings
    if settings.device is not None and not _DEVICE.fullmatch(settings.device):
        yield _unsuited("DEVICE", settings.device, "cuda, cuda:1, … or cpu")
    if settings.dtype is not None and settings.dtype not in ITEM_BYTES:
        yield _unsuited("DTYPE", settings.dtype, " or ".join(ITEM_BYTES))
    if settings.rubric is not None and settings.rubric not in RUBRICS:
        yield _unsuited("RUBRIC", settings.rubric, " or ".join(RUBRICS))
    for name in ("UNPACK_BYTES", "UNPACK_MEMBERS"):
        if (value := job.environment.get(f"{PREFIXED}{name}")) and not is_bound(value):
            yield _unsuited(name, value, "a whole number")
    judge = job.judge
    if job.judged and not (judge.startswith(PREFIX) or is_address(judge) or is_general(judge)):
        try:
            check_judge_name(judge)
        except UserError:
            kinds = "a folder, ORG/NAME, http://HOST:PORT/v1, openai:MODEL or replay:FILE"
            yield Finding(
                SETTINGS, "fails", f"the judge {judge!r} is no folder here, and no name of a repository or an address",
                f"export MMJUDGE_JUDGE=… ({kinds}), or unset MMJUDGE_JUDGE for MMIE's",
            )  # fmt: skip


def _unsuited(name: str, value: str, wanted: str) -> Finding:
    mend = f"export MMJUDGE_{name}=… ({wanted}), or unset MMJUDGE_{name}"
    return Finding(SETTINGS, "fails", f"MMJUDGE_{name} is {value!r}", mend)


def _folders(job: Job) -> Findings:
    root, journal = job.settings.image_root, job.settings.journal
    if job.judged and not root.is_dir():
        yield Finding(
            SETTINGS, "fails", f"MMJUDGE_IMAGE_ROOT: no folder {root}; no picture of an answer would be found",
            "export MMJUDGE_IMAGE_ROOT=… (the folder that pictures of answers lie in), or unset MMJUDGE_IMAGE_ROOT",
        )  # fmt: skip
    if job.harness != "none" and (held := unwritable(journal)) is not None:
        yield Finding(
            SETTINGS, "fails", f"verdicts cannot be kept in {journal}: {held} cannot be written to",
            "export MMJUDGE_JOURNAL=… (a folder of yours)",
        )  # fmt: skip


def unwritable(folder: Path) -> Path | None:
    """The folder, or the first above it that is there, if nothing can be made in it; None where it can."""
    for there in (folder, *folder.absolute().parents):
        try:
            if not there.exists():
                continue
        except OSError:
            return there
        return None if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else there
    return folder
