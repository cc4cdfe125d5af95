"""Bytes that are said to be a picture."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from judge.errors import UserError
from judge.systems.pictures import TooLarge, decode_base64, keep_picture


def encoded(kind: str = "PNG", size: tuple[int, int] = (5, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("WEBP", ".webp")])
def test_a_picture_is_kept_once_under_its_hash(tmp_path, kind, suffix):
    data = encoded(kind)
    kept = keep_picture(data, tmp_path)
    assert (kept.path.suffix, kept.path.read_bytes(), kept.problem) == (suffix, data, None)
    before = kept.path.stat().st_mtime_ns
    assert keep_picture(data, tmp_path) == kept
    assert kept.path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [kept.path]


def test_a_picture_that_was_cut_off_on_the_disk_is_written_again(tmp_path):
    kept = keep_picture(encoded(), tmp_path)
    kept.path.write_bytes(b"")
    assert keep_picture(encoded(), tmp_path).path.read_bytes() == encoded()


@pytest.mark.parametrize("data", [b"", b"<html>", encoded()[:40], encoded(size=(9000, 10000))[:200]])
def test_what_is_no_picture_is_kept_and_named(tmp_path, data):
    kept = keep_picture(data, tmp_path)
    assert kept.problem
    assert kept.path.read_bytes() == data


def test_a_picture_has_a_most(tmp_path):
    with pytest.raises(TooLarge, match="a picture of 101 bytes; at most 100 are kept"):
        keep_picture(bytes(101), tmp_path, most=100)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        keep_picture(encoded(), tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("aGFsbG8=", b"hallo"),
        ("aGFsbG8", b"hallo"),
        ("aGFs\r\n bG8=\n", b"hallo"),
        (base64.urlsafe_b64encode(b"\xff\xfe\xfd>?").decode(), b"\xff\xfe\xfd>?"),
        ("a", b""),
        ("ä", b""),
        ("", b""),
    ],
)
def test_base64_is_read_in_its_forms(text, data):
    assert decode_base64(text) == data


def test_base64_is_measured_before_it_is_decoded():
    with pytest.raises(TooLarge, match="about 75,000 bytes"):
        decode_base64("A" * 100_000, most=3000)
