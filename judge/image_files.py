"""Image names are untrusted: a dataset's or a model's word for a file must stay below a declared folder.

    below(Path("/data/mmie"), "./images/step-1.jpg")  ->  /data/mmie/images/step-1.jpg
    below(Path("/data/mmie"), "../../etc/passwd")     ->  ImageRefused("image_refused", "… leaves the image root")

Nothing is opened here; whether the file can be decoded is `judge.model.images`' question.
"""

from __future__ import annotations

import stat
from pathlib import Path, PureWindowsPath

MAX_NAME = 1024
"""Characters of an image name; file systems take 255 bytes a component and 4,096 a path."""


class ImageRefused(Exception):  # noqa: N818 - an outcome that becomes a verdict, not a fault
    """An image that will not be read. `reason` is "image_missing" or "image_refused" (see `judge.verdict.REASONS`)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def below(root: Path, name: str) -> Path:
    """The absolute path of the regular file `name` strictly below `root`, links resolved.

    Raises ImageRefused: "image_missing" where nothing is there, "image_refused" for a name that is empty, absolute,
    over-long or holds NUL or "..", for a link that leads outside, and for what is not a regular file.
    """
    shown = ascii(name if len(name) <= 80 else f"{name[:80]}…")
    if not name or len(name) > MAX_NAME or any(ord(c) < 32 for c in name):
        raise ImageRefused("image_refused", f"image name {shown} is empty, over-long or holds control characters")
    windows = PureWindowsPath(name)  # splits at both slashes, knows drives
    if windows.anchor or windows.drive or ".." in windows.parts:
        raise ImageRefused("image_refused", f"image name {shown} leaves the image root")
    try:
        anchor = root.resolve()
        path = (anchor / name).resolve()
        if path == anchor or not path.is_relative_to(anchor):
            raise ImageRefused("image_refused", f"image name {shown} leaves the image root {root}")
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ImageRefused("image_missing", f"image {shown} is not below {root}") from None
    except (OSError, ValueError, RuntimeError) as error:  # name too long, loop of links, lone surrogate
        why = getattr(error, "strerror", None) or type(error).__name__  # str(error) would repeat the name
        raise ImageRefused("image_refused", f"image name {shown} cannot be resolved: {why}") from None
    if not stat.S_ISREG(mode):
        raise ImageRefused("image_refused", f"image {shown} is not a regular file")
    return path
