"""A share of another mix replaced by new data, or added to it, so that it can be made again from hashes.

    mixed = mix_data(Wish("replace", 24_000, seed=0), base, new, out)

Table 13 of the supplement: "replace" takes as many records out of the base as it puts in and does better than "+";
best is as many as the replaced source had. What is taken out is spread over the base's sources in proportion to their
sizes (largest remainders), or is of one source alone (`of`). A record's source is its field `source` or `dataset`, else
the first folder of its picture, else "text".

    OUT/mixed.json    LLaVA-style records, a line each
    OUT/mix.json      what was done: files and their SHA-256, seed, counts by source, SHA-256 of mixed.json
    OUT/mix.jsonl     {"from": "base", "sha256": "9f…"} of every record, in order: `rebuild_mix` needs no more

Which records go, which come and how all are shuffled follows from SHA-256 of seed and record: it does not depend on the
order of the files, nor on a random generator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, replacing, sha256, write_json
from judge.io.json_list import begins_with, read_list, read_rows
from judge.io.jsonl import Position, read_objects

MIXED, MANIFEST, RECORDS = "mixed.json", "mix.json", "mix.jsonl"
MAKE_LLAVA = 'give records of LLaVA\'s form: {"id", "image", "conversations": [{"from", "value"}, …]}'


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is wanted. amount: records, or a share of the base below 1. of: the one source that is replaced."""

    kind: Literal["replace", "add"]
    amount: float
    seed: int = 0
    of: str | None = None


@dataclasses.dataclass(frozen=True)
class _Record:
    """A record without its text: its hash, and which part of its mix it is of."""

    digest: str
    source: str


def mix_data(wish: Wish, base: Path, new: Path, folder: Path) -> dict[str, Any]:
    """Write the mix; its manifest. Raises UserError."""
    there, coming = list(_records(base)), list(_records(new))
    if not there:
        raise UserError("holds no records", file=base, fix=MAKE_LLAVA)
    count = round(wish.amount * len(there)) if wish.amount < 1 else int(wish.amount)
    if not 0 < count <= len(coming):
        raise UserError(f"{count:,} records wanted, and there are {len(coming):,}", file=new, fix="ask for fewer")
    sizes = Counter(record.source for record in there)
    going = _going(wish, sizes, count, base) if wish.kind == "replace" else dict.fromkeys(sizes, 0)
    kept: list[_Record] = []
    of_source: defaultdict[str, list[_Record]] = defaultdict(list)
    for record in there:
        of_source[record.source].append(record)
    for source, records in of_source.items():
        kept += sorted(records, key=lambda record: _order(wish.seed, "out", record))[going[source] :]
    chosen = sorted(coming, key=lambda record: _order(wish.seed, "in", record))[:count]
    wanted = [("base", record.digest) for record in kept] + [("new", record.digest) for record in chosen]
    wanted.sort(key=lambda one: _digest(f"{wish.seed}|shuffle|{one[0]}|{one[1]}"))
    manifest: dict[str, Any] = {
        "kind": wish.kind, "records": len(wanted), "replaced": sum(going.values()), "added": count, "seed": wish.seed,
        "of": wish.of, "base": _file(base, len(there)), "new": _file(new, len(coming)),
        "sources": {name: {"before": sizes[name], "after": sizes[name] - going[name]} for name in sorted(sizes)},
    }  # fmt: skip
    lines = [{"from": side, "sha256": digest} for side, digest in wanted]
    manifest["sha256"] = _write(folder, lines, {"base": base, "new": new})
    try:
        with replacing(folder / RECORDS) as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        write_json(folder / MANIFEST, manifest)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return manifest


