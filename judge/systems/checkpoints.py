"""A model of a system by name, and its revision before any weights are fetched or loaded.

    find_checkpoint("stabilityai/stable-diffusion-xl-base-1.0")
    ->  Checkpoint("stabilityai/stable-diffusion-xl-base-1.0", revision="4621659d…", described=…, folder=None)

The revision stands in the identity of whatever loads it. That of a folder is a hash of its JSON files and of names and
sizes of all others: another training of the same model with the same configuration is not told apart.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from judge.io import files
from judge.model.weights.source import fetch_repository, local_folder, split_repository

DESCRIPTION = ("*.json",)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """name: as people know it. revision: a Hub commit, or "local-…". described: where its JSON files lie. folder: where
    all of it lies, None for the Hub's."""

    name: str
    revision: str
    described: Path
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"

    @property
    def model_type(self) -> str | None:
        """What its config.json says that it is, None where there is nothing such (a pipeline of diffusers)."""
        try:
            found = json.loads(files.read_bytes(self.described / "config.json")).get("model_type")
        except (OSError, ValueError, AttributeError, RecursionError):
            return None
        return found if isinstance(found, str) else None

    @property
    def source(self) -> dict[str, Any]:
        """What `from_pretrained` takes by these names, the first of them by its place."""
        if self.folder is not None:
            return {"pretrained_model_name_or_path": str(self.folder)}
        return {"pretrained_model_name_or_path": self.name, "revision": self.revision}


@functools.cache
def find_checkpoint(name: str) -> Checkpoint:
    """The model called `name`: a folder, else a repository[@revision]. Raises UserError."""
    folder = local_folder(name)
    if folder is None:
        found = fetch_repository(*split_repository(name), DESCRIPTION)
        return Checkpoint(found.name, found.revision, found.folder)
    folder = folder.resolve()
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        what = files.sha256(file) if file.suffix == ".json" else str(file.stat().st_size)
        digest.update(f"{file.relative_to(folder).as_posix()}\0{what}\n".encode())
    return Checkpoint(folder.name, f"local-{digest.hexdigest()[:8]}", folder, folder)
