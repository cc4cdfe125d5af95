"""What is asked about: pictures, each with what is known of it.

    read_source("pictures/", …)         every picture below a folder; NAME.txt beside it is its caption
    read_source("llava_24k.json", …)    LLaVA's form: a list, or lines, of {"id", "image", "conversations"}
    read_source("ORG/NAME", …)          a dataset of `datasets`, on the Hub or from `save_to_disk`

    Sample("coco/7", "coco/7.jpg", {"id": "coco/7", "image": "coco/7.jpg", "caption": "Two people cook."})

`about` is what stands in front of the prompt. An id stands once: replies are kept by it. Pictures of a dataset are
written into the output folder, named by their content, since trainers read files.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, write_bytes
from judge.io.json_list import read_rows

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
KNOWN = ("caption", "captions", "text", "conversations")
"""What of a record is put before the model, besides id and image."""
ON_DISK = ("state.json", "dataset_dict.json")
"""A file of a folder that `datasets` has saved."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One picture. image: its name below the folder of pictures. about: what the model is given of it as JSON."""

    id: str
    image: str
    about: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Samples:
    """All of them, in the source's order. root: the folder that names of pictures are relative to. without: records
    of the source that have no picture, which are left out."""

    samples: tuple[Sample, ...]
    root: Path
    without: int = 0


@dataclasses.dataclass(frozen=True)
class Source:
    """Where samples come from. image_root: of a LLaVA-style file, None for the file's folder. split: of a dataset.
    images: folder that a dataset's pictures are written to."""

    name: str
    images: Path
    image_root: Path | None = None
    split: str = "train"

    def read_samples(self) -> Samples:
        """Its samples. Raises UserError, for two of one id as well."""
        path = Path(self.name)
        if path.is_dir() and not any((path / name).is_file() for name in ON_DISK):
            found, root = _of_folder(path), path
        elif path.is_file():
            found, root = _of_file(path), self.image_root or path.parent
        else:
            found, root = _of_dataset(self.name, self.split, self.images), self.images
        first: dict[str, str] = {}
        samples, without = [], 0
        for where, sample in found:
            if sample is None:
                without += 1
                continue
            if sample.id in first:
                raise UserError(
                    f"stands twice, at {first[sample.id]} and {where}: replies are kept by id", file=self.name,
                    record=sample.id, field="id", fix="give each sample an id of its own",
                )  # fmt: skip
            first[sample.id] = where
            samples.append(sample)
        if not samples:
            raise UserError("holds no picture", file=self.name, fix="give a folder of pictures, a LLaVA-style JSON, "
                            "or a dataset")  # fmt: skip
        return Samples(tuple(samples), root, without)


Found = Iterator[tuple[str, Sample | None]]
"""(where, sample), or None for a record without a picture."""


def _of_folder(folder: Path) -> Found:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        about = {"id": name, "image": name}
        beside = path.with_suffix(".txt")
        if beside.is_file():
            try:
                about["caption"] = beside.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"cannot be read: {error}", file=beside, fix="save it as UTF-8") from None
        yield name, Sample(name, name, about)


def _of_file(path: Path) -> Found:
    for position, row in read_rows(path):
        if "image" not in row:
            yield str(position.where), None
            continue
        id_ = str(row["id"]) if isinstance(row.get("id"), int) else position.text(row, "id")
        image = position.text(row, "image")
        known = {name: row[name] for name in KNOWN if name in row}
        yield str(position.where), Sample(id_, image, {"id": id_, "image": image, **known})


def _of_dataset(name: str, split: str, images: Path) -> Found:
    try:
        import datasets
    except ModuleNotFoundError:
        raise UserError(f"{name}: neither a file nor a folder of pictures, and datasets is not installed",
                        fix="pip install 'mmjudge[train]'") from None  # fmt: skip
    try:
        rows = datasets.load_from_disk(name) if Path(name).is_dir() else datasets.load_dataset(name, split=split)
    except Exception as error:
        raise UserError(f"cannot be loaded: {error}", file=name,
                        fix="give a folder of pictures, a LLaVA-style JSON, or a dataset") from error  # fmt: skip
    if isinstance(rows, datasets.DatasetDict):
        if split not in rows:
            raise UserError(f"has no split {split!r}", file=name, fix=f"give --split {' or '.join(rows)}")
        rows = rows[split]
    columns = [column for column, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    if not columns:
        raise UserError(f"has no column of pictures; it has {', '.join(rows.features)}", file=name,
                        fix="cast the column to datasets.Image()")  # fmt: skip
    make_folder(images)
    for number, row in enumerate(rows.cast_column(columns[0], datasets.Image(decode=False))):
        where, id_ = f"row {number}", str(row.get("id", f"{split}-{number}"))
        if row[columns[0]] is None:
            yield where, None
            continue
        image = _kept(row[columns[0]], images)
        known = {name: row[name] for name in KNOWN if row.get(name)}
        yield where, Sample(id_, image, {"id": id_, "image": image, **known})


def _kept(picture: Mapping[str, Any], images: Path) -> str:
    """The name that a dataset's picture has in `images`, where it is written unless it lies there."""
    data: bytes = picture["bytes"] or Path(picture["path"]).read_bytes()
    suffix = Path(picture.get("path") or "").suffix.lower()
    name = hashlib.sha256(data).hexdigest()[:32] + (suffix if suffix in SUFFIXES else ".png")
    if not (images / name).is_file():
        try:
            write_bytes(images / name, data)
        except OSError as error:
            raise cannot_write(images / name, error) from error
    return name