def rebuild_mix(manifest: Path, base: Path, new: Path, folder: Path) -> dict[str, Any]:
    """The mix that a manifest describes, from files that have its records, in any order and among others.

    Raises UserError where one is missing, or where the result is not, byte for byte, what the manifest says.
    """
    try:
        said = json.loads(manifest.read_bytes())
        due, _ = str(said["sha256"]), int(said["records"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"is no manifest of a mix ({error!r})", file=manifest, fix="give the mix.json") from None
    lines = [row for _, row in read_objects(manifest.with_name(RECORDS))]
    _write(folder, lines, {"base": base, "new": new}, due)
    return dict(said)


def source_of(row: Mapping[str, Any]) -> str:
    """Which part of a mix a record is of; see the module."""
    for field in ("source", "dataset"):
        if isinstance(row.get(field), str) and row[field]:
            return str(row[field])
    image = row.get("image")
    if not image:
        return "text"
    first, slash, _ = str(image[0] if isinstance(image, list) else image).partition("/")
    return first if slash else "pictures"


def shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` spread over sources in proportion to their sizes, by largest remainders; ties in order of names.

    count: at most the sum of the sizes.
    """
    total = sum(sizes.values())
    spread = {name: count * size // total for name, size in sizes.items()}
    left = count - sum(spread.values())
    by_remainder = sorted(sizes, key=lambda name: (-(count * sizes[name] % total), name))
    for name in by_remainder[:left]:
        spread[name] += 1
    return spread


def _going(wish: Wish, sizes: Mapping[str, int], count: int, base: Path) -> dict[str, int]:
    """How many records of each source go."""
    if wish.of is None:
        replaceable = dict(sizes)
    elif wish.of in sizes:
        replaceable = {wish.of: sizes[wish.of]}
    else:
        known = ", ".join(f"{name} ({size:,})" for name, size in sorted(sizes.items()))
        raise UserError(f"has no source {wish.of!r}", file=base, fix=f"one of {known}")
    if count > sum(replaceable.values()):
        raise UserError(f"{count:,} records are to be replaced, and there are {sum(replaceable.values()):,}", file=base,
                        fix="ask for fewer")  # fmt: skip
    return {**dict.fromkeys(sizes, 0), **shares(replaceable, count)}


def _records(path: Path) -> Iterator[_Record]:
    for position, row in _rows(path):
        yield _Record(_of_row(row), source_of(_checked(position, row)))


def _rows(path: Path) -> Iterator[tuple[Position, dict[str, Any]]]:
    if begins_with(path, "{") and path.suffix == ".json":
        raise UserError("is one object, not a list of records", file=path, fix=MAKE_LLAVA)
    return read_list(path) if begins_with(path, "[") else read_rows(path)


def _checked(position: Position, row: dict[str, Any]) -> dict[str, Any]:
    """A record of LLaVA's form. Raises UserError that says what form it is of, where that is known."""
    conversation = row.get("conversations")
    if not isinstance(conversation, list) or not conversation:
        other = next((name for name in ("messages", "prompt", "instruction", "conversations-pos") if name in row), None)
        form = f'is of another form: it has "{other}" and no conversations' if other else "has no conversations"
        raise position.error(form, fix=MAKE_LLAVA)
    for message in conversation:
        if not isinstance(message, dict) or not {"from", "value"} <= message.keys():
            raise position.error('has a message without "from" and "value"', fix=MAKE_LLAVA)
    return row


def _write(folder: Path, lines: list[dict[str, Any]], files: Mapping[str, Path], due: str | None = None) -> str:
    """Write the records of hashes `lines`, in order; the SHA-256 of the file. Records are held as lines of JSON.

    due: the SHA-256 that it must have, else nothing is written. Raises UserError.
    """
    for path in files.values():
        if (folder / MIXED).resolve() == path.resolve():
            raise UserError("would be written over", file=path, fix="give another --out")
    wanted: dict[str, Counter[str]] = {side: Counter() for side in files}
    for line in lines:
        if line.get("from") not in files or not isinstance(line.get("sha256"), str):
            raise UserError(f'a line without "from" and "sha256": {str(line)[:80]}', file=folder / RECORDS)
        wanted[line["from"]][line["sha256"]] += 1
    texts: dict[tuple[str, str], str] = {}
    for side, path in files.items():
        for _, row in _rows(path):
            if (digest := _of_row(row)) in wanted[side]:
                texts[side, digest] = json.dumps(row)
    for side, path in files.items():
        missing = [digest for digest in wanted[side] if (side, digest) not in texts]
        if missing:
            raise UserError(f"has not the record {missing[0][:12]}…, nor {len(missing) - 1} others of the mix",
                            file=path, fix="give the file that the mix was made from")  # fmt: skip
    whole = hashlib.sha256()
    joined = (texts[line["from"], line["sha256"]] for line in lines)
    items = (f"{',' if number else ''}{text}\n" for number, text in enumerate(joined))
    try:
        with replacing(make_folder(folder) / MIXED) as file:
            for part in itertools.chain(["[\n"], items, ["]\n"]):
                file.write(part)
                whole.update(part.encode())
            if due not in (None, whole.hexdigest()):
                raise UserError(f"has the SHA-256 {whole.hexdigest()[:12]}…, and the manifest says {str(due)[:12]}…",
                                file=folder / MIXED, fix="mix.json and mix.jsonl must be of one mix, and base and new "
                                "the files it was made from")  # fmt: skip
    except OSError as error:
        raise cannot_write(folder / MIXED, error) from error
    return whole.hexdigest()


def _file(path: Path, records: int) -> dict[str, Any]:
    return {"file": path.name, "sha256": sha256(path), "records": records}


def _of_row(row: Mapping[str, Any]) -> str:
    """The hash of a record: of its JSON with sorted names and no spaces."""
    return _digest(json.dumps(row, sort_keys=True, separators=(",", ":")))


def _order(seed: int, side: str, record: _Record) -> str:
    return _digest(f"{seed}|{side}|{record.digest}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
