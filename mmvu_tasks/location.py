"""Where MMVU lies: a local folder, or the Hub dataset, fetched once.

    MMR-benchmark.json          every question (see `mmvu_tasks.records`)
    MMR-benchmark-images/       the pictures that records name as "attribute/shape/07.jpg"; or, packed:
    MMR-benchmark-images.zip    unpacked beside itself the first time pictures are needed

`$MMVU_DATA` names such a folder. Without it the files under `MMR-benchmark/` of the dataset
BAAI/Multimodal-Robustness-Benchmark are downloaded into the Hub cache; which commit that was is kept with every result.
Scoring saved answers needs the JSON only.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from judge.benchmark import Dataset, Source
from judge.errors import UserError
from judge.image_files import ImageRefused, below
from judge.model.images import decode, probe
from mmvu_tasks import categories, records
from mmvu_tasks.records import Record

REPO = "BAAI/Multimodal-Robustness-Benchmark"
PAGE = f"https://huggingface.co/datasets/{REPO}"
VARIABLE = "MMVU_DATA"
FOLDER = "MMR-benchmark"  # of the dataset
RECORDS, IMAGES, ARCHIVE = "MMR-benchmark.json", "MMR-benchmark-images", "MMR-benchmark-images.zip"

_BY_HAND = f"or put {RECORDS} and {ARCHIVE} of {PAGE} into a folder and set {VARIABLE} to it"


def load(data: Path | None = None, *, images: bool = False) -> Dataset:
    """All records, from `data`, else `$MMVU_DATA`, else the Hub. images: pictures as well, unpacked and looked at.

    `image_root` is the folder that image names are relative to; without `images` it is None unless pictures happen to
    lie there, and nobody has looked at them. Raises UserError for whatever the user can mend.
    """
    folder = data or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    file = fetch(RECORDS) if folder is None else _local(folder)
    found = records.read(file)
    edition, note = categories.edition_of(records.pairs_per_category(found))
    revision = file.parent.parent.name if folder is None else f"local:{_sha256(file)[:12]}"
    return Dataset(
        source=Source(REPO if folder is None or edition != categories.UNKNOWN else "local", revision, edition, note),
        records=found,
        image_root=_images(file, found, None if folder is not None else revision)
        if images
        else _lying(file.parent, found[0].image),
    )


def open_image(root: Path, record: Record) -> Image.Image:
    """The picture of `record`, RGB. Raises UserError where it is missing, broken, too large or outside `root`."""
    try:
        return decode(below(root, record.image))
    except ImageRefused as refused:
        raise _refused(refused, root, record) from None


def fetch(name: str, revision: str | None = None) -> Path:
    """One file of the Hub dataset, from the cache or downloaded with a progress bar, as …/COMMIT/MMR-benchmark/NAME.

    `HF_HUB_OFFLINE` is honoured. Raises UserError that says how to get access.
    """
    import huggingface_hub
    from huggingface_hub import errors

    where = f"{REPO}/{FOLDER}/{name}"
    try:
        return Path(huggingface_hub.hf_hub_download(REPO, f"{FOLDER}/{name}", repo_type="dataset", revision=revision))
    except (
        errors.RepositoryNotFoundError
    ):  # what a gated repository looks like without a token; includes GatedRepoError
        raise UserError(
            "the Hub gives this account no access to the dataset", file=where,
            fix=f"accept its terms on {PAGE}, if it asks for that, log in with `hf auth login`, try again; {_BY_HAND}",
        ) from None  # fmt: skip
    except errors.LocalEntryNotFoundError:
        offline = "HF_HUB_OFFLINE is set" if huggingface_hub.constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
        raise UserError(f"not in the cache, and {offline}", file=where, fix=f"go online once, {_BY_HAND}") from None
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, OSError) as error:
        raise UserError(f"the download failed: {error}", file=where, fix=f"try again, {_BY_HAND}") from error


def unpack(archive: Path, root: Path) -> None:
    """Unpack `archive` to `root`/MMR-benchmark-images. A member that is no plain file inside the folder refuses it all.

    One process unpacks, others wait. The folder appears by one rename when everything is in it.
    """
    target = root / IMAGES
    try:
        with FileLock(root / f".{IMAGES}.lock"):
            if target.is_dir():
                return
            with tempfile.TemporaryDirectory(prefix=f".{IMAGES}-", dir=root) as work:
                unpacked = Path(work) / IMAGES
                unpacked.mkdir()
                _extract(archive, unpacked)
                unpacked.rename(target)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise UserError(f"broken archive: {error}", file=archive, fix=f"fetch it again from {PAGE}") from None
    except OSError as error:
        raise UserError(
            f"cannot be unpacked: {error}", file=archive, fix=f"unpack it by hand and set {VARIABLE} to that folder"
        ) from error


def _extract(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        for member in members:
            path = PureWindowsPath(member.filename)  # splits at both slashes, knows drives
            kind = stat.S_IFMT(member.external_attr >> 16)
            if path.anchor or path.drive or ".." in path.parts or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(
                    f"member {member.filename!r} is no plain file inside the folder", file=archive,
                    fix=f"do not trust this archive; fetch it again from {PAGE}",
                )  # fmt: skip
        for member in tqdm(members, f"unpacking {archive.name}"):
            target = folder.joinpath(*PureWindowsPath(member.filename).parts)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(member) as content, target.open("wb") as out:
                shutil.copyfileobj(content, out)


def _local(folder: Path) -> Path:
    # a download of the whole dataset has the files one level down
    for file in (folder / RECORDS, folder / FOLDER / RECORDS):
        if file.is_file():
            return file
    raise UserError(
        f"no {RECORDS} here", file=folder, fix=f"point {VARIABLE} or --data at the folder that holds it, {_BY_HAND}"
    )


def _images(file: Path, found: Sequence[Record], commit: str | None) -> Path:
    """The folder that image names are relative to, every picture looked at. commit: of the Hub dataset, or None."""
    root, name = file.parent, found[0].image
    if not (root / IMAGES).is_dir() and not _holds(root, name):
        archive = root / ARCHIVE
        if not archive.is_file():
            if commit is None:
                fix = f"fetch {ARCHIVE} from {PAGE} into this folder"
                raise UserError(f"neither {IMAGES}/ nor {ARCHIVE} here", file=root, fix=fix)
            archive = fetch(ARCHIVE, commit)
        unpack(archive, root)
    image_root = _lying(root, name) or root / IMAGES
    looked_at: set[str] = set()
    for record in found:
        if record.image in looked_at:
            continue
        looked_at.add(record.image)
        try:
            probe(below(image_root, record.image))
        except ImageRefused as refused:
            raise _refused(refused, image_root, record) from None
    return image_root


def _lying(root: Path, name: str) -> Path | None:
    """The folder below which the picture `name` lies, if it does. How deep that is, is the packer's taste."""
    deeper = (path for path in sorted((root / IMAGES).rglob("*")) if path.is_dir())
    return next((path for path in itertools.chain((root / IMAGES, root), deeper) if _holds(path, name)), None)


def _holds(folder: Path, name: str) -> bool:
    try:
        below(folder, name)
    except ImageRefused:
        return False
    return True


def _refused(refused: ImageRefused, root: Path, record: Record) -> UserError:
    return UserError(
        refused.message, file=root, record=f"{record.id} (index {record.index})", field="image",
        fix=f"fetch {ARCHIVE} again from {PAGE}, or mend the file",
    )  # fmt: skip


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
