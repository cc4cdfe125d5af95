"""Where the data comes from: folder, archive or Hub; and what a refusal says."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from judge.errors import UserError
from judge.io import archives
from mmie_tasks import location

ROW = {
    "id": "PBL-1",
    "catagory": "Project-based learning",
    "field": "Art",
    "conversations": [
        {"from": "human", "content": [{"text": "Q", "image": "./images/a.jpg"}]},
        {"from": "gpt", "content": [{"text": "A", "image": None}]},
    ],
}


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv(location.HUB.variable, raising=False)


def folder(path, rows=(ROW,)):
    path.mkdir(parents=True, exist_ok=True)
    (path / "data.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def member(name, kind=tarfile.REGTYPE, data=b"", link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, len(data)
    return entry, data


def pack(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for entry, data in members:
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_a_local_folder_is_read_without_pictures(tmp_path):
    dataset = location.load_dataset(folder(tmp_path))
    # sha256 of the file, first 12 digits
    assert dataset.source.revision == f"local:{hashlib.sha256((tmp_path / 'data.json').read_bytes()).hexdigest()[:12]}"
    assert (dataset.source.repo, dataset.source.edition) == ("MMIE/MMIE", "unknown (1)")
    assert [record.id for record in dataset.records] == ["PBL-1"]
    assert dataset.image_root == tmp_path


def test_the_variable_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(location.HUB.variable, str(folder(tmp_path)))
    assert location.load_dataset().image_root == tmp_path


def test_a_disagreeing_label_is_noted(tmp_path):
    dataset = location.load_dataset(folder(tmp_path, [{**ROW, "catagory": "Multi-step reasoning"}]))
    assert dataset.source.note == '1 records whose "catagory" disagrees with their id, which decides: PBL-1'


def test_missing_labels_are_counted(tmp_path):
    rows = [{**ROW, "id": f"PBL-{n}", "field": None} for n in range(4)]
    del rows[0]["catagory"]
    dataset = location.load_dataset(folder(tmp_path, rows))
    assert len(dataset.records) == 4
    assert (
        dataset.source.note == '1 records without "catagory": PBL-0; 4 records without "field": PBL-0, PBL-1, PBL-2, …'
    )


def test_a_folder_without_data_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"no data\.json here") as error:
        location.load_dataset(tmp_path)
    assert location.HUB.variable in str(error.value)


@pytest.mark.parametrize("prefix", ["images/", "./images/", "", "./"])
def test_the_archive_is_unpacked_beside_itself(tmp_path, prefix):
    folder(tmp_path)
    pack(tmp_path / "images.tar.gz", member(f"{prefix}a.jpg", data=b"picture"), member(f"{prefix}sub/b.jpg", data=b"2"))
    location.load_dataset(tmp_path, images=True)
    assert (tmp_path / "images" / "a.jpg").read_bytes() == b"picture"
    assert (tmp_path / "images" / "sub" / "b.jpg").read_bytes() == b"2"
    left = {entry.name for entry in tmp_path.iterdir()} - {".images.lock"}
    assert left == {"data.json", "images", "images.tar.gz"}


def test_pictures_that_are_there_are_left_alone(tmp_path):
    (folder(tmp_path) / "images").mkdir()
    (tmp_path / "images.tar.gz").write_bytes(b"not even an archive")
    location.load_dataset(tmp_path, images=True)
    assert list((tmp_path / "images").iterdir()) == []


def test_neither_pictures_nor_archive(tmp_path):
    with pytest.raises(UserError, match=r"neither images/ nor images\.tar\.gz"):
        location.load_dataset(folder(tmp_path), images=True)


def test_records_without_pictures_need_none(tmp_path):
    asked = {"from": "human", "content": [{"text": "Q", "image": None}]}
    row = {**ROW, "conversations": [asked, ROW["conversations"][1]]}
    assert location.load_dataset(folder(tmp_path, [row]), images=True).image_root == tmp_path


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil.jpg", data=b"x"),
        member("images/../../evil.jpg", data=b"x"),
        member("/evil.jpg", data=b"x"),
        member("images\\..\\..\\evil.jpg", data=b"x"),
        member("C:/evil.jpg", data=b"x"),
        member("images/link", tarfile.SYMTYPE, link="/etc"),
        member("images/hard", tarfile.LNKTYPE, link="images/a.jpg"),
        member("images/pipe", tarfile.FIFOTYPE),
        member("images/device", tarfile.CHRTYPE),
    ],
    ids=lambda bad: bad[0].name,
)
def test_a_member_that_is_no_plain_file_inside_refuses_the_archive(tmp_path, bad):
    root = folder(tmp_path / "root")
    pack(root / "images.tar.gz", member("images/a.jpg", data=b"fine"), bad)
    with pytest.raises(UserError) as error:
        location.load_dataset(root, images=True)
    assert repr(bad[0].name) in str(error.value)
    assert {path.name for path in tmp_path.rglob("*")} == {"root", "data.json", "images.tar.gz", ".images.lock"}


def test_what_is_left_out_of_the_archive_is_said_once(tmp_path, capsys):
    root = folder(tmp_path)
    twice = [member("images/a.jpg", data=b"1"), member("images/a.jpg", data=b"2")]
    archive = pack(root / "images.tar.gz", *twice, member("images/b.jpg"))
    for _ in range(2):
        location.load_dataset(root, images=True)
    line = f"mmjudge: {archive}: left out: 1 names twice, the last one kept: 'images/a.jpg'\n"
    assert capsys.readouterr().err.count(line) == 1
    assert (root / "images" / "a.jpg").read_bytes() == b"2"


@pytest.mark.parametrize("cut", ["gzip", "tar", "empty", "text"])
def test_a_broken_archive_is_named(tmp_path, cut):
    root = folder(tmp_path)
    archive = pack(root / "images.tar.gz", member("images/a.jpg", data=bytes(range(256)) * 400))
    packed = archive.read_bytes()
    broken = {
        "gzip": packed[: len(packed) // 2],
        "tar": gzip.compress(gzip.decompress(packed)[:5000]),
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }
    archive.write_bytes(broken[cut])
    with pytest.raises(UserError, match="broken archive") as error:
        location.load_dataset(root, images=True)
    assert str(archive) in str(error.value)
    assert not (root / "images").exists()


def test_one_unpacks_and_the_others_wait(tmp_path, monkeypatch):
    root = folder(tmp_path)
    archive = pack(root / "images.tar.gz", member("images/a.jpg", data=b"picture"))
    calls, read_tar = [], archives._read_tar
    monkeypatch.setattr(archives, "_read_tar", lambda *args: calls.append(args) or read_tar(*args))
    threads = [threading.Thread(target=location.HUB.unpack, args=(archive, root)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert (root / "images" / "a.jpg").read_bytes() == b"picture"


UNPACK_AND_DIE = """
import os, sys
from judge.io import archives
from mmie_tasks.location import HUB, Path
archives.unpack_archive = lambda *_, **__: os._exit(9)
HUB.unpack(*map(Path, sys.argv[1:]))
"""


def test_what_a_killed_process_had_unpacked_goes(tmp_path):
    root = folder(tmp_path)
    archive = pack(root / "images.tar.gz", member("images/a.jpg", data=b"picture"))
    (root / ".images-original").mkdir()  # the user's
    died = subprocess.run([sys.executable, "-c", UNPACK_AND_DIE, str(archive), str(root)], check=False)
    assert died.returncode == 9
    assert len([path for path in root.iterdir() if path.is_dir()]) == 2
    location.HUB.unpack(archive, root)
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == [".images-original", "images"]


def raising(kind):
    def download(*args, **kwargs):
        raise kind.__new__(kind)

    return download


@pytest.mark.parametrize("kind", [errors.GatedRepoError, errors.RepositoryNotFoundError])
def test_a_refusal_says_how_to_get_access(monkeypatch, kind):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", raising(kind))
    with pytest.raises(UserError, match="gated") as error:
        location.load_dataset()
    for words in ["https://huggingface.co/datasets/MMIE/MMIE", "hf auth login", "MMIE_DATA"]:
        assert words in str(error.value)


def hub_cache(monkeypatch, path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(path))


def test_offline_with_an_empty_cache(monkeypatch, tmp_path):
    hub_cache(monkeypatch, tmp_path)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set") as error:
        location.load_dataset()
    assert "MMIE_DATA" in str(error.value)


def test_offline_from_the_cache_with_the_resolved_revision(monkeypatch, tmp_path):
    hub_cache(monkeypatch, tmp_path)
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "datasets--MMIE--MMIE"
    snapshot = folder(repo / "snapshots" / commit)
    pack(snapshot / "images.tar.gz", member("images/a.jpg", data=b"picture"))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    dataset = location.load_dataset(images=True)
    assert dataset.source.revision == commit
    assert (dataset.image_root / "images" / "a.jpg").read_bytes() == b"picture"
