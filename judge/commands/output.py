"""Writing what `--out` names: whole or not at all, and one message where the system refuses.

write_output(Path("out/agreement.json"), {"n": 40, …})      # strict JSON; the folder is made
write_output(Path("report.html"), "<!doctype html>…")       # text as it is
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.io.files import cannot_write, write_json, write_text


def write_output(file: Path, content: Mapping[str, Any] | str) -> Path:
    """Write JSON or text to `file`, whose folder is made, and return `file`. Raises UserError.

    What has no encoding, such as half a surrogate pair in an answer, is a question mark in text.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            write_text(file, content, errors="replace")
        else:
            write_json(file, content)
    except OSError as error:
        raise cannot_write(file, error, fix="give another --out") from error
    return file
