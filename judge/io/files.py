"""How files are written, appended to and hashed: the one place that knows about half-written files.

    write_text(folder / "results.json", text)            # whole or not at all: a new file takes the old one's name
    with replacing(folder / "samples.jsonl") as file:    # the same, written piece by piece
        file.write(line)
    with Appendable(folder / "verdicts.jsonl") as lines: # what a kill leaves of a last line is cut off when opened
        lines.append(b'{"id": …}')
    with open_file(path) as file: …                      # to read bytes; a pipe or a folder is an error, never a wait
    with new_folder(target) as folder: …                 # a folder, whole or not at all; nothing is overwritten
    sha256(path)                                         # hex; remembered by path, size and time of change

Nothing here turns an `OSError` into a message: whoever writes knows what the user can do about it (`cannot_write`).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from judge.errors import UserError
from judge.io.progress import BYTES, MOMENT, progress_bar

UNFINISHED = ".unfinished"
"""The end of the name that a file has until it is whole."""

BLOCK = 1 << 16
"""Bytes that are hashed at once: a block that stays in the processor's cache."""

LARGE = 100_000_000
"""Bytes from which hashing may take long enough for a bar."""

NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open`: a named pipe is opened at once, and on Windows bytes stay what they are."""

MOST_AT_ONCE = 2**30
"""Bytes that are read into memory; 40 times MMIE's data. A sparse file may claim any size."""

NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}
"""What file systems answer that cannot sync a folder, or anything (network and FUSE ones). Their bytes reach the disk
when the system will: what a power cut can then cost is the last lines. EIO and the like are errors."""


def open_file(path: str | Path) -> IO[bytes]:
    """The file at `path`, open for reading bytes.

    Raises OSError, also for what is no file with bytes of its own: opening a named pipe would wait for its writer, and
    files are read more than once.
    """
    descriptor = os.open(path, os.O_RDONLY | NO_WAIT)
    try:
        _refuse_special(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: str | Path) -> bytes:
    """All bytes of the file at `path`. Raises OSError as `open_file` does, and for more than `MOST_AT_ONCE` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= MOST_AT_ONCE:
            data = file.read(MOST_AT_ONCE + 1)  # it may grow meanwhile
            if len(data) <= MOST_AT_ONCE:
                return data
            size = len(data)
    raise OSError(errno.EFBIG, f"{size:,} bytes, and at most {MOST_AT_ONCE:,} are read", str(path))


@contextlib.contextmanager
def replacing(path: str | Path, *, errors: str = "strict") -> Iterator[IO[str]]:
    """A text file (UTF-8, lines end in one newline) that takes the name `path` when the block ends without an error.

    It is on the disk before it has that name, so that a reader, and a machine that loses power, sees the old file or
    the new one. Of several processes that write the same file the last one's stays, whole. errors: as in `open`.
    Raises OSError.
    """
    with _unfinished(Path(path)) as name, name.open("w", encoding="utf-8", errors=errors, newline="\n") as file:
        yield file
        file.flush()
        _fsync(file.fileno())


@contextlib.contextmanager
def replacing_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """As `replacing`, for bytes. Raises OSError."""
    with _unfinished(Path(path)) as name, name.open("wb") as file:
        yield file
        file.flush()
        _fsync(file.fileno())


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed while they wrote into `folder` have left. Nobody may be writing there now.

    Raises OSError.
    """
    for path in folder.glob(f".*.????????{UNFINISHED}"):
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the bytes of `source`, whole or not at all: the file itself, a copy where it cannot be linked to.

    Raises OSError.
    """
    with _unfinished(target) as name:
        try:
            os.link(source.resolve(), name)  # the link of a link would break where the folder is moved to
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, name)


def write_text(path: str | Path, text: str, *, errors: str = "strict") -> None:
    """Write `text` to `path`, whole or not at all. Raises OSError."""
    with replacing(path, errors=errors) as file:
        file.write(text)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises OSError."""
    with replacing_bytes(path) as file:
        file.write(data)


def write_json(path: str | Path, value: Any, *, indent: int = 1) -> None:
    """Write strict JSON (no NaN) and a newline to `path`, whole or not at all. Raises OSError, ValueError.

    Half a surrogate pair, which UTF-8 does not have, is written as JSON's escape of it: "\\ud800".
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, errors="backslashreplace")


def write_json_lines(path: str | Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, in ASCII, whole or not at all. Raises OSError, ValueError."""
    with replacing(path) as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def remove_file(path: Path) -> None:
    """Remove the file at `path`, where there is one. Raises OSError, also for what is no file (`open_file`)."""
    with contextlib.suppress(FileNotFoundError):
        _refuse_special(path.stat().st_mode, path)
        path.unlink()


def cannot_write(path: str | Path, error: OSError, fix: str = "make room, or give another --out") -> UserError:
    """The error for a file or folder that the system does not let us write."""
    return UserError(f"cannot be written ({error.strerror})", file=path, fix=fix)


def make_folder(folder: Path) -> Path:
    """`folder`, made with its parents where it is not there yet. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made ({error.strerror})", file=folder, fix="give another --out") from error
    return folder


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes `target` once the block is done, and vanishes where it fails.

    Raises UserError where `target` exists or cannot be made.
    """
    if target.exists() or target.is_symlink():
        raise UserError("exists already, and nothing is overwritten", file=target, fix="give another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise UserError(f"cannot be made ({error.strerror})", file=target, fix="give another folder") from error
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())  # mkdtemp's is for its owner alone
        folder.rename(target)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror or error})", file=target) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Appendable:
    """A file of JSON lines open for appending, its last line ended. A context manager.

    For one process at a time: whoever opens it holds a lock (`judge.io.locks`). Opening cuts off what a kill left of a
    last line, and ends a whole last line that lost its newline, as write-ahead logs do; a line that another process is
    writing at that moment would be cut off too. A line is one `write` on an O_APPEND descriptor, so it outlives its
    process at once, and lies behind those of others even where a network disk's locks keep nobody out.

    whole: whether a line that lost its newline is one all the same. ours: whether an unfinished line may be cut off;
    the file may be another by mistake.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        whole: Callable[[bytes], bool] = lambda line: is_json(line),
        ours: Callable[[bytes], bool] = lambda line: True,
    ) -> None:
        self.path = path = Path(path)
        created = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | NO_WAIT, 0o666)
        try:
            _refuse_special(os.fstat(self._file).st_mode, path)
            if created:
                _fsync_folder(path.parent)
            self._heal(whole, ours)
        except BaseException:
            self.close()
            raise

    def append(self, *lines: bytes, sync: bool = False) -> None:
        """Write lines (given without their newline), all of them or none. Raises OSError, ENOSPC for a full disk.

        sync: return when they are on the disk; where they cannot be brought there, none is written.
        """
        data = b"".join(line + b"\n" for line in lines)
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                self.sync()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise

    def sync(self) -> None:
        """Return when every line is on the disk. Raises OSError."""
        _fsync(self._file)

    def close(self) -> None:
        """Let the file go; nothing happens where that was done before."""
        if (file := self.__dict__.pop("_file", None)) is not None:
            os.close(file)

    def __enter__(self) -> Appendable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _heal(self, whole: Callable[[bytes], bool], ours: Callable[[bytes], bool]) -> None:
        size = os.fstat(self._file).st_size
        last = self._last_line(size)
        if last and whole(last):
            self.append(b"")
        elif last and ours(last):
            os.ftruncate(self._file, size - len(last))

    def _last_line(self, size: int) -> bytes:
        """What stands behind the last newline: nothing, where the file is whole."""
        start, blocks = size, [b""]
        while start and b"\n" not in blocks[-1]:
            length = min(BLOCK, start)
            start -= length
            blocks.append(os.pread(self._file, length, start))
        return b"".join(reversed(blocks)).rpartition(b"\n")[2]


def is_json(data: bytes) -> bool:
    """Whether `data` is one JSON value, whole."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def sha256(*paths: str | Path) -> str:
    """SHA-256, hex, of a file's bytes, or of those of several files one after the other. Raises OSError.

    Files are read again only where path, size, inode or a time of change are others: that of the bytes, which whoever
    writes them can set back, or that of the inode, which the system sets.
    """
    return _sha256(tuple(_state(Path(path)) for path in paths))


def _state(path: Path) -> tuple[Path, int, int, int, int]:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@functools.lru_cache(maxsize=100_000)
def _sha256(states: tuple[tuple[Path, int, int, int, int], ...]) -> str:
    digest = hashlib.sha256()
    total = sum(state[1] for state in states)
    name = "".join(state[0].name for state in states[:1]) + (f" and {len(states) - 1} more" if len(states) > 1 else "")
    with progress_bar(total, f"hashing {name}", BYTES, after=MOMENT, silent=total < LARGE) as bar:
        for path, *_ in states:
            with open_file(path) as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    bar.update(len(block))
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where this user's downloads and remembered values of ours are kept: `~/.cache/mmjudge`, or as the system has it.

    Raises RuntimeError where the user has no home.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmjudge"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` for this caller alone; what lies there takes the name `path` at the end, or goes."""
    with contextlib.suppress(FileNotFoundError):
        _refuse_special(path.stat().st_mode, path)
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        yield name
        name.replace(path)
    finally:
        name.unlink(missing_ok=True)  # renaming one link of a file onto another leaves both


def _refuse_special(mode: int, path: str | Path) -> None:
    """Raise OSError for a mode that is not a file's: a folder, or what has no bytes of its own, such as /dev/stdout."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.ESPIPE, "Not a file, but a pipe, a socket or a device", str(path))


def _fsync(descriptor: int) -> None:
    """Bring a file or a folder to the disk, where its file system offers that. Raises OSError."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def _fsync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written and not listed; on Windows, any
        return
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)
