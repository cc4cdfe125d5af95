"""Pictures cut by processes: the bytes of the calling thread, and a crash that takes nothing else along."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from judge.engines import preparing
from judge.engines.preparing import Cutter
from judge.io.image_paths import ImageRefused
from judge.model import images

SIZE = 28
SHAPES = {
    "wide.png": (200, 60),
    "tall.png": (40, 120),
    "square.png": (50, 50),
    "dot.png": (1, 1),
    "photo.jpg": (90, 68),
}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a mapped file is handed to a child on POSIX only")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed, (name, size) in enumerate(SHAPES.items()):
        Image.effect_noise(size, 80 + seed).convert("RGB").save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    return folder


@pytest.fixture
def habits(tmp_path, monkeypatch):
    """Python code that every worker runs before it begins, with `images` and `os` at hand."""

    def install(code):
        folder = tmp_path / "habits"
        folder.mkdir(exist_ok=True)
        begin = "import os\nfrom judge.model import images\nreal = images.decode_image\n"
        text = f"{begin}{code}\nimages.decode_image = decode\n"
        (folder / "sitecustomize.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return install


def expected(paths):
    cut = [images.cut_tiles(images.decode_image(path), SIZE) for path in paths]
    return np.concatenate(cut), tuple(map(len, cut))


def count(paths):
    return sum(images.count_tiles(*images.read_image_size(path), size=SIZE) for path in paths)


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_the_same_bytes_wherever_they_are_cut(pictures, processes):
    files = [pictures / name for name in SHAPES]
    wishes = [files[n % 5 : n % 5 + 1 + n % 3] for n in range(20)]
    with Cutter(SIZE, processes=processes) as cutter, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda paths: cutter.cut(paths, count(paths)), wishes))
        for paths, tiles in zip(wishes, found, strict=True):
            array, counts = expected(paths)
            assert tiles.counts == counts
            np.testing.assert_array_equal(tiles.array, array)
            assert (tiles.place is not None) == (processes > 0)
        assert len(cutter._all) <= (4 if processes else 0)
        for tiles in found:
            tiles.release()
            tiles.release()  # twice is once
        assert cutter._slots.num_free == cutter._slots.size


def test_a_prompt_without_pictures():
    with Cutter(SIZE, processes=1) as cutter:
        assert cutter.cut([], 0) is None
        assert cutter._all == []


@pytest.mark.parametrize(("name", "reason"), [("broken.png", "image_refused"), ("absent.png", "image_missing")])
def test_refusals_come_back_with_their_reason(pictures, name, reason):
    paths = [pictures / "square.png", pictures / name]
    with Cutter(SIZE, processes=1) as cutter:
        with pytest.raises(ImageRefused, match=name) as refused:
            cutter.cut(paths, 9)
        assert refused.value.reason == reason
        assert cutter._slots.num_free == cutter._slots.size
        # and the worker goes on
        assert cutter.cut(paths[:1], count(paths[:1])).place is not None
        assert len(cutter._all) == 1


def test_more_tiles_than_a_header_promised_are_cut_here(pictures):
    paths = [pictures / "wide.png"]
    with Cutter(SIZE, processes=1) as cutter:
        for wrong in (1, count(paths) + 3):
            tiles = cutter.cut(paths, wrong)
            assert tiles.place is None
            np.testing.assert_array_equal(tiles.array, expected(paths)[0])
        assert cutter._slots.num_free == cutter._slots.size


def test_memory_is_used_again_and_never_shared(pictures):
    paths = [pictures / "photo.jpg"]
    bytes_ = count(paths) * SIZE * SIZE * 3
    with Cutter(SIZE, processes=1, shared_bytes=2 * bytes_) as cutter:
        first, second, third = (cutter.cut(paths, count(paths)) for _ in range(3))
        assert [tiles.place for tiles in (first, second, third)] == [(0, bytes_), (bytes_, bytes_), None]
        second.release()
        fourth = cutter.cut([pictures / "square.png"], count([pictures / "square.png"]))
        assert fourth.place[0] == bytes_
        np.testing.assert_array_equal(first.array, expected(paths)[0])
        np.testing.assert_array_equal(third.array, expected(paths)[0])


def test_a_worker_that_was_killed_is_replaced(pictures):
    paths = [pictures / "tall.png"]
    with Cutter(SIZE, processes=1) as cutter:
        cutter.cut(paths, count(paths)).release()
        (worker,) = cutter._all
        worker.process.kill()
        worker.process.wait()
        tiles = cutter.cut(paths, count(paths))
        np.testing.assert_array_equal(tiles.array, expected(paths)[0])
        assert tiles.place is not None
        assert cutter._all != [worker]


def test_a_decoder_that_crashes_once_is_tried_again(pictures, tmp_path, habits):
    mark = tmp_path / "crashed"
    habits(f"""
