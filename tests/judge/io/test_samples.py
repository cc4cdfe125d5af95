"""samples.jsonl: what is kept, what is named, and what a folder of somebody else's may not do."""

import hashlib
import json
from pathlib import Path

import pytest

from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.io import files, samples
from judge.io.samples import Drawn, Missing, Sample


def png(folder, name, content):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return Picture(path, f"./{name}")


@pytest.fixture
def two(tmp_path):
    data = tmp_path / "data"
    first = Sample("a", 0, "X", (Text("Why?"), png(data, "a.PNG", b"one")), (Text("So."), Missing("out/7.png")), "B")
    second = Sample("b", None, None, (png(data, "b.jpeg", b"two"),), ())
    return [first, second]


def kept(content, suffix):
    return f"images/{hashlib.sha256(content).hexdigest()[:16]}{suffix}"


def test_written_and_read_back(two, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    path = samples.write_samples(out, two)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"id": "a", "index": 0, "category": "X", "truth": "B",
         "question": [{"text": "Why?"}, {"image": kept(b"one", ".png")}],
         "answer": [{"text": "So."}, {"missing": "out/7.png"}]},
        {"id": "b", "index": None, "category": None, "truth": None,
         "question": [{"image": kept(b"two", ".jpeg")}], "answer": []},
    ]  # fmt: skip
    first, second = samples.read_samples(out)
    assert first.answer == two[0].answer
    assert [picture.path.read_bytes() for picture in (*first.pictures, *second.pictures)] == [b"one", b"two"]
    assert all(picture.path.is_relative_to(out / "images") for picture in first.pictures)


def test_how_a_picture_was_drawn_and_who_failed_come_back(tmp_path):
    drawn = (Drawn("a cup", 7, 1.94), Drawn(prompt="x"), Drawn(seed=0), Drawn())
    failed = {"reason": "call_failed", "by": "painter", "note": "503"}
    told = Sample("a", 0, "X", (), (Text("So."), png(tmp_path / "data", "a.png", b"one"), *drawn), None, failed)
    samples.write_samples(tmp_path, [told, Sample("b", 1, "X", (), ())])
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert rows[0]["answer"][2:] == [
        {"drawn": {"prompt": "a cup", "seed": 7, "seconds": 1.94}},
        {"drawn": {"prompt": "x"}},
        {"drawn": {"seed": 0}},
        {"drawn": {}},
    ]
    assert (rows[0]["failed"], "failed" in rows[1]) == (failed, False)
    first, second = samples.read_samples(tmp_path)
    assert (first.answer[2:], first.failed, second.failed) == (drawn, failed, None)
    assert [str(piece) for piece in drawn] == [
        "drawn from: a cup · seed 7 · 1.9 s", "drawn from: x", "drawn · seed 0", "drawn",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "drawn", ["a cup", {"prompt": 3}, {"seed": "7"}, {"seed": True}, {"file": "/etc/passwd"}, None]
)
def test_what_does_not_say_how_a_picture_was_drawn_is_refused(tmp_path, drawn):
    samples.write_samples(tmp_path, [Sample("a", 0, "X", (), (Drawn("x"),))])
    path = tmp_path / "samples.jsonl"
    path.write_text(path.read_text().replace('{"prompt": "x"}', json.dumps(drawn)))
    with pytest.raises(UserError, match="drawn must have"):
        samples.read_samples(tmp_path)


@pytest.mark.parametrize(
    ("singled_out", "keep", "names"),
    [
        ((), False, []),
        ([("a", 0)], False, [kept(b"one", ".png")]),
        ([("a", None)], False, []),  # another question
        ((), True, [kept(b"one", ".png"), kept(b"two", ".jpeg")]),
    ],
)
def test_of_many_pictures_those_singled_out_are_kept(two, tmp_path, monkeypatch, singled_out, keep, names):
    monkeypatch.setattr(samples, "KEPT_BYTES", 5)  # the two pictures have 3 + 3 bytes
    out = tmp_path / "out"
    out.mkdir()
    samples.write_samples(out, two, singled_out, keep_images=keep)
    assert sorted(str(path.relative_to(out)) for path in out.glob("images/*")) == sorted(names)
    assert [picture.name for sample in samples.read_samples(out) for picture in sample.pictures] == names


def test_a_picture_that_has_gone_is_missing(two, tmp_path):
    two[1].question[0].path.unlink()
    samples.write_samples(tmp_path, two)
    assert samples.read_samples(tmp_path)[1].question == (Missing("./b.jpeg"),)


def test_a_link_to_a_picture_is_kept_as_the_picture(two, tmp_path):
    """The commands' own paths have their links resolved (`judge.io.image_paths.below`); those of callers may not."""
    target = two[0].question[1].path
    moved = target.rename(target.with_name("blob"))
    target.symlink_to("blob")
    out = tmp_path / "out"
    out.mkdir()
    samples.write_samples(out, two)
    moved.unlink()
    (picture,) = samples.read_samples(out)[0].pictures
    assert not picture.path.is_symlink()
    assert picture.path.read_bytes() == b"one"


def test_a_copy_that_was_interrupted_is_made_again(two, tmp_path, monkeypatch):
    def no_links(*paths):
        raise OSError

    def half(source, target):
        target.write_bytes(source.read_bytes()[:1])
        raise KeyboardInterrupt

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(files.os, "link", no_links)
    with monkeypatch.context() as dying:
        dying.setattr(files.shutil, "copyfile", half)
        with pytest.raises(KeyboardInterrupt):
            samples.write_samples(out, two)
    samples.write_samples(out, two)
    assert [picture.path.read_bytes() for sample in samples.read_samples(out) for picture in sample.pictures] == [
        b"one",
        b"two",
    ]
    assert len(list((out / "images").iterdir())) == 2


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "images/../../secret.png", "images/x.png", ""])
def test_a_picture_under_another_name_is_missing(tmp_path, name):
    row = {"id": "a", "index": 0, "category": None, "truth": None, "question": [{"image": name}], "answer": []}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    assert samples.read_samples(tmp_path)[0].question == (Missing(name),)


@pytest.mark.parametrize("linked", ["picture", "folder"])
def test_a_kept_name_that_leads_elsewhere_is_missing(tmp_path, linked):
    """A report would embed the file, and publishing would send it."""
    name, out, secret = kept(b"key", ".png"), tmp_path / "out", tmp_path / "secret"
    secret.mkdir()
    (secret / Path(name).name).write_bytes(b"key")
    out.mkdir()
    if linked == "folder":
        (out / "images").symlink_to(secret)
    else:
        (out / "images").mkdir()
        (out / name).symlink_to(secret / Path(name).name)
    row = {"id": "a", "index": 0, "category": None, "truth": None, "question": [{"image": name}], "answer": []}
    (out / "samples.jsonl").write_text(json.dumps(row) + "\n")
    assert samples.read_samples(out)[0].question == (Missing(name),)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "a"}',
        '{"id": 1, "index": 0, "category": null, "truth": null, "question": [], "answer": []}',
        '{"id": "a", "index": 0, "category": null, "truth": null, "question": [{"text": 1}], "answer": []}',
        '{"id": "a", "index": 0, "category": null, "truth": null, "question": [{"sound": "x"}], "answer": []}',
        '{"id": "a", "index": 0, "category": null, "truth": null, "question": [{}], "answer": []}',
    ],
)
def test_a_broken_line_is_named(tmp_path, line):
    (tmp_path / "samples.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1 is not a sample"):
        samples.read_samples(tmp_path)


def test_a_folder_without_samples(tmp_path):
    assert samples.read_samples(tmp_path) == []
