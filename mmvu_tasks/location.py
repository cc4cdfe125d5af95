"""Where MMVU lies: a local folder, or the Hub dataset, fetched once.

    MMR-benchmark.json          every question (see `mmvu_tasks.records`)
    MMR-benchmark-images/       the pictures that records name as "attribute/shape/07.jpg"; or, packed:
    MMR-benchmark-images.zip    unpacked beside itself the first time pictures are needed

`$MMVU_DATA` names such a folder. Without it the files under `MMR-benchmark/` of the dataset
BAAI/Multimodal-Robustness-Benchmark are downloaded into the Hub cache; which commit that was is kept with every result.
Scoring saved answers needs the JSON only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from judge.core.benchmark import Dataset, Source
from judge.core.edition import UNKNOWN
from judge.errors import UserError
from judge.io.archives import Bounds
from judge.io.hub_dataset import HubData, Located
from judge.io.image_paths import ImageRefused, below
from judge.model.images import decode_image, read_image_size
from mmvu_tasks import categories, records
from mmvu_tasks.records import Record

HUB = HubData(
    "BAAI/Multimodal-Robustness-Benchmark",
    "MMVU_DATA",
    records="MMR-benchmark.json",
    archive="MMR-benchmark-images.zip",
    images="MMR-benchmark-images",
    folder="MMR-benchmark",
    bounds=Bounds(bytes=4 * 2**30, members=50_000),  # published: 131 MB, a picture for each of 893 pairs at most
)


def load_dataset(data: Path | None = None, *, images: bool = False) -> Dataset:
    """All records, from `data`, else `$MMVU_DATA`, else the Hub. images: pictures as well, unpacked and checked.

    `image_root` is the folder that image names are relative to; without `images` it is None unless pictures happen to
    lie there, which are then not checked. Raises UserError for whatever the user can mend.
    """
    located = HUB.locate(data)
    found = records.read_records(located.file)
    from_hub = located.commit is not None
    pairs, content = records.pairs_per_category(found), records.content(found)
    edition, note = categories.edition_of(pairs, content, from_hub=from_hub)
    repo = HUB.repo if from_hub or not edition.startswith(UNKNOWN) else "local"
    return Dataset(
        source=Source(repo, located.revision, edition, note),
        records=found,
        image_root=_images(located, found) if images else _folder_of(located.file.parent, found[0].image),
    )


def find_image(root: Path, record: Record) -> Path:
    """The picture of `record`. Raises UserError where it is missing, has a broken header, or lies outside `root`."""
    try:
        path = below(root, record.image)
        read_image_size(path)
    except ImageRefused as refused:
        raise broken_image(refused, root, record) from None
    return path


def open_image(root: Path, record: Record) -> Image.Image:
    """The picture of `record`, RGB. Raises UserError where it is missing, broken, too large or outside `root`."""
    try:
        return decode_image(below(root, record.image))
    except ImageRefused as refused:
        raise broken_image(refused, root, record) from None


def _images(located: Located, found: Sequence[Record]) -> Path:
    """The folder that image names are relative to, every picture checked."""
    root, name = located.file.parent, found[0].image
    if not _holds(root, name):
        HUB.fetch_images(root, located.revision)
    image_root = _folder_of(root, name) or root / HUB.images
    first: dict[str, Record] = {}
    for record in found:
        first.setdefault(record.image, record)
    for record in first.values():
        find_image(image_root, record)
    return image_root


def _folder_of(root: Path, name: str) -> Path | None:
    """The folder below which the picture `name` lies, if it does. How deep that is, is the packer's taste."""
    images = root / HUB.images
    deeper = (path for path in sorted(images.rglob("*")) if path.is_dir())
    return next((path for path in itertools.chain((images, root), deeper) if _holds(path, name)), None)


def _holds(folder: Path, name: str) -> bool:
    try:
        below(folder, name)
    except ImageRefused:
        return False
    return True


def broken_image(refused: ImageRefused, root: Path, record: Record) -> UserError:
    """The error for a picture that cannot be used."""
    return UserError(
        refused.message, file=root, record=f"{record.id} (index {record.index})", field="image",
        fix=f"fetch {HUB.archive} again from {HUB.page}, or mend the file",
    )  # fmt: skip
