"""Archives of strangers: nothing outside the folder, nothing without bound, nothing left out in silence.

A few damaged archives of each kind in every run; `FUZZ_MUTANTS=2000` makes so many.
"""

from __future__ import annotations

import bz2
import collections
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile

import pytest
from mutants import damage_bytes, mutants, no_hang

from judge.errors import UserError
from judge.io import archives
from judge.io.archives import Bounds, unpack_archive

FILES = {"images/a.jpg": b"a" * 3000, "images/sub/b.jpg": bytes(range(256)) * 8}
FILES |= {"images/ü.jpg": b"", "images/c.jpg": b"c"}
BOUNDS = Bounds(bytes=100_000, members=20)


def info(name, size=0, kind=tarfile.REGTYPE, **more):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    for field, value in more.items():
        setattr(entry, field, value)
    return entry


def tar_of(*members, format=tarfile.PAX_FORMAT):
    """Bytes of a tar of (TarInfo, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for entry, data in members:
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zip_of(*members, method=zipfile.ZIP_DEFLATED):
    """Bytes of a zip of (name or ZipInfo, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        for name, data in members:
            entry = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            entry.compress_type = method
            with packed.open(entry, "w") as file:  # writestr has no empty names
                file.write(data)
    return out.getvalue()


PLAIN = tar_of(*((info(name, len(data)), data) for name, data in FILES.items()))
ZIP = zip_of(*FILES.items())


@pytest.fixture
def place(tmp_path):
    """Where an archive is written, beside an empty folder."""
    (tmp_path / "out").mkdir()
    return tmp_path


def unpacked(place, data, name="images.tar.gz", bounds=BOUNDS):
    """(what was left out, name → bytes of the files in the folder)"""
    (place / name).write_bytes(data)
    notes = unpack_archive(place / name, place / "out", bounds, fix="fetch it again")
    return notes, tree(place / "out")


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("data", "name"),
    [(PLAIN, "a.tar"), (gzip.compress(PLAIN), "a.tar.gz"), (bz2.compress(PLAIN), "a.tar.bz2"), (ZIP, "a.zip")]
    + [(tar_of(*((info(n, len(d)), d) for n, d in FILES.items()), format=form), "a.tar") for form in (0, 1)],
)
def test_what_is_sound_is_unpacked(place, data, name):
    assert unpacked(place, data, name) == ([], FILES)


def extended(name, value, kind=tarfile.XHDTYPE):
    """A pax header block and its one record, before a plain file."""
    text = f" {name}={value}\n".encode()
    length = len(text) + len(str(len(text) + 3))
    record = f"{length}".encode() + text
    assert len(record) == length
    return info("pax", len(record), kind), record


def nul_in_pax():
    return tar_of(extended("path", "images/a\0b.jpg"), (info("images/x.jpg", 1), b"x"), (info("images/y.jpg", 1), b"y"))


def nul_in_zip():
    data = zip_of(("images/a_b.jpg", b"x"), ("images/y.jpg", b"y"))
    return data.replace(b"images/a_b.jpg", b"images/a\0b.jpg")


X, Y = (info("images/x.jpg", 1), b"x"), (info("images/y.jpg", 1), b"y")


