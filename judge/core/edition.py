"""Which published edition a set of records is: told by what they say, never by how many they are alone.

    EDITIONS = (Edition("v1", 600, "3b1f…"), Edition("CVPR", 1786))
    name_edition(EDITIONS, 600, "3b1f…", from_hub=False)   ->  ("v1", None)
    name_edition(EDITIONS, 1786, "77aa…", from_hub=True)   ->  ("CVPR", "size matches CVPR, content unknown: …")
    name_edition(EDITIONS, 1786, "77aa…", from_hub=False)  ->  ("unknown (size matches CVPR)", "size matches CVPR, …")

An edition whose content nobody has recorded yet is taken for itself only where its file came from the benchmark's own
repository on the Hub, whose commit says which content that is. Its hash stands in the note, for the next release.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

UNKNOWN = "unknown"
"""Begins the name of every set of records that is no published edition."""


@dataclasses.dataclass(frozen=True)
class Edition:
    """A published set of questions. size: how many; content: `content_hash` of its records, None where not recorded."""

    name: str
    size: int
    content: str | None = None


def content_hash(rows: Iterable[Any]) -> str:
    """SHA-256, hex, over the ids and texts of records: a JSON value each, in the order that counts."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode("ascii") + b"\n")
    return digest.hexdigest()


def name_edition(
    editions: Sequence[Edition], size: int, content: str, *, from_hub: bool
) -> tuple[str | None, str | None]:
    """(name, note) of `size` records with this hash; no name where no edition has as many.

    from_hub: whether they are a file of the benchmark's own repository, as of a commit. note: what a reader must know
    about the name, None where the content is the published one.
    """
    for edition in editions:
        if edition.content == content:
            return edition.name, None
    for edition in editions:
        if edition.size != size:
            continue
        if edition.content is not None:
            return f"{UNKNOWN} (size matches {edition.name})", f"size matches {edition.name}, content differs"
        note = f"size matches {edition.name}, content unknown: SHA-256 of ids and texts {content}"
        return edition.name if from_hub else f"{UNKNOWN} (size matches {edition.name})", note
    return None, None
