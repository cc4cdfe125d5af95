"""Files that one process writes at a time: `<file>.lock` beside a file keeps others out.

    lock = take_lock(folder / "verdicts.jsonl")
    try:
        with Appendable(folder / "verdicts.jsonl") as lines: …
    finally:
        lock.release()

Without it a second process would do the same work again, and opening the file could take a line that is being written
for what a kill left of one (`judge.io.files.Appendable`).
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from judge.errors import UserError

DISK = "give an --out on a disk that can be written and locked"


class HeldElsewhere(UserError):  # noqa: N818 - a state of the file
    """Somebody else writes the file."""


def take_lock(file: Path, *, disk: str = DISK) -> FileLock:
    """The lock of `file`, taken for this process until its `release`, which any of its threads may call.

    disk: what to do where the file cannot be locked. Raises HeldElsewhere where the lock is taken, UserError where the
    disk knows no locks or cannot be written.
    """
    lock = FileLock(f"{file}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HeldElsewhere(
            "another process is writing here",
            file=lock.lock_file,
            fix="wait until it has ended, or give another --out",
        ) from None
    except (OSError, NotImplementedError) as error:  # the latter is older filelock's word for a missing flock
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot be locked ({why})", file=lock.lock_file, fix=disk) from error
    return lock
