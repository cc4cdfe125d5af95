"""Where MMIE lies: a local folder, or the gated Hub dataset, fetched once.

    data.json        every record (see `mmie_tasks.records`)
    images/          the pictures that records name as "./images/…"; or, packed:
    images.tar.gz    unpacked beside itself the first time pictures are needed

`$MMIE_DATA` names such a folder. Without it the dataset MMIE/MMIE is downloaded into the Hub cache; which commit that
was is kept with every result. Questions alone need `data.json` only.
"""

from __future__ import annotations

from pathlib import Path

from judge.core.benchmark import Dataset, Source
from judge.io.hub_dataset import HubData
from mmie_tasks import records

HUB = HubData("MMIE/MMIE", "MMIE_DATA", records="data.json", archive="images.tar.gz", images="images")


def load_dataset(data: Path | None = None, *, images: bool = False) -> Dataset:
    """All records, from `data`, else `$MMIE_DATA`, else the Hub. images: pictures as well, unpacked.

    `image_root` is the folder that image names are relative to. Raises UserError for whatever the user can mend.
    """
    located = HUB.locate(data)
    found = records.read_records(located.file)
    edition, note = records.edition_of(found, from_hub=located.commit is not None)
    dataset = Dataset(
        source=Source(HUB.repo, located.revision, edition, "; ".join(filter(None, (note, _note(found)))) or None),
        records=found,
        image_root=located.file.parent,
    )
    if images:
        ensure_images(dataset)
    return dataset


def ensure_images(dataset: Dataset) -> None:
    """Make the dataset's pictures lie below its image root: fetched and unpacked where they are not yet.

    Raises UserError.
    """
    if dataset.image_root is not None and any(record.images for record in dataset.records):
        HUB.fetch_images(dataset.image_root, dataset.source.revision)


def _note(found: list[records.Record]) -> str | None:
    """What a reader of the numbers must know about the records."""
    odd = {'whose "catagory" disagrees with their id, which decides': records.disagreements(found)}
    odd |= {f'without "{name}"': ids for name, ids in records.unlabelled(found).items()}
    notes = [
        f"{len(ids)} records {what}: {', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}"
        for what, ids in odd.items()
        if ids
    ]
    return "; ".join(notes) or None
