"""Archives of pictures: only plain files inside their folder are unpacked, within bounds, and what is left out is said.

    unpack_archive(Path("images.tar.gz"), Path("images"), Bounds(bytes=64 * 2**30, members=500_000))
    ->  ["2 members without a usable name: '', 'a\\x00.jpg'", "1 name twice, the last one kept: 'b.jpg'"]

An archive comes from elsewhere, and a small one can unpack to anything: bytes, members and the memory of one header are
bounded by what the data is known to have. A tar may be packed with gzip or bzip2 (xz is refused: its header asks for
memory); a zip is told by its name.
"""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import errno
import gzip
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path, PureWindowsPath
from typing import IO, Any, cast

from judge.errors import UserError
from judge.io.progress import BYTES, WatchedFile, counted, progress_bar

BYTES_VARIABLE, MEMBERS_VARIABLE = "MMJUDGE_UNPACK_BYTES", "MMJUDGE_UNPACK_MEMBERS"

HEADER = 2**20
"""Bytes of all headers of one member of a tar, and what global ones may add up to."""

DIRECTORY = 128 * 2**20
"""Bytes of the list of members of a zip: 100 each for a million of them."""

BLOCK = 2**16
_TAR_BLOCK = 512
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""Of packing a member of a zip; others ask for memory in their headers."""
_PADDING = 2**24
"""Bytes behind the end of a tar that are read: its padding, and the check sum of what packs it."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What an archive may unpack to: bytes of all files, and number of members, folders included."""

    bytes: int
    members: int

    def raised(self) -> Bounds:
        """These, or what the environment says instead. Raises UserError for what is no whole number there."""
        return Bounds(_from_environment(BYTES_VARIABLE, self.bytes), _from_environment(MEMBERS_VARIABLE, self.members))


@dataclasses.dataclass(frozen=True)
class Member:
    """kind: `stat.S_IFREG`, `stat.S_IFDIR`, or 0 for what is not unpacked. content: of a plain file, once."""

    name: str
    kind: int
    size: int
    content: IO[bytes] | None


KNOWN = Bounds(bytes=128 * 2**30, members=1_000_000)
"""For MMIE: 20,103 questions with a few pictures each. Others have their own."""


class _Broken(Exception):  # noqa: N818 - becomes a UserError that names the archive
    """What stands in the archive cannot be read."""


def unpack_archive(archive: Path, folder: Path, bounds: Bounds, *, fix: str) -> list[str]:
    """Unpack into an empty folder; what was left out, in words. fix: where there is another copy of the archive.

    Raises UserError for a broken archive, one with a member that is no plain file inside the folder, and one beyond
    the bounds or the room on the disk. Raises OSError where the folder cannot be written.
    """
    if not stat.S_ISREG(archive.stat().st_mode):
        raise UserError("is not a regular file", file=archive, fix=fix)
    writer = _Writer(archive, folder, bounds.raised(), fix)
    try:
        members = _read_zip(archive, writer) if archive.suffix == ".zip" else _read_tar(archive, writer)
        with contextlib.closing(members):
            while (member := _next(members)) is not None:
                writer.write_member(member)
    except _Broken as error:
        raise UserError(f"broken archive: {error}", file=archive, fix=fix) from None
    return writer.notes()


