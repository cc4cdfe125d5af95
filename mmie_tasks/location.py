"""Where MMIE lies: a local folder, or the gated Hub dataset, fetched once.

    data.json        every record (see `mmie_tasks.records`)
    images/          the pictures that records name as "./images/…"; or, packed:
    images.tar.gz    unpacked beside itself the first time pictures are needed

`$MMIE_DATA` names such a folder. Without it the dataset MMIE/MMIE is downloaded into the Hub cache; which commit that
was is kept with every result. Questions alone need `data.json` only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PureWindowsPath
from typing import IO, cast

from filelock import FileLock
from tqdm import tqdm

from judge.benchmark import Dataset, Source
from judge.errors import UserError
from mmie_tasks import records

REPO = "MMIE/MMIE"
PAGE = f"https://huggingface.co/datasets/{REPO}"
VARIABLE = "MMIE_DATA"
RECORDS, IMAGES, ARCHIVE = "data.json", "images", "images.tar.gz"

_BY_HAND = f"or put {RECORDS} and {ARCHIVE} of {PAGE} into a folder and set {VARIABLE} to it"


def load(data: Path | None = None, *, images: bool = False) -> Dataset:
    """All records, from `data`, else `$MMIE_DATA`, else the Hub. images: pictures as well, unpacked.

    `image_root` is the folder that image names are relative to. Raises UserError for whatever the user can mend.
    """
    folder = data or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    file = fetch(RECORDS) if folder is None else folder / RECORDS
    if not file.is_file():
        raise UserError(
            f"no {RECORDS} here", file=folder, fix=f"point {VARIABLE} or --data at the folder that holds it, {_BY_HAND}"
        )
    found = records.read(file)
    revision = file.parent.name if folder is None else f"local:{_sha256(file)[:12]}"
    dataset = Dataset(
        source=Source(REPO, revision, records.edition(len(found)), _note(found)),
        records=found,
        image_root=file.parent,
    )
    if images:
        ensure_images(dataset)
    return dataset


def ensure_images(dataset: Dataset) -> None:
    """Make the dataset's pictures lie below its image root: fetched and unpacked where they are not yet."""
    root = dataset.image_root
    if root is None or (root / IMAGES).is_dir() or not any(record.images for record in dataset.records):
        return
    archive = root / ARCHIVE
    if not archive.is_file():
        if dataset.source.revision.startswith("local:"):
            raise UserError(
                f"neither {IMAGES}/ nor {ARCHIVE} here", file=root, fix=f"fetch {ARCHIVE} from {PAGE} into this folder"
            )
        archive = fetch(ARCHIVE, dataset.source.revision)
    unpack(archive, root)


def fetch(name: str, revision: str | None = None) -> Path:
    """One file of the Hub dataset, from the cache or downloaded with a progress bar; its folder is named by the commit.

    `HF_HUB_OFFLINE` is honoured. Raises UserError that says how to get access.
    """
    import huggingface_hub
    from huggingface_hub import errors

    where = f"{REPO}/{name}"
    try:
        return Path(huggingface_hub.hf_hub_download(REPO, name, repo_type="dataset", revision=revision))
    except (
        errors.RepositoryNotFoundError
    ):  # what a gated repository looks like without a token; includes GatedRepoError
        raise UserError(
            "the dataset is gated and this account has no access",
            file=where,
            fix=f"request access on {PAGE} (granted at once), log in with `hf auth login`, try again; {_BY_HAND}",
        ) from None
    except errors.LocalEntryNotFoundError:
        offline = "HF_HUB_OFFLINE is set" if huggingface_hub.constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
        raise UserError(
            f"not in the cache, and {offline}", file=where, fix=f"go online once (access: {PAGE}), {_BY_HAND}"
        ) from None
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, OSError) as error:
        raise UserError(f"the download failed: {error}", file=where, fix=f"try again, {_BY_HAND}") from error


def unpack(archive: Path, root: Path) -> None:
    """Unpack `archive` to `root`/images. Only plain files inside the folder are taken; anything else refuses it all.

    One process unpacks, others wait. The folder appears by one rename when everything is in it.
    """
    target = root / IMAGES
    try:
        with FileLock(root / f".{IMAGES}.lock"):
            if target.is_dir():
                return
            with tempfile.TemporaryDirectory(prefix=f".{IMAGES}-", dir=root) as work:
                _extract(archive, Path(work))
                inner = Path(work) / IMAGES
                if not inner.is_dir():  # packed without its folder
                    inner = Path(work) / "flat"
                    inner.mkdir()
                    for entry in list(Path(work).iterdir()):
                        if entry != inner:
                            entry.rename(inner / entry.name)
                inner.rename(target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"broken archive: {error}", file=archive, fix=f"fetch it again from {PAGE}") from None
    except OSError as error:
        raise UserError(
            f"cannot be unpacked: {error}", file=archive, fix=f"unpack it by hand and set {VARIABLE} to that folder"
        ) from error


def _extract(archive: Path, folder: Path) -> None:
    with (
        archive.open("rb") as packed,
        tqdm.wrapattr(packed, "read", total=archive.stat().st_size, desc=f"unpacking {archive.name}") as counted,
        tarfile.open(fileobj=cast(IO[bytes], counted), mode="r|*") as tar,
    ):
        for member in tar:
            path = PureWindowsPath(member.name)  # splits at both slashes, knows drives
            if path.anchor or path.drive or ".." in path.parts or not (member.isreg() or member.isdir()):
                raise UserError(
                    f"member {member.name!r} is no plain file inside the folder",
                    file=archive,
                    fix=f"do not trust this archive; fetch it again from {PAGE}",
                )
            target = folder.joinpath(*path.parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            content = cast(IO[bytes], tar.extractfile(member))  # None only for what is no plain file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(content, out)


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


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
