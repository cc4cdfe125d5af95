"""Folder, zip or Hub; nothing outside the folder; every refusal names the file and the fix."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors
from mmvu_sample import jpeg, pack, pair, row, write
from PIL import Image

from judge.errors import UserError
from mmvu_tasks import location

IMAGE = "attribute/shape/07.jpg"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMVU_DATA", raising=False)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_json_alone_is_enough_to_score(tmp_path: Path) -> None:
    dataset = location.load_dataset(write(tmp_path, pair()).parent)
    assert len(dataset.records) == 2
    assert dataset.image_root is None
    assert (dataset.source.repo, dataset.source.edition) == ("local", "unknown")
    assert "1 pairs: no published edition" in str(dataset.source.note)


def test_revision_is_the_content(tmp_path: Path) -> None:
    one, same = (
        location.load_dataset(write(tmp_path / "a", pair()).parent),
        location.load_dataset(write(tmp_path / "b", pair()).parent),
    )
    other = location.load_dataset(write(tmp_path / "c", pair("context/expert/1")).parent)
    assert one.source.revision == same.source.revision != other.source.revision
    assert one.source.revision.startswith("local:")
    assert len(one.source.revision) == len("local:") + 12


def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "MMR-benchmark", pair())  # as `hf download --local-dir` lays it out
    monkeypatch.setenv("MMVU_DATA", str(tmp_path))
    assert len(location.load_dataset().records) == 2


@pytest.mark.parametrize("where", ["MMR-benchmark-images", ".", "MMR-benchmark-images/v2/images"])
def test_pictures_in_a_folder(tmp_path: Path, where: str) -> None:
    write(tmp_path, pair())
    put(tmp_path / where / IMAGE, jpeg())
    dataset = location.load_dataset(tmp_path, images=True)
    assert dataset.image_root == tmp_path / where
    assert dataset.image_root is not None
    picture = location.open_image(dataset.image_root, dataset.records[0])
    assert (picture.mode, picture.size) == ("RGB", (8, 6))


@pytest.mark.parametrize("prefix", ["", "MMR-benchmark-images/", "home/me/MMR-benchmark-images/"])
def test_pictures_in_a_zip(tmp_path: Path, prefix: str) -> None:
    write(tmp_path, pair())
    pack(tmp_path / "MMR-benchmark-images.zip", {f"{prefix}{IMAGE}": jpeg(), "__MACOSX/x": b"junk"})
    assert location.load_dataset(tmp_path).image_root is None
    assert not (tmp_path / "MMR-benchmark-images").exists()  # not before pictures are asked for
    dataset = location.load_dataset(tmp_path, images=True)
    # the archive's own folder is the one it becomes
    inside = prefix.removeprefix("MMR-benchmark-images/")
    assert dataset.image_root == tmp_path / "MMR-benchmark-images" / inside
    before = (tmp_path / "MMR-benchmark-images").stat().st_mtime_ns
    location.load_dataset(tmp_path, images=True)
    assert (tmp_path / "MMR-benchmark-images").stat().st_mtime_ns == before  # once


def test_records_that_name_the_folder_too(tmp_path: Path) -> None:
    rows = [row(image=f"MMR-benchmark-images/{IMAGE}"), row(kind="NEG", image=f"MMR-benchmark-images/{IMAGE}")]
    write(tmp_path, rows)
    pack(tmp_path / "MMR-benchmark-images.zip", {f"MMR-benchmark-images/{IMAGE}": jpeg()})
    assert location.load_dataset(tmp_path, images=True).image_root == tmp_path


def test_several_processes_unpack_once(tmp_path: Path) -> None:
    archive = pack(tmp_path / "MMR-benchmark-images.zip", {f"{n}.jpg": jpeg() for n in range(50)})
    failures: list[BaseException] = []

    def unpack() -> None:
        try:
            location.HUB.unpack(archive, tmp_path)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=unpack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list((tmp_path / "MMR-benchmark-images").iterdir())) == 50
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "MMR-benchmark-images"
    ]  # nothing half-made left


@pytest.mark.parametrize("name", ["../evil.jpg", "/tmp/evil.jpg", "a/../../evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"])
def test_a_member_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    write(folder, pair())
    pack(folder / "MMR-benchmark-images.zip", {IMAGE: jpeg(), name: b"evil"})
    with pytest.raises(UserError, match=r"is no plain file inside the folder\n→ do not trust this archive"):
        location.load_dataset(folder, images=True)
    assert not (folder / "MMR-benchmark-images").exists()
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_link_in_the_zip_is_refused(tmp_path: Path) -> None:
    write(tmp_path, pair())
    link = zipfile.ZipInfo(IMAGE)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "MMR-benchmark-images.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="is no plain file inside the folder"):
        location.load_dataset(tmp_path, images=True)


def test_broken_zips(tmp_path: Path) -> None:
    write(tmp_path, pair())
    archive = pack(tmp_path / "MMR-benchmark-images.zip", {IMAGE: jpeg((64, 64))})
    whole = archive.read_bytes()
    for content in (b"", whole[:-30], whole[:40] + bytes(20) + whole[60:]):
        archive.write_bytes(content)
        with pytest.raises(UserError, match=r"broken archive: .*\n→ fetch it again"):
            location.load_dataset(tmp_path, images=True)
        assert not (tmp_path / "MMR-benchmark-images").exists()


def test_neither_folder_nor_zip(tmp_path: Path) -> None:
    write(tmp_path, pair())
    with pytest.raises(UserError, match=r"neither MMR-benchmark-images/ nor MMR-benchmark-images\.zip here"):
        location.load_dataset(tmp_path, images=True)


def test_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no MMR-benchmark.json here\n→ give the folder that holds it, or put"):
        location.load_dataset(tmp_path)
    # a recipe of `mmjudge train` has no --data either
    monkeypatch.setenv("MMVU_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no MMR-benchmark.json here\n→ point MMVU_DATA at the folder") as error:
        location.load_dataset()
    assert "--data" not in str(error.value)


def huge() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(bytes, "07.jpg"), (lambda: b"<html>", "07.jpg"), (lambda: jpeg()[:20], "07.jpg"), (huge, "pixels")],
    ids=["zero bytes", "no image", "cut header", "900 million pixels"],
)
def test_a_picture_that_cannot_be_read(tmp_path: Path, content: Callable[[], bytes], problem: str) -> None:
    write(tmp_path, pair())
    put(tmp_path / "MMR-benchmark-images" / IMAGE, content())
    with pytest.raises(UserError, match=problem) as caught:
        location.load_dataset(tmp_path, images=True)
    assert 'record attribute/shape/07 (index 0): field "image"' in str(caught.value)


def test_a_picture_cut_off_later_is_refused_when_opened(tmp_path: Path) -> None:
    write(tmp_path, pair())
    picture = put(tmp_path / "MMR-benchmark-images" / IMAGE, jpeg((400, 400)))
    dataset = location.load_dataset(tmp_path, images=True)
    picture.write_bytes(picture.read_bytes()[:700])
    with pytest.raises(UserError, match=r"record attribute/shape/07 \(index 1\): field \"image\""):
        location.open_image(tmp_path / "MMR-benchmark-images", dataset.records[1])


@pytest.mark.parametrize("size", [(1, 1), (20_000, 20)])
def test_odd_sizes_open(tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path, pair())
    put(tmp_path / "MMR-benchmark-images" / IMAGE, jpeg(size))
    dataset = location.load_dataset(tmp_path, images=True)
    assert dataset.image_root is not None
    assert location.open_image(dataset.image_root, dataset.records[0]).size == size


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    write(tmp_path, [*pair(), *pair("context/expert/12")])
    put(tmp_path / "MMR-benchmark-images" / IMAGE, jpeg())
    with pytest.raises(UserError, match=r"record context/expert/12 \(index 2\): field \"image\": .*not below"):
        location.load_dataset(tmp_path, images=True)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "..\\secret.jpg", "x" * 3000, "a\0b"])
def test_an_image_name_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    put(tmp_path / "secret.jpg", jpeg())
    (folder / "MMR-benchmark-images").mkdir(parents=True)
    write(folder, [row(image=name), row(kind="NEG", image=name)])
    with pytest.raises(UserError, match='field "image"'):
        location.load_dataset(folder, images=True)


# --- the Hub ---


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """A Hub that holds one pair; what was asked of it."""
    folder = tmp_path / "snapshots" / COMMIT / "MMR-benchmark"
    asked: list[tuple[str, str | None]] = []

    def download(repo: str, name: str, *, repo_type: str, revision: str | None, **_: bool) -> str:
        assert (repo, repo_type) == ("BAAI/Multimodal-Robustness-Benchmark", "dataset")
        asked.append((name, revision))
        if name == "MMR-benchmark/MMR-benchmark.json":
            write(folder, pair())
        else:
            pack(folder / "MMR-benchmark-images.zip", {f"MMR-benchmark-images/{IMAGE}": jpeg()})
        return str(folder.parent / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def test_the_hub_is_asked_for_what_is_needed(hub: list[tuple[str, str | None]]) -> None:
    dataset = location.load_dataset()
    assert hub == [("MMR-benchmark/MMR-benchmark.json", None)]
    assert dataset.source.revision == COMMIT
    assert dataset.source.repo == "BAAI/Multimodal-Robustness-Benchmark"
    dataset = location.load_dataset(images=True)
    assert hub[1:] == [
        ("MMR-benchmark/MMR-benchmark.json", None),
        ("MMR-benchmark/MMR-benchmark-images.zip", COMMIT),  # the same commit, whatever main has become
    ]
    assert dataset.image_root is not None
    assert (dataset.image_root / IMAGE).is_file()
    location.load_dataset(images=True)
    assert len(hub) == 4  # the pictures lie there


def made(kind: type[Exception], *args: Any) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            made(errors.GatedRepoError, "403"),
            "no access to the dataset, which may be gated\n→ accept its terms on https://huggingface.co",
        ),
        (made(errors.RepositoryNotFoundError, "401"), "log in with `hf auth login`"),
        (
            made(errors.LocalEntryNotFoundError, "x"),
            "not in the cache, and the Hub cannot be reached\n→ go online once",
        ),
        (made(errors.EntryNotFoundError, "404"), "the download failed: 404\n→ try again"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_refusals_of_the_hub(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    def download(*args: Any, **kwargs: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(UserError) as caught:
        location.load_dataset()
    assert message in str(caught.value)
    assert "set MMVU_DATA to it" in str(caught.value)
    assert "BAAI/Multimodal-Robustness-Benchmark/MMR-benchmark/MMR-benchmark.json" in str(caught.value)


def test_offline_is_honoured(tmp_path: Path) -> None:
    code = (
        "from judge.errors import UserError\nfrom mmvu_tasks.benchmark import BENCHMARK\n"
        "try: BENCHMARK.load()\nexcept UserError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    environment.pop("MMVU_DATA", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "not in the cache, and HF_HUB_OFFLINE is set\n→ go online once" in done.stdout


def test_importing_is_light() -> None:
    code = (
        "import sys, mmvu_tasks.benchmark\n"
        "print([m for m in ('torch', 'transformers', 'lmms_eval', 'huggingface_hub', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