class _Writer:
    """Writes members below a folder, counts them, and keeps what to say about them."""

    def __init__(self, archive: Path, folder: Path, bounds: Bounds, fix: str) -> None:
        self.archive, self.folder, self.bounds, self.fix = archive, folder, bounds, fix
        self.members, self.bytes = 0, 0
        self.trailing = False
        self._written: set[Path] = set()
        self._nameless: list[str] = []
        self._twice: list[str] = []

    def write_member(self, member: Member) -> None:
        """Write one member, or keep its name as left out. Raises UserError, OSError, _Broken."""
        self.members += 1
        self.require("members", self.members, self.bounds.members, MEMBERS_VARIABLE)
        path = PureWindowsPath(member.name)  # splits at both slashes, knows drives
        if path.anchor or path.drive or ".." in path.parts or not member.kind:
            raise UserError(
                f"member {_shown(member.name)} is no plain file inside the folder",
                file=self.archive,
                fix=f"do not trust this archive; {self.fix}",
            )
        if "\0" in member.name or (member.content is not None and not path.parts):
            self._nameless.append(member.name)
            return
        target = self.folder.joinpath(*path.parts)
        try:
            (target if member.content is None else target.parent).mkdir(parents=True, exist_ok=True)
            if member.content is not None:
                self._write_file(member, target)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise _Broken(f"member {_shown(member.name)} would be a file and a folder") from None
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EILSEQ):
                raise
            self._nameless.append(member.name)

    def _write_file(self, member: Member, target: Path) -> None:
        self.require("bytes", self.bytes + member.size, self.bounds.bytes, BYTES_VARIABLE)
        self.require_room(member.size)
        if target in self._written:
            self._twice.append(member.name)
        self._written.add(target)
        with cast(IO[bytes], member.content) as content, target.open("wb") as out:
            while block := _read(content):
                self.bytes += len(block)
                self.require("bytes", self.bytes, self.bounds.bytes, BYTES_VARIABLE)
                out.write(block)

    def require(self, what: str, found: int, most: int, variable: str) -> None:
        """Raise UserError where the archive holds more than is believed."""
        if found > most:
            raise UserError(
                f"unpacks to more than {most:,} {what}, far above what this dataset has",
                file=self.archive,
                fix=f"{self.fix}; if it is right, set {variable} to a larger number",
            )

    def require_room(self, size: int) -> None:
        """Raise UserError where the disk has less than `size` bytes free."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise UserError(
                f"needs {size:,} more bytes to be unpacked, and {free:,} are free in {self.folder.parent}",
                file=self.archive,
                fix="make room, or move the data to a larger disk",
            )

    def notes(self) -> list[str]:
        """What was left out, in words."""
        found = []
        if self._nameless:
            found.append(f"{len(self._nameless)} members without a usable name: {_some(self._nameless)}")
        if self._twice:
            found.append(f"{len(self._twice)} names twice, the last one kept: {_some(self._twice)}")
        if self.trailing:
            found.append("what stands behind the end of the archive")
        return found


def _read_tar(archive: Path, writer: _Writer) -> Generator[Member, None, None]:
    size = archive.stat().st_size
    writer.require_room(size)  # pictures are packed already: a tar of them is hardly smaller than they are
    with (
        archive.open("rb") as packed,
        progress_bar(size, f"unpacking {archive.name}", BYTES) as bar,
    ):
        forward = _Forward(_unpacked(packed, cast(IO[bytes], WatchedFile(packed, bar))))
        with tarfile.open(fileobj=cast(Any, forward), mode="r:") as tar:
            while True:
                forward.header_bytes = 0
                member = tar.next()
                if member is None:
                    break
                tar.members = []  # type: ignore[attr-defined]  # it keeps all of them
                if sum(len(name) + len(str(value)) for name, value in tar.pax_headers.items()) > HEADER:
                    raise _Broken(f"global headers of more than {HEADER:,} bytes")
                plain = member.isreg() and not member.issparse()
                kind = stat.S_IFREG if plain else stat.S_IFDIR if member.isdir() else 0
                forward.in_header = False
                yield Member(member.name, kind, member.size, tar.extractfile(member) if plain else None)
                forward.in_header = True
            if forward.block != bytes(_TAR_BLOCK):  # tarfile takes a header that it cannot read for the end
                raise _Broken(f"no header of a member, nor the end, at byte {forward.tell() - len(forward.block):,}")
            writer.trailing = any(forward.rest(_PADDING))


def _unpacked(packed: IO[bytes], counted: IO[bytes]) -> IO[bytes]:
    """The tar in a file that may pack it. `counted` reads the same file and shows how far it is."""
    start = packed.read(6)
    packed.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=counted))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(counted))
    if start == b"\xfd7zXZ\0":
        raise _Broken("it is packed with xz; pack it with gzip, or unpack it by hand")
    return counted


class _Forward:
    """What tarfile reads: never back, and no more than `HEADER` bytes for the headers of one member."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._at = raw, 0
        self.in_header, self.header_bytes = True, 0
        self.block = b""
        """What was read last."""

    def tell(self) -> int:
        return self._at

    def seek(self, to: int) -> int:
        if to < self._at:
            raise _Broken(f"a member would lie before byte {self._at:,}")
        while self._at < to and (block := self._raw.read(min(BLOCK, to - self._at))):
            self._at += len(block)
        return self._at

    def read(self, size: int) -> bytes:
        if self.in_header:
            self.header_bytes += size
            if not 0 <= size <= HEADER or self.header_bytes > HEADER:
                raise _Broken(f"a header of more than {HEADER:,} bytes")
        self.block = self._raw.read(size)
        self._at += len(self.block)
        return self.block

    def rest(self, most: int) -> Iterator[bool]:
        """Whether each of the next blocks, `most` bytes in all, holds anything but zeros."""
        while most > 0 and (block := self._raw.read(min(BLOCK, most))):
            most -= len(block)
            yield block.count(0) != len(block)