@pytest.mark.parametrize(
    ("data", "name", "notes", "left"),
    [
        (tar_of(X, (info("", 1), b"n"), Y), "a.tar", "1 members without a usable name: ''", "xy"),
        (
            zip_of(("images/x.jpg", b"x"), ("", b"n"), ("images/y.jpg", b"y")),
            "a.zip",
            "1 members without a usable",
            "xy",
        ),
        (tar_of(X, (info("./", 1), b"n"), Y), "a.tar", "1 members without a usable name: './'", "xy"),
        (tar_of(X, (info("n" * 300, 1), b"n"), Y), "a.tar", "1 members without a usable name: 'nnn", "xy"),
        (nul_in_pax(), "a.tar", r"1 members without a usable name: 'images/a\x00b.jpg'", "y"),
        (nul_in_zip(), "a.zip", r"1 members without a usable name: 'images/a\x00b.jpg'", "y"),
        (tar_of(X, (X[0], b"z"), Y), "a.tar", "1 names twice, the last one kept: 'images/x.jpg'", "zy"),
        (tar_of(X, (info("./images//x.jpg", 1), b"z"), Y), "a.tar", "1 names twice, the last one kept: './im", "zy"),
        (tar_of(X, Y) + tar_of(Y), "a.tar", "what stands behind the end of the archive", "xy"),
        (tar_of(X, Y) + b"more", "a.tar", "what stands behind the end of the archive", "xy"),
        (gzip.compress(tar_of(X, Y)) + gzip.compress(b"more"), "a.tar.gz", "what stands behind the end", "xy"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_left_out_is_said(place, data, name, notes, left):
    found, files = unpacked(place, data, name)
    assert len(found) == 1
    assert found[0].startswith(notes)
    assert b"".join(files[name] for name in sorted(files)).decode() == left


def damaged_header(at):
    """The sum of the header block `at` is wrong: tarfile takes that for the end."""
    return PLAIN[: at * 512] + b"\xff" + PLAIN[at * 512 + 1 :]


def sized(field):
    """A plain file whose header gives its size as `field`, with a right check sum."""
    block = bytearray(tar_of(X)[:512])
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + tar_of(X)[512:]


def sparse(text):
    """A file of a tar in sparse format 1.0, whose map begins its data."""
    out = io.BytesIO()
    headers = {"major": "1", "minor": "0", "name": "images/s", "realsize": "9"}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = info("images/s.jpg", 512)
        entry.pax_headers = {f"GNU.sparse.{name}": value for name, value in headers.items()}
        tar.addfile(entry, io.BytesIO(text.ljust(512, b"\0")))
    return out.getvalue()


def long_names(count):
    """As many headers "the next name is long" before one member: tarfile calls itself for each."""
    header = tar_of((info("n" * 200, 0), b""), format=tarfile.GNU_FORMAT)[:1024]
    return header * count + PLAIN


def with_method(method):
    data = bytearray(zip_of(("images/x.jpg", b"x")))
    for start in (data.index(b"PK\3\4") + 8, data.index(b"PK\1\2") + 10):
        data[start] = method
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name", "problem"),
    [
        (damaged_header(0), "a.tar", ""),
        # a.jpg: a header and 3000 bytes, 6 blocks; the header of b.jpg is block 7
        (damaged_header(7), "a.tar", "no header of a member, nor the end, at byte 3,584"),
        (PLAIN[: 7 * 512], "a.tar", "no header of a member, nor the end, at byte 3,584"),
        (PLAIN[: 7 * 512 + 100], "a.tar", ""),
        (sized(b"\xff" * 11 + b"\x00"), "a.tar", ""),  # -256
        (sized(b"77777777777\0"), "a.tar", "unpacks to more than 100,000 bytes, far above what this dataset has"),
        (tar_of(extended("size", str(2**62)), X), "a.tar", "unpacks to more than 100,000 bytes"),
        (sparse(b"99999999999999999999\n"), "a.tar", ""),
        (sparse(b"x\n"), "a.tar", ""),
        (sparse(b"1\n0\n1\n"), "a.tar", "member 'images/s' is no plain file inside the folder"),
        (tar_of((info("p", 2**21, tarfile.XHDTYPE), bytes(2**21)), X), "a.tar", "a header of more than 1,048,576"),
        (tar_of((info("p", 2**21, b"L"), bytes(2**21)), X), "a.tar", "a header of more than 1,048,576"),
        (tar_of(extended("GNU.sparse.map", "1,x"), X), "a.tar", ""),
        (long_names(5000), "a.tar", ""),
        (tar_of((info("a", 1), b"x"), (info("a/b", 1), b"y")), "a.tar", "member 'a/b' would be a file and a folder"),
        (tar_of((info("a/b", 1), b"y"), (info("a", 1), b"x")), "a.tar", "member 'a' would be a file and a folder"),
        (tar_of(*((info(f"{n}.jpg"), b"") for n in range(21))), "a.tar", "unpacks to more than 20 members"),
        (zip_of(*((f"{n}.jpg", b"") for n in range(21))), "a.zip", "unpacks to more than 20 members"),
        (gzip.compress(tar_of((info("a", 2**24), bytes(2**24)))), "a.tar.gz", "unpacks to more than 100,000 bytes"),
        (zip_of(("a", bytes(2**24))), "a.zip", "unpacks to more than 100,000 bytes"),
        (with_method(zipfile.ZIP_LZMA), "a.zip", "member 'images/x.jpg' is packed by method 14"),
        (lzma.compress(PLAIN), "a.tar.xz", "it is packed with xz"),
        (ZIP[:-30], "a.zip", ""),
        (b"", "a.zip", ""),
        (gzip.compress(PLAIN)[:-4], "a.tar.gz", ""),
        (gzip.compress(PLAIN)[:-8] + bytes(8), "a.tar.gz", "CRC check failed"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_is_refused(place, data, name, problem):
    with no_hang(), pytest.raises(UserError) as error:
        unpacked(place, data, name)
    assert str(error.value).removeprefix(f"{place / name}: ").removeprefix("broken archive: ").startswith(problem)
    assert "fetch it again" in str(error.value)


def test_global_headers_do_not_add_up(place, monkeypatch):
    monkeypatch.setattr(archives, "HEADER", 5000)
    some = [part for n in range(9) for part in (extended(f"key{n}", "v" * 900, tarfile.XGLTYPE), (info(f"{n}"), b""))]
    with pytest.raises(UserError, match="global headers of more than 5,000 bytes"):
        unpacked(place, tar_of(*some), "a.tar")


def test_the_list_of_a_zip_is_bounded(place, monkeypatch):
    monkeypatch.setattr(archives, "DIRECTORY", 200)
    with pytest.raises(UserError, match="a list of members of more than 200 bytes"):
        unpacked(place, ZIP, "a.zip")


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_bounds_are_raised_by_the_environment(place, monkeypatch, name):
    data = {"a.tar": PLAIN, "a.zip": ZIP}[name]
    small = Bounds(bytes=10, members=2)
    monkeypatch.setenv("MMJUDGE_UNPACK_MEMBERS", "4")
    with pytest.raises(UserError, match="set MMJUDGE_UNPACK_BYTES to a larger number"):
        unpacked(place, data, name, small)
    monkeypatch.setenv("MMJUDGE_UNPACK_BYTES", "5049")  # 3000 + 256 · 8 + 0 + 1
    assert unpacked(place, data, name, small) == ([], FILES)
    monkeypatch.setenv("MMJUDGE_UNPACK_BYTES", "5e3")
    with pytest.raises(UserError, match=r"\$MMJUDGE_UNPACK_BYTES is '5e3', not a whole number"):
        unpacked(place, data, name, small)


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_room_is_needed_before_anything_is_unpacked(place, monkeypatch, name):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(UserError, match=r"needs [\d,]+ more bytes to be unpacked, and 100 are free in "):
        unpacked(place, {"a.tar": PLAIN, "a.zip": ZIP}[name], name)
    assert tree(place / "out") == {}


def test_a_fifo_is_no_archive(place):
    os.mkfifo(place / "a.tar")
    with no_hang(), pytest.raises(UserError, match="is not a regular file"):
        unpack_archive(place / "a.tar", place / "out", BOUNDS, fix="")


def hostile(random):
    """(an archive, its name, whether sums tell what was changed): a sound one damaged, or a hostile one made."""
    kind = random.randrange(4)
    if kind == 0:
        return damage_bytes(random, ZIP), "a.zip", True
    if kind == 1:
        return damage_bytes(random, gzip.compress(PLAIN, mtime=0)), "a.tar.gz", True
    form = random.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    names = [*FILES, "images/" + "long/" * 30 + "d.jpg", "images/x.jpg", "../e", "", "images"]
    kinds = [b"0"] * 6 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, b"L", b"g"]
    members = []
    for _ in range(random.randrange(1, 6)):
        data = random.choice([b"", b"x", b"20 path=a\0b.jpg\n", b"19 size=-100000000\n", b"1,2,3\n", b"d" * 3000])
        members.append((info(random.choice(names), len(data), random.choice(kinds)), data))
    data = bytearray(tar_of(*members, format=form))
    at = random.randrange(0, len(data) // 512) * 512
    header = data[at : at + 512]
    header[random.choice([0, 100, 124, 125, 135, 156, 157, 345, random.randrange(512)])] = random.randrange(256)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    data[at : at + 512] = header
    return (gzip.compress(data, 1), "a.tar.gz", False) if kind == 2 else (bytes(data), "a.tar", False)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_archive_is_refused_or_unpacked_inside(tmp_path):
    outcomes, wrong = collections.Counter(), []
    for seed, random in mutants(300):
        place = tmp_path / str(seed)
        (place / "out").mkdir(parents=True)
        data, name, summed = hostile(random)
        try:
            with no_hang():
                notes, files = unpacked(place, data, name)
        except UserError as error:
            outcomes["refused"] += 1
            if str(place / name) not in str(error):
                wrong.append(f"seed {seed}: names no file: {error}")
        except BaseException as error:
            wrong.append(f"seed {seed}: {name}: {type(error).__name__}: {str(error)[:200]}")
        else:
            outcomes["unpacked with a note" if notes else "unpacked"] += 1
            # a zip and what gzip packed have sums of their own: what came out is what went in
            if summed and not notes and files != FILES:
                wrong.append(f"seed {seed}: {name}: other files, and nothing said")
        if {path.name for path in place.iterdir()} != {"out", name}:
            wrong.append(f"seed {seed}: wrote beside the folder")
        if any(not stat.S_ISREG(path.lstat().st_mode) and not path.is_dir() for path in (place / "out").rglob("*")):
            wrong.append(f"seed {seed}: made what is no plain file")
        shutil.rmtree(place)
    print("archives", dict(outcomes), len(wrong))
    assert wrong == []
    assert outcomes["refused"] > 0
    assert outcomes["unpacked"] > 0
