"""The hash of a judge's weights, computed once on a machine and not once a load.

    remembered_sha256([Path("judge/model-00001-of-00002.safetensors"), …])     "0a353bb62ed8…"

A signature holds it, so every process needs it, and a judge is 8 GB. What was computed is kept in the user's cache, a
file for each list of paths, and counts only while every file has the size, the times of change and the inode it had:

    ~/.cache/mmjudge/weights/3fa2c1d0….json
    {"files": [["/judges/mine/model.safetensors", 560000, 1764374747000000000, 1764374747000000000, 131]],
     "sha256": "0a353bb62ed8…"}

The cache may be deleted, broken or not writable at any time: weights are then read and hashed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judge.io import files

SETTLED_NS = 2_000_000_000
"""Nanoseconds after which another write is certain to change a file's time; one before could leave it as it is."""


def remembered_sha256(paths: Sequence[Path]) -> str:
    """SHA-256, hex, of the bytes of `paths` one after the other; unchanged files are not read. Raises OSError."""
    state = _state(paths)
    record = _record(paths)
    known = None if record is None else _recall(record, state)
    if known is not None:
        return known
    digest = files.sha256(*paths)
    settled = all(mtime_ns < time.time_ns() - SETTLED_NS for _, _, mtime_ns, _, _ in state)
    if record is not None and settled and _state(paths) == state:
        # a full or read-only disk costs time at the next load, and nothing else
        with contextlib.suppress(OSError):
            record.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(record, json.dumps({"files": state, "sha256": digest}) + "\n")
    return digest


def _state(paths: Sequence[Path]) -> list[list[Any]]:
    """[absolute path, bytes, time of change of the bytes and of the inode in nanoseconds, inode] of every file.

    Whoever writes can set the first time back; the second is the system's.
    """
    found = []
    for path in paths:
        status = path.stat()
        found.append([os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino])
    return found


def _record(paths: Sequence[Path]) -> Path | None:
    """The file of the cache for these paths; None where the user has no home."""
    name = hashlib.sha256(json.dumps([os.path.abspath(path) for path in paths]).encode()).hexdigest()
    try:
        return files.cache_folder() / "weights" / f"{name[:32]}.json"
    except RuntimeError:
        return None


def _recall(record: Path, state: list[list[Any]]) -> str | None:
    """The hash that `record` holds for files in this state, or None."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("files") != state:
        return None
    digest = content.get("sha256")
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None
