"""Image names are untrusted: a dataset's or a model's word for a file must stay below a declared folder.

    below(Path("/data/mmie"), "./images/step-1.jpg")  ->  /data/mmie/images/step-1.jpg
    below(Path("/data/mmie"), "../../etc/passwd")     ->  ImageRefused("image_refused", "… leaves the image root")

Nothing is opened here; whether the file can be decoded is `judge.model.images`' question.
"""

from __future__ import annotations

import functools
import os
import re
import stat
from pathlib import Path, PureWindowsPath

MAX_NAME = 1024
"""Characters of an image name; file systems take 255 bytes a component and 4,096 a path."""

MAX_BYTES = 128 << 20
"""Bytes of an image file. It is asked here, before anybody hashes, copies or decodes what would be refused anyway."""

_CONTROL = re.compile(r"[\x00-\x1f]")
_ODD = re.compile(r"[\\:]|^/|\.\.")
"""What a name must have for it to lead anywhere but below, on any system."""


class ImageRefused(Exception):  # noqa: N818 - an outcome that becomes a verdict, not a fault
    """An image that will not be read. `reason` is a code of `judge.core.verdict.REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def below(root: Path, name: str) -> Path:
    """The absolute path of the regular file `name` strictly below `root`, links resolved.

    Raises ImageRefused: "image_missing" where nothing is there, "image_refused" for a name that is empty, absolute,
    over-long or holds NUL or "..", for a link that leads outside, and for what is not a regular file or is larger than
    `MAX_BYTES`.
    """
    shown = _shown(name)
    if not name or len(name) > MAX_NAME or _CONTROL.search(name):
        raise ImageRefused("image_refused", f"image name {shown} is empty, over-long or holds control characters")
    if _ODD.search(name):
        windows = PureWindowsPath(name)  # splits at both slashes, knows drives
        if windows.anchor or windows.drive or ".." in windows.parts:
            raise ImageRefused("image_refused", f"image name {shown} leaves the image root")
    try:
        status = os.stat(root)
        anchor = _real(str(root), status.st_dev, status.st_ino)
        path, found = _walked(anchor, name) or _followed(anchor, name)
        if path is None or found is None:
            raise ImageRefused("image_refused", f"image name {shown} leaves the image root")
    except (FileNotFoundError, NotADirectoryError):
        raise ImageRefused("image_missing", f"image {shown} is not below the image root") from None
    except (OSError, ValueError, RuntimeError) as error:  # name too long, loop of links, lone surrogate
        why = getattr(error, "strerror", None) or type(error).__name__  # str(error) would repeat the name
        raise ImageRefused("image_refused", f"image name {shown} cannot be resolved: {why}") from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageRefused("image_refused", f"image {shown} is not a regular file")
    if found.st_size > MAX_BYTES:
        raise ImageRefused("image_refused", f"image {shown}: {found.st_size} bytes, must be 1 to {MAX_BYTES}")
    return path


def _shown(name: str) -> str:
    """The name for a message, which goes into verdicts: an absolute one without its folders, which are a machine's."""
    windows = PureWindowsPath(name[-MAX_NAME:])
    short = f".../{windows.name}" if name[:1] in ("/", "\\") or windows.drive else name
    return ascii(short if len(short) <= 80 else f"{short[:80]}…")


@functools.lru_cache(maxsize=64)
def _real(folder: str, device: int, inode: int) -> str:
    """`folder` with its links resolved; device and inode say that it is still the folder it was."""
    return os.path.realpath(folder)


def _walked(anchor: str, name: str) -> tuple[Path | None, os.stat_result | None] | None:
    """The path below `anchor` and its status; None where a link is on the way, or nothing is left of the name.

    A dataset has 60,000 names: this looks at each part once, where resolving looks at every folder above as well.
    """
    path, found = anchor, None
    for part in name.split("/"):
        if part not in ("", "."):
            path = os.path.join(path, part)
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                return None
    return None if os.sep != "/" or path == anchor else (Path(path), found)


def _followed(anchor: str, name: str) -> tuple[Path | None, os.stat_result | None]:
    """The same with links resolved; no path where that leads outside."""
    path = Path(anchor, name).resolve()
    if path == Path(anchor) or not path.is_relative_to(anchor):
        return None, None
    return path, path.stat()
