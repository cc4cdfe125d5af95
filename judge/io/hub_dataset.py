"""Data of a benchmark that lies in a folder or on the Hub: its records, and an archive of pictures beside them.

    MMIE = HubData("MMIE/MMIE", "MMIE_DATA", "data.json", "images.tar.gz", "images")
    MMIE.locate(None)                    ->  Located(…/snapshots/<commit>/data.json, <commit>), fetched once
    MMIE.locate(Path("mmie"))            ->  Located(mmie/data.json, None)
    MMIE.fetch_images(root, revision)    ->  root/images, fetched and unpacked

What is taken from an archive is `judge.io.archives`' question.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from judge.core.benchmark import Benchmark
from judge.errors import UserError
from judge.io import archives, files
from judge.io.hub_access import from_cache_only
from judge.io.progress import say

LOCAL = "local:"
"""Begins the revision of records that lie in a folder."""


@dataclasses.dataclass(frozen=True)
class Located:
    """The file of records. commit: of the Hub's dataset, None for a local folder."""

    file: Path
    commit: str | None

    @property
    def revision(self) -> str:
        """What tells these records from others: the commit, or "local:" and 12 hex digits of the file's SHA-256."""
        return self.commit or f"{LOCAL}{files.sha256(self.file)[:12]}"


@contextlib.contextmanager
def _explained(where: str, page: str, by_hand: str) -> Iterator[None]:
    """What huggingface_hub raises inside, as UserErrors that say how to get access. by_hand: the other way."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.RepositoryNotFoundError:  # GatedRepoError is one; without a token a gated repository is not found
        raise UserError(
            "the Hub gives this account no access to the dataset, which may be gated",
            file=where,
            fix=f"accept its terms on {page}, log in with `hf auth login`, try again; {by_hand}",
        ) from None
    except errors.LocalEntryNotFoundError:
        offline = constants.HF_HUB_OFFLINE
        raise UserError(
            f"not in the cache, and {'HF_HUB_OFFLINE is set' if offline else 'the Hub cannot be reached'}",
            file=where,
            fix=f"go online once (access: {page}), {by_hand}",
        ) from None
    except (errors.HfHubHTTPError, errors.EntryNotFoundError, OSError) as error:
        raise UserError(f"the download failed: {error}", file=where, fix=f"try again, {by_hand}") from error


@dataclasses.dataclass(frozen=True)
class HubFolder:
    """A folder of a dataset on the Hub, all of whose files are wanted."""

    repo: str
    folder: str

    @property
    def page(self) -> str:
        """The address of the dataset's page."""
        return f"https://huggingface.co/datasets/{self.repo}"

    def fetch(self, revision: str | None = None) -> tuple[Path, str]:
        """(the folder, commit), from the cache or downloaded with a progress bar; `HF_HUB_OFFLINE` is honoured.

        revision: a commit, a branch or a tag; None for the newest. All files are of one commit. Raises UserError.
        """
        import huggingface_hub

        where = f"{self.repo}/{self.folder}"
        with _explained(where, self.page, "or give a file that was fetched by hand"):
            snapshot = huggingface_hub.snapshot_download(
                self.repo,
                repo_type="dataset",
                revision=revision,
                allow_patterns=f"{self.folder}/*",
                **from_cache_only(),
            )
        found = Path(snapshot) / self.folder
        if not found.is_dir():
            raise UserError("no such folder in the dataset", file=where, fix=f"see {self.page}, and give a revision")
        return found, Path(snapshot).name


