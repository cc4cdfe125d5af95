"""Preference pairs from wherever they are: JSON lines, a JSON file of MMRB2, or MMRB2 on the Hub.

read_pairs("pairs.jsonl")              ->  Pairs([PreferencePair("p17", …), …], "pairs.jsonl", root=…)
read_pairs("mmrb2@4f0c…", out)         ->  Pairs([…], "rl-research/multimodal-rewardbench-2@4f0c…", root=out)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from judge.io import mmrb2
from judge.io.files import sha256
from judge.io.preferences import PreferencePair, read_pair_lines


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs and where they came from. source: a file's name and hash, or a dataset and its commit; root: the folder
    that pictures lie below."""

    pairs: Sequence[PreferencePair]
    source: str
    root: Path

    @property
    def of_mmrb2(self) -> bool:
        """Whether these are pairs of MMRB2's interleaved task, beside which published judges may stand."""
        return {pair.source for pair in self.pairs} <= mmrb2.SOURCES


def read_pairs(given: str, image_root: Path | None = None, pictures: Path | None = None) -> Pairs:
    """The pairs in the file `given`, or for "mmrb2" and "mmrb2@REVISION" those of the Hub, fetched once.

    image_root: the folder that pictures of a file lie below; without it that of the file. pictures: where pictures from
    the Hub are written; None to leave them. Raises UserError for what the user can mend.
    """
    name, at, revision = given.partition("@")
    if name == mmrb2.NAME and not Path(given).exists():
        folder, commit = mmrb2.HUB.fetch(revision if at else None)
        shards = sorted(folder.glob("*.parquet"))
        return Pairs(mmrb2.read_hub(shards, pictures), f"{mmrb2.HUB.repo}@{commit}", pictures or folder)
    path = Path(given)
    root = image_root if image_root is not None else path.absolute().parent
    read = mmrb2.read_release if path.suffix == ".json" else read_pair_lines
    return Pairs(read(path, root), f"{path.name}@{sha256(path)[:12]}", root)