def _read_zip(archive: Path, writer: _Writer) -> Generator[Member, None, None]:
    with archive.open("rb") as packed, zipfile.ZipFile(cast(Any, _Bounded(packed))) as opened:
        members = opened.infolist()
        writer.require("members", len(members), writer.bounds.members, MEMBERS_VARIABLE)
        size = sum(member.file_size for member in members)
        writer.require("bytes", size, writer.bounds.bytes, BYTES_VARIABLE)
        writer.require_room(size)
        for member in counted(members, f"unpacking {archive.name}", "file", after=0):
            if member.compress_type not in _METHODS:
                raise _Broken(f"member {_shown(member.filename)} is packed by method {member.compress_type}")
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind in (0, stat.S_IFREG):  # 0: packed where files have no kind
                kind = stat.S_IFDIR if member.filename.endswith("/") else stat.S_IFREG
            kind = kind if kind in (stat.S_IFREG, stat.S_IFDIR) else 0
            # zipfile cuts a name at NUL
            name = member.orig_filename if "\0" in member.orig_filename else member.filename
            content = opened.open(member) if kind == stat.S_IFREG else None
            yield Member(name, kind, member.file_size, content)


class _Bounded:
    """A file that zipfile reads: no more than `DIRECTORY` bytes at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size if 0 <= size <= DIRECTORY else DIRECTORY + 1)
        if len(block) > DIRECTORY:
            raise _Broken(f"a list of members of more than {DIRECTORY:,} bytes")
        return block


def _next(members: Iterator[Member]) -> Member | None:
    """The next member, None behind the last. Whatever the libraries raise on hostile bytes becomes _Broken."""
    try:
        return next(members, None)
    except (UserError, _Broken):
        raise
    except Exception as error:
        raise _Broken(_reason(error)) from None


def _read(content: IO[bytes]) -> bytes:
    try:
        return content.read(BLOCK)
    except _Broken:
        raise
    except Exception as error:
        raise _Broken(_reason(error)) from None


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]


def is_bound(text: str) -> bool:
    """Whether a variable's value can be read as a number of bytes or of members."""
    return text.isascii() and text.isdigit()


def _from_environment(variable: str, known: int) -> int:
    text = os.environ.get(variable, "")
    if not text:
        return known
    if not is_bound(text):
        raise UserError(f"${variable} is {text!r}, not a whole number", fix=f"set it to one above {known}, or unset it")
    return int(text)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else f"{name[:80]}…")


def _some(names: list[str]) -> str:
    return ", ".join(map(_shown, names[:3])) + (", …" if len(names) > 3 else "")