@dataclasses.dataclass(frozen=True)
class HubData:
    """Where a benchmark's data lies.

    repo: dataset on the Hub. variable: of the environment, names a local folder. records, archive: files; the archive
    is a tar (packed in any way) or a zip. images: the folder that the archive holds, or becomes. folder: where in the
    repository the files lie, "" for its top. bounds: of what the archive unpacks to.
    """

    repo: str
    variable: str
    records: str
    archive: str
    images: str
    folder: str = ""
    bounds: archives.Bounds = archives.KNOWN

    @property
    def page(self) -> str:
        """The address of the dataset's page."""
        return f"https://huggingface.co/datasets/{self.repo}"

    @property
    def by_hand(self) -> str:
        """What to do where the Hub does not help."""
        return f"or put {self.records} and {self.archive} of {self.page} into a folder and set {self.variable} to it"

    def locate(self, data: Path | None) -> Located:
        """The records in the folder `data`, else in the one that the variable names, else on the Hub.

        Raises UserError where they are not there, and where they cannot be fetched.
        """
        folder = data or (Path(os.environ[self.variable]) if os.environ.get(self.variable) else None)
        if folder is not None:
            # who gave the folder knows by which option, or by which key of a recipe
            wrong = "give the folder" if data else f"point {self.variable} at the folder"
            return Located(self._local(folder, f"{wrong} that holds it, {self.by_hand}"), None)
        file = self.fetch(self.records)
        return Located(file, file.parents[1 if self.folder else 0].name)

    def fetch_images(self, root: Path, revision: str) -> None:
        """Make the pictures of records in `root` lie in `root`/IMAGES, fetched and unpacked where they are not yet.

        revision: of the records (`Located.revision`); the archive is of the same one. Raises UserError.
        """
        if not (root / self.images).is_dir():
            self.unpack(self._archive_of(root, None if revision.startswith(LOCAL) else revision), root)

    def _local(self, folder: Path, fix: str) -> Path:
        # a download of the whole dataset has the files one level down
        for file in (folder / self.records, folder / self.folder / self.records):
            if file.is_file():
                return file
        raise UserError(f"no {self.records} here", file=folder, fix=fix)

    def fetch(self, name: str, revision: str | None = None) -> Path:
        """One file, from the cache or downloaded with a progress bar, as …/COMMIT/[FOLDER/]NAME.

        `HF_HUB_OFFLINE` is honoured. Raises UserError that says how to get access.
        """
        import huggingface_hub

        inside = self.path_of(name)
        with _explained(f"{self.repo}/{inside}", self.page, self.by_hand):
            file = huggingface_hub.hf_hub_download(
                self.repo, inside, repo_type="dataset", revision=revision, **from_cache_only()
            )
        return Path(file)

    def path_of(self, name: str) -> str:
        """The path of `records` or `archive` inside the repository."""
        return f"{self.folder}/{name}" if self.folder else name

    def _archive_of(self, root: Path, commit: str | None) -> Path:
        archive = root / self.archive
        if archive.is_file():
            return archive
        if commit is None:
            raise UserError(
                f"neither {self.images}/ nor {self.archive} here",
                file=root,
                fix=f"fetch {self.archive} from {self.page} into this folder",
            )
        return self.fetch(self.archive, commit)

    def unpack(self, archive: Path, root: Path) -> None:
        """Unpack `archive` to `root`/IMAGES, whether it was packed with that folder or without.

        One process unpacks, others wait. The folder appears by one rename when everything is in it, and a line on
        stderr says what was left out. Raises UserError.
        """
        target = root / self.images
        try:
            with FileLock(root / f".{self.images}.lock"):
                if target.is_dir():
                    return
                # left by a process that was killed here
                for folder in root.glob(f".{self.images}-????????{files.UNFINISHED}"):
                    shutil.rmtree(folder, ignore_errors=True)
                with tempfile.TemporaryDirectory(files.UNFINISHED, f".{self.images}-", root) as work:
                    unpacked = Path(work) / "unpacked"
                    unpacked.mkdir()
                    left_out = archives.unpack_archive(
                        archive, unpacked, self.bounds, fix=f"fetch it again from {self.page}"
                    )
                    inner = unpacked / self.images
                    (inner if inner.is_dir() else unpacked).rename(target)
                if left_out:
                    say(f"{archive}: left out: {'; '.join(left_out)}")
        except (OSError, NotImplementedError) as error:  # the latter is older filelock's word for a missing flock
            raise UserError(
                f"cannot be unpacked: {error}",
                file=archive,
                fix=f"unpack it by hand and set {self.variable} to that folder",
            ) from error


def hub_data_of(benchmark: Benchmark) -> HubData | None:
    """Where the data of a benchmark lies: its attribute `hub`, None where it has none."""
    found = getattr(benchmark, "hub", None)
    return found if isinstance(found, HubData) else None
