"""Names from data and models stay below their root."""

import os

import pytest

from judge.io.image_paths import ImageRefused, below


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a b.png").write_bytes(b"x")
    (folder / "...png").write_bytes(b"x")
    (tmp_path / "outside.png").write_bytes(b"x")
    (folder / "out.png").symlink_to(tmp_path / "outside.png")
    (folder / "in.png").symlink_to(folder / "images" / "a b.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "fifo.png")
    return folder


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("images/a b.png", "images/a b.png"),
        ("./images/a b.png", "images/a b.png"),
        ("images//a b.png", "images/a b.png"),
        ("in.png", "images/a b.png"),
        ("...png", "...png"),
    ],
)
def test_inside(root, name, target):
    assert below(root, name) == (root / target).resolve()


def test_a_file_of_10_gb_is_refused_by_its_size(root, monkeypatch):
    """Before anybody hashes, copies or decodes it: nothing here opens a file."""
    with (root / "images" / "huge.png").open("wb") as file:
        file.truncate(10 * 10**9)  # a hole: it takes no room on the disk
    (root / "huge.png").symlink_to(root / "images" / "huge.png")
    monkeypatch.setattr(os, "open", None)
    for name in ("images/huge.png", "huge.png"):
        with pytest.raises(ImageRefused, match="10000000000 bytes, must be 1 to 134217728") as refused:
            below(root, name)
        assert refused.value.reason == "image_refused"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("images/missing.png", "image_missing"),
        ("images/a b.png/x.png", "image_missing"),
        ("", "image_refused"),
        (".", "image_refused"),
        ("images", "image_refused"),
        ("fifo.png", "image_refused"),
        ("../outside.png", "image_refused"),
        ("images/../images/a b.png", "image_refused"),
        ("images\\..\\..\\outside.png", "image_refused"),
        ("/etc/passwd", "image_refused"),
        ("C:\\windows\\a.png", "image_refused"),
        ("\\\\host\\share\\a.png", "image_refused"),
        ("out.png", "image_refused"),
        ("up/outside.png", "image_refused"),
        ("loop", "image_refused"),
        ("images/a b.png\x00.jpg", "image_refused"),
        ("a\nb.png", "image_refused"),
        ("a" * 300 + ".png", "image_refused"),
        ("a/" * 600 + "b.png", "image_refused"),
        ("\ud800.png", "image_refused"),
    ],
)
def test_outside_or_nothing(root, name, reason):
    with pytest.raises(ImageRefused) as refusal:
        below(root, name)
    assert refusal.value.reason == reason
    assert len(refusal.value.message) < 400
    refusal.value.message.encode()  # can be printed
    # it goes into verdicts: no folder of this machine
    assert str(root) not in refusal.value.message
    assert "/etc" not in refusal.value.message
