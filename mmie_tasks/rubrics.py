"""The rubrics' wording: ours in `rubrics/*.txt`, the official one fetched when it is asked for.

    rubric("mmjudge")   own words for the criteria of the paper (SA.txt, PBL.txt, MSR.txt)
    rubric("official")  `prompts.py` of github.com/Lillianwei-h/MMIE at the commit below: three string literals

The official file is MIT-licensed code of its authors and is not shipped. It is downloaded once, checked by SHA-256
(the file, then each string), read as literals and never executed, and kept in the user's cache. What stands around
its text is the layout of the official `prompts.py`, which our files end with, too.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from judge.core.rubric import Rubric
from judge.errors import UserError
from judge.io.files import cache_folder, write_bytes
from judge.io.hub_access import OFFLINE_VARIABLE, may_fetch
from mmie_tasks.records import CATEGORIES

NAMES = ("mmjudge", "official")
FOLDER = Path(__file__).parent / "rubrics"

COMMIT = "eb0fd6ecf14576760b5c3deb95c47579cf0cc36e"
URL = f"https://raw.githubusercontent.com/Lillianwei-h/MMIE/{COMMIT}/prompts.py"
FILE_SHA256 = "ed1e1a14a4e356755c249eebbab53c6c2ff27850c3a741639eff06c1c57cfb0b"
# category → (name of the literal, SHA-256 of its UTF-8 text)
LITERALS: Mapping[str, tuple[str, str]] = {
    "SA": ("SA_SYSTEM_PROMPT", "9e29bd376367a88051001c1592bd75851fda68326c7ea762bb79170c080331a3"),
    "PBL": ("PBL_SYSTEM_PROMPT", "b80214d31c9c25c5ed00d62a990bf422cf2bee304bd6dd29c328692b4b889d49"),
    "MSR": ("MSR_PROMPT", "72bc495ec21b8c185bee68c351981dbc9a041aee2ba1c27bd287caa9099a9681"),
}
_LAYOUT = "### Question\n{question}\n### Answer\n{answer}\n"
_CORRECT = "### Correct Answer\nThe correct answer to this question should be: {gt_answer}\n"


def rubric(name: str) -> Rubric:
    """The rubric called "mmjudge" or "official". Raises UserError where it cannot be had."""
    if name == "mmjudge":
        return Rubric(name, {category: _text(FOLDER / f"{category}.txt") for category in CATEGORIES})
    if name == "official":
        return Rubric(name, _templates(official_source()))
    raise UserError(f"no rubric called {name!r}", fix=f"--rubric {' or '.join(NAMES)}")


def cache_file() -> Path:
    """Where the official file is kept, named by its commit."""
    return cache_folder() / f"mmie-{COMMIT[:12]}" / "prompts.py"


def official_source() -> bytes:
    """The official `prompts.py`, from the cache or downloaded. Raises UserError offline or where its hash is wrong."""
    file = cache_file()
    if file.is_file():
        data = file.read_bytes()
        if _sha256(data) == FILE_SHA256:
            return data
        raise UserError(
            f"not the official rubric: SHA-256 is {_sha256(data)}, must be {FILE_SHA256}",
            file=file,
            fix=f"delete it to download it again, or put {URL} there",
        )
    data = _download(file)
    if _sha256(data) != FILE_SHA256:
        raise UserError(
            f"what {URL} served is not the pinned file: SHA-256 is {_sha256(data)}, must be {FILE_SHA256}",
            fix=f"put the file with that hash at {file}, or use --rubric mmjudge",
        )
    _keep(data, file)
    return data


def _download(file: Path) -> bytes:
    fix = f"put {URL} at {file} (SHA-256 {FILE_SHA256}), or use --rubric mmjudge"
    if not may_fetch():
        why = f", and {OFFLINE_VARIABLE} is set" if os.environ.get(OFFLINE_VARIABLE) else ""
        raise UserError(f"the official rubric is not in the cache{why}", fix=fix)
    try:
        with urllib.request.urlopen(URL, timeout=30) as answer:
            data: bytes = answer.read(1 << 20)
    except OSError as error:
        raise UserError(f"the official rubric cannot be downloaded: {error}", fix=fix) from error
    return data


def _keep(data: bytes, file: Path) -> None:
    """Write it for the next time. A cache that cannot be written is no error."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, data)
    except OSError as error:
        print(f"note: the official rubric could not be kept at {file}: {error}", file=sys.stderr)


def _templates(source: bytes) -> dict[str, str]:
    assigned = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                assigned[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:  # some other assignment than a literal
                continue
    templates = {}
    for category, (name, sha256) in LITERALS.items():
        text = assigned.get(name)
        if not isinstance(text, str) or _sha256(text.encode()) != sha256:
            raise UserError(
                f"{name} is not the official text; its SHA-256 must be {sha256}", file=cache_file(), fix="delete it"
            )
        templates[category] = text + _LAYOUT + (_CORRECT if category == "MSR" else "") + "### Feedback\n"
    return templates


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