def decode(path):
    if path.name == "tall.png" and not os.path.exists({str(mark)!r}):
        open({str(mark)!r}, "w").close()
        os.abort()
    return real(path)
""")
    paths = [pictures / "tall.png"]
    with Cutter(SIZE, processes=1) as cutter:
        tiles = cutter.cut(paths, count(paths))
        assert mark.exists()
        np.testing.assert_array_equal(tiles.array, expected(paths)[0])


def test_a_picture_that_crashes_every_decoder_is_refused_and_the_others_are_cut(pictures, habits):
    habits("""
def decode(path):
    if path.name == "tall.png":
        os.kill(os.getpid(), 11)
    return real(path)
""")
    with Cutter(SIZE, processes=2) as cutter, ThreadPoolExecutor(2) as pool:
        bad = pool.submit(cutter.cut, [pictures / "tall.png"], 3)
        fine = [[pictures / name] for name in ("wide.png", "dot.png")]
        others = [pool.submit(cutter.cut, paths, count(paths)) for paths in fine]
        with pytest.raises(ImageRefused, match=r"tall.png: decoding ended its process \(-11\)"):
            bad.result()
        for paths, future in zip(fine, others, strict=True):
            np.testing.assert_array_equal(future.result().array, expected(paths)[0])


def test_what_a_library_prints_is_no_answer(pictures, habits):
    habits("""
def decode(path):
    print('{"counts": [99]}', flush=True)
    os.write(1, b"noise")
    return real(path)
""")
    paths = [pictures / "square.png"]
    with Cutter(SIZE, processes=1) as cutter:
        np.testing.assert_array_equal(cutter.cut(paths, count(paths)).array, expected(paths)[0])


def test_workers_end_with_the_cutter(pictures):
    paths = [pictures / "square.png"]
    with Cutter(SIZE, processes=2) as cutter:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: cutter.cut(paths, count(paths)), range(4)))
        workers = list(cutter._all)
        assert all(worker.process.poll() is None for worker in workers)
    assert [worker.process.poll() for worker in workers] == [0] * len(workers)


def test_a_worker_ends_when_its_engine_is_killed(pictures):
    """Killed, it closes nothing: the worker sees the end of its input."""
    code = (
        "import sys, os; from pathlib import Path; from judge.engines.preparing import Cutter\n"
        f"cutter = Cutter({SIZE}, processes=1); cutter.cut([Path(sys.argv[1])], 1)\n"
        "print(len(cutter._all), flush=True); os.kill(os.getpid(), 9)"
    )
    # the worker has inherited the pipe: this returns when both have ended, or fails
    command = [sys.executable, "-c", code, str(pictures / "dot.png")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert (done.returncode, done.stdout) == (-9, b"1\n")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH is of Python 3.11")
def test_the_working_folder_is_not_imported_from(pictures, tmp_path, monkeypatch):
    (tmp_path / "judge.py").write_text("raise SystemExit('imported from the working folder')")
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)
    paths = [pictures / "square.png"]
    with Cutter(SIZE, processes=1) as cutter:
        assert cutter.cut(paths, count(paths)).place is not None


def test_without_workers_there_is_no_file(monkeypatch):
    monkeypatch.setattr(preparing, "_anonymous_file", lambda: pytest.fail("a file was made"))
    with Cutter(SIZE) as cutter:
        assert cutter.processes == 0


def test_a_file_of_its_own_where_the_system_has_no_memory_files(pictures, monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    paths = [pictures / "wide.png"]
    before = threading.active_count()
    with Cutter(SIZE, processes=1, shared_bytes=1 << 20) as cutter:
        tiles = cutter.cut(paths, count(paths))
        assert tiles.place is not None
        np.testing.assert_array_equal(tiles.array, expected(paths)[0])
    assert threading.active_count() == before


def test_paths_are_data(tmp_path):
    folder = Path(str(tmp_path / 'a "quoted"\nname \udcff'))
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system does not take such a name")
    Image.new("RGB", (30, 30), "red").save(folder / "x.png")
    with Cutter(SIZE, processes=1) as cutter:
        tiles = cutter.cut([folder / "x.png"], 1)
        assert tiles.place is not None
        assert tiles.array.shape == (1, SIZE, SIZE, 3)
