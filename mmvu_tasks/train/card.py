"""What is in a folder of training data: `card.json` with counts and hashes, written last, and README.md for people.

    {"kind": "mmvu-train", "source": {"file": "pairs.jsonl", "sha256": "9f…"}, "rules": {…}, "dropped": {"refusal": 7},
     "counts": {"records": 238, "POS": 1904, "NEG": 1904, "types": {"presence": {"n": 401, "share": 0.2106}, …}},
     "test_set": {"repo", "revision", "edition", "near"}, "files": {"trl.jsonl": {"sha256": "4c…", "bytes": 1204}}}

The head of README.md is what the Hub and `datasets` read: `load_dataset(FOLDER, "trl")` gives the rows of that form.
`mmjudge publish FOLDER --dataset ORG/NAME` sends what the card lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from judge.core.version import __version__
from judge.io.files import sha256, write_json, write_text
from mmvu_tasks.train.filter import pairs_of
from mmvu_tasks.train.forms import INFO
from mmvu_tasks.train.pairs import read_pairs
from mmvu_tasks.train.wording import TYPES

FILE, README, KIND = "card.json", "README.md", "mmvu-train"


def count_records(file: Path) -> dict[str, Any]:
    """Records, questions of each sign, pairs a record, and types of questions, of a pairs.jsonl. Raises UserError."""
    signs: Counter[str] = Counter()
    types: Counter[str] = Counter()
    sizes: Counter[int] = Counter()
    images: set[str] = set()
    for record in read_pairs(file):
        pairs = pairs_of(record)
        signs.update({"POS": len(record.positives), "NEG": len(record.negatives)})
        types.update(pair.type for pair in pairs)
        sizes[len(pairs)] += 1
        images.add(record.image)
    total = sum(types.values())
    return {
        "records": sum(sizes.values()), "pictures": len(images), "POS": signs["POS"], "NEG": signs["NEG"],
        "pairs": {str(size): sizes[size] for size in sorted(sizes)},
        "types": {name: {"n": types[name], "share": round(types[name] / total, 4)} for name in TYPES if types[name]},
    }  # fmt: skip


def write_card(folder: Path, about: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Write README.md and card.json of the files `names`. about: what the card says besides. Raises OSError."""
    card = {"kind": KIND, "mmjudge": __version__, **about}
    write_text(folder / README, _readme(card, names))
    listed = [*names, README]
    card["files"] = {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in listed
    }
    write_json(folder / FILE, card)
    return card


def _readme(card: Mapping[str, Any], names: Sequence[str]) -> str:
    counts, tests, dropped = card["counts"], card["test_set"], card["dropped"]
    configs = [{"config_name": Path(name).stem, "data_files": name} for name in names if name != INFO]
    head = {"pretty_name": "MMVU-Train", "task_categories": ["visual-question-answering"], "language": ["en"],
            "tags": ["mmvu", "mmjudge", "synthetic"], "configs": configs}  # fmt: skip
    leaks = "**It was not checked for questions and pictures of the MMVU test set.**"
    if tests:
        hashes = f"two perceptual hashes (phash and dhash, of which at most {tests['near']} of 64 bits differ)"
        leaks = (
            f"Questions and pictures of MMVU ({tests['repo']} @ {tests['revision']}, edition {tests['edition']}) were "
            f"searched for: pictures by SHA-256{' alone' if tests['near'] < 0 else f' and by {hashes}'}, questions by "
            "their words."
        )
    rows = [
        ("records", counts["records"]), ("pictures", counts["pictures"]), ("positive questions", counts["POS"]),
        ("negative questions", counts["NEG"]),
        *((f"type {name}", f"{said['n']} ({said['share']:.1%})") for name, said in counts["types"].items()),
        *((f"left out: {reason}", n) for reason, n in dropped.items()),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {n} |" for name, n in rows)
    files = "\n".join(f"- `{name}`" for name in names)
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# Paired training data in the manner of MMVU-Train\n\n"
        "Positive and negative questions about the same pictures, written by a model, filtered by mmjudge "
        f"{card['mmjudge']}. Pictures are not included; their names are relative to the folder they were made from.\n\n"
        f"{leaks}\n\n| | n |\n|---|---|\n{table}\n\n{files}\n\n`card.json` has the hashes. Types of questions are "
        "guessed from their words.\n"
    )
