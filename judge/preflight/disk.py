"""Room for what must still be fetched, and a folder that results can be written into.

ok       62.1 GB are free for the Hub's cache; to be fetched: 8.6 GB
fails    2.1 GB are free for the Hub's cache (/home/me/.cache/huggingface/hub); to be fetched: 8.6 GB
         → export HF_HOME=… (a disk with more room), or hf cache ls, and delete what is not needed
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from judge.io.progress import size as shown_bytes
from judge.preflight.finding import Finding, Findings
from judge.preflight.variables import unwritable

DISK = "disk"
RESULTS_BYTES = 1 << 30
"""For the results of 20,103 answers with their samples and pictures."""


def check_disk(fetched: Mapping[str, int | None], cache: Path, results: Path) -> Findings:
    """Lines about both disks. fetched: bytes that the cache grows by, by what; None where nobody says how many."""
    known = sum(size for size in fetched.values() if size is not None)
    unknown = [name for name, size in fetched.items() if size is None]
    if known or unknown:
        yield from _cache(known, unknown, cache)
    free = _free(results)
    if (held := unwritable(results)) is not None:
        yield Finding(DISK, "fails", f"{held} cannot be written to", "cd … (a folder of yours): results go below it")
    elif free < RESULTS_BYTES:
        said = f"{shown_bytes(free)} are free in {results}, and a run of all answers writes up to 1 GB"
        yield Finding(DISK, "warning", said, "--output_path … or --out … on another disk")
    else:
        yield Finding(DISK, "ok", f"{shown_bytes(free)} are free in {results}")


def _cache(known: int, unknown: list[str], cache: Path) -> Findings:
    free = _free(cache)
    parts = [shown_bytes(known)] if known else []
    parts += [f"{' and '.join(unknown)}, whose size is not known"] if unknown else []
    wanted = f"to be fetched: {' and '.join(parts)}"
    if (held := unwritable(cache)) is not None:
        mend = "export HF_HOME=… (a folder of yours)"
        yield Finding(DISK, "fails", f"{held} cannot be written to; {wanted}", mend)
        return
    said = f"{shown_bytes(free)} are free for the Hub's cache ({cache}); {wanted}"
    mend = "export HF_HOME=… (on a disk with more room), or delete what `hf cache ls` lists and you do not need"
    if free < known:
        yield Finding(DISK, "fails", said, mend)
    elif free < 1.1 * known + RESULTS_BYTES:
        yield Finding(DISK, "warning", said, mend)
    else:
        yield Finding(DISK, "ok", said)


def _free(folder: Path) -> int:
    """Bytes of the disk that a folder is on, or would be."""
    for there in (folder, *folder.absolute().parents):
        if there.exists():
            return shutil.disk_usage(there).free
    return 0
