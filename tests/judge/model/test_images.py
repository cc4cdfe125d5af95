"""Decoding outcomes for every kind of file, and tiles bit-equal to Pillow 10.4 and 13.0 on the installed Pillow."""

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import folders
import numpy as np
import PIL
import pytest
from PIL import Image, ImageFile

from judge.core.request import Picture
from judge.io.image_paths import ImageRefused
from judge.model import images
from judge.model.images import (
    LIMITS,
    Limits,
    count_tiles,
    cut_tiles,
    decode_image,
    pixel_values,
    read_image_size,
    tile_grid,
)

GOLDEN = folders.GOLDEN
CASES = [case for case in json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"] if case["images"]]
INSTALLED = int(PIL.__version__.split(".")[0])


def sha256(array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_tiles_and_pixel_values(case):
    files = [GOLDEN / "images" / name for name in case["images"]]
    cut = [cut_tiles(decode_image(file), size=56, pillow=13) for file in files]  # recorded with Pillow 13
    assert (
        [len(t) for t in cut]
        == [count_tiles(*read_image_size(file), size=56) for file in files]
        == case["num_patches_list"]
    )
    together = np.concatenate(cut)
    assert sha256(together) == case["tiles_u8_sha256"]
    values = pixel_values(together)
    assert (values.dtype, list(values.shape)) == (np.float32, case["pixel_values_shape"])
    assert sha256(values) == case["pixel_values_sha256"]


def picture(width: int, height: int) -> Image.Image:
    """Noise-like, the same everywhere."""
    y, x, c = np.ogrid[:height, :width, :3]
    return Image.fromarray(((x * x * 37 + y * y * 91 + x * y * (c + 3) + c * 53) // 7 % 256).astype(np.uint8))


# width, height, tile, tiles, SHA-256 of the tiles with Pillow 10.4.0, and with 13.0.0 where that differs. Recorded in
# an environment with that Pillow by the reference's own steps: `image.resize((columns * tile, rows * tile))` in one
# call, a `crop` for each tile row by row, `image.resize((tile, tile))` as the thumbnail of more than one.
RECORDED = [
    (768, 1344, 448, 9, "1f9c25a1e3dad17a9bf4fc5a5a26b22bdb8f6cce49c3113bc7c32a7debf1c53d",
     "777d68e2bdfd9dd741896c5a25c3726b595441cd1864dc129b0ff7ae20cb6f95"),
    (1344, 768, 448, 9, "53fd558c616425af6918290c6ba121299ce94c41c6ae7e9c44e5524e605c65bc", None),
    (640, 480, 112, 13, "9d3a720011aca2ed2f073257414b555fc7915c908c71337a8a98e0cde78a95f2", None),
    (67, 117, 56, 3, "737ec31e3d230b096df53d932a72e322d60305e9f22326564e053ac758670e5e",
     "def2b66e9a426655dbbfc3e567bbbe8034537cdb7eb7a4a9f5edc401200cef25"),
    (9, 150, 56, 13, "c3b3160e20e6f276beed0d998fcf142895ccdd145be0c08aafe1c1b8876b388b",
     "4b1e2ffaabe336443070ebbbc17162b5e47932c9536b6eca7f48f28c64757f31"),
    (117, 67, 56, 7, "d9b75ce7304243fe974ae9a1c476f65ddc36f10f7915f8aad1d2b8dfb21eb364", None),
    (449, 1000, 112, 11, "5d8460f97d921558adf2d57df919d24444288a8ddf637307e3ab4adfcd65037e",
     "0e6567f50b62712b198602e8d63ecc77876e91466b626940e8f52f836c5761e4"),
    (50, 3000, 56, 13, "1340ccd79901ee7907160b29990d66b24dab9622483337848c52ee13b109ff45",
     "e691349073e6fcd4e238347448f4f809d5cbd45b442136633ba73829f80db056"),
    (1, 1, 56, 1, "db68ad5bd17b378ea092a70467a2f115ea422c8e8aaec62a9af391917c6bb5ee", None),
    (20000, 20, 56, 13, "036fc91272a320006548377dbe003273be271fdbd97bc2b288d588a4c538e263", None),
    (20, 20000, 56, 13, "a2a6dbd99fd09661fc2cd80774eb084f78c8d893e178ae8f8ba39a2279a00ecf",
     "a0853a3683eeeec057476b80e10840c538eb8cedafb5bc118c25f79b8cfc594f"),
    (448, 448, 448, 1, "d54856066acfbb22910ffa162c1ba42bdfb0521d7ea6e2145b8dcbcbb3a345a7", None),
    (300, 299, 56, 10, "4d5489c9ac4d6ce7ae0385fc94a6962b4aa807944041df3684e3909356f7b042", None),
    (22, 60, 56, 4, "63b37e57a823ffa7ddf8c37fae044ed9c06d6ef713363103bb81a4b8846169d9",
     "870ffec4b603e493a57c14f1483648fdaa2c3c0088c04136aa0497198fd9ca1d"),
]  # fmt: skip


@pytest.mark.parametrize(("width", "height", "size", "count", "ten", "thirteen"), RECORDED)
def test_tiles_are_those_of_pillow_10_and_13(width, height, size, count, ten, thirteen):
    image = picture(width, height)
    assert len(cut_tiles(image, size)) == count == count_tiles(width, height, size)
    assert sha256(cut_tiles(image, size)) == ten
    assert sha256(cut_tiles(image, size, pillow=13)) == (thirteen or ten)


def test_one_call_of_the_installed_pillow_gives_the_same_bytes():
    """The rule for the order of passes, against the Pillow at hand, on shapes that nobody chose."""
    numbers = np.random.default_rng(0).integers(3, 90, size=(150, 2))
    for width, height in numbers.tolist():
        image = picture(width, height)
        columns, rows = tile_grid(width, height, size=28)
        whole = np.asarray(image.resize((columns * 28, rows * 28)))
        cut = cut_tiles(image, size=28, pillow=INSTALLED)
        np.testing.assert_array_equal(cut[columns - 1], whole[:28, -28:])
        np.testing.assert_array_equal(cut[columns * rows - 1], whole[-28:, -28:])


@pytest.mark.parametrize(
    ("width", "height", "shape", "count"),
    [
        (448, 448, (1, 1), 1),  # one tile has no thumbnail
        (633, 633, (1, 1), 1),  # 633² = 400,689 is not over half of 2x2 tiles, 0.5 · 4 · 448² = 401,408
        (634, 634, (2, 2), 5),  # 634² = 401,956 is
        (1024, 1024, (3, 3), 10),  # 1,048,576 is over 0.5 · 9 · 448² = 903,168
        (500, 375, (4, 3), 13),  # 4:3 exactly, however small
        (1280, 720, (4, 2), 9),  # 1.78 lies nearer to 2 than to 1.5
        (1, 10_000, (1, 12), 13),
    ],
)
def test_grid(width, height, shape, count):
    assert tile_grid(width, height) == shape
    assert count_tiles(width, height) == count
    assert count_tiles(width, height, use_thumbnail=False) == shape[0] * shape[1]


def test_every_level_is_normalised_as_the_table_says():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    values = pixel_values(np.concatenate([levels, levels[:, ::-1], levels], axis=3))
    for channel, read in enumerate((levels, levels[:, ::-1], levels)):
        assert (values[:, channel] == images.NORMALISED[:, channel][read[..., 0]]).all()
    assert images.NORMALISED[255] == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])


def test_fewer_tiles_and_no_thumbnail():
    # 4:3 with at most 6 tiles: 1.33 lies nearest to 3:2 (1.5); 6 = 3 x 2
    assert tile_grid(640, 480, max_num=6) == (3, 2)
    assert cut_tiles(picture(64, 48), 28, max_num=6, use_thumbnail=False).shape == (6, 28, 28, 3)


def png(width: int, height: int, data: bytes) -> bytes:
    """An 8-bit grey PNG whose header says width x height, whatever the data hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif_rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    return saved(Image.new("RGB", (6, 4), (9, 9, 9)), "PNG", exif=exif)


def animated() -> bytes:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def half_transparent() -> bytes:
    return saved(Image.new("RGBA", (3, 2), (10, 20, 30, 0)), "PNG")


# name, bytes, size, the pixel in the middle
DECODED = [
    ("16-bit grey, saturated as in the reference", saved(Image.fromarray(np.full((2, 3), 256, np.uint16)), "PNG"),
     (3, 2), (255, 255, 255)),
    ("16-bit grey, dark", saved(Image.fromarray(np.full((2, 3), 100, np.uint16)), "PNG"), (3, 2), (100, 100, 100)),
    # (255 - C) · (255 - K) / 255 with C = 0, 100, 200 and K = 0
    ("CMYK", saved(Image.new("CMYK", (3, 2), (0, 100, 200, 0)), "TIFF"), (3, 2), (255, 155, 55)),
    ("animated GIF, first frame", animated(), (5, 4), (255, 0, 0)),
    ("EXIF rotation is not applied", exif_rotated(), (6, 4), (9, 9, 9)),
    ("alpha is dropped, not blended", half_transparent(), (3, 2), (10, 20, 30)),
    ("wrong suffix", saved(Image.new("RGB", (3, 2), (1, 2, 3)), "BMP"), (3, 2), (1, 2, 3)),
    ("1 x 1", saved(Image.new("L", (1, 1), 7), "PNG"), (1, 1), (7, 7, 7)),
    ("20,000 x 20", saved(Image.new("L", (20_000, 20), 7), "PNG"), (20_000, 20), (7, 7, 7)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "size", "pixel"), DECODED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_decoded_by_content(tmp_path, name, data, size, pixel):
    path = tmp_path / "picture.jpg"  # never a JPEG
    path.write_bytes(data)
    image = decode_image(path)
    assert (image.mode, image.size, read_image_size(path)) == ("RGB", size, size)
    assert image.getpixel((size[0] // 2, size[1] // 2)) == pixel
    assert cut_tiles(image, size=28).shape[1:] == (28, 28, 3)


SLOPE = np.linspace(0, 65_535, 64 * 4).reshape(4, 64)  # 257 a step: 0, 257, 514, … 65,535, the 256 levels of 8 bits
LEVELS = np.arange(256, dtype=np.uint8).reshape(4, 64)
DEEP = [
    ("I;16 PNG", "PNG", SLOPE.astype(np.uint16), LEVELS),
    ("I;16 TIFF", "TIFF", SLOPE.astype(np.uint16), LEVELS),
    ("PGM of 16 bits", "PPM", SLOPE.astype(np.uint16), LEVELS),
    ("I;16 PNG, dark", "PNG", np.arange(256, dtype=np.uint16).reshape(4, 64), (LEVELS > 128).astype(np.uint8)),
    ("I TIFF", "TIFF", (SLOPE * 30_000).astype(np.int32), LEVELS),
    ("I TIFF of 8 bits", "TIFF", LEVELS.astype(np.int32), LEVELS),
    ("F TIFF of shares", "TIFF", (SLOPE / 65_535).astype(np.float32), LEVELS),
    ("F TIFF of 8 bits", "TIFF", LEVELS.astype(np.float32), LEVELS),
    ("F TIFF of 16 bits", "TIFF", SLOPE.astype(np.float32), LEVELS),
    ("F TIFF around 0", "TIFF", (SLOPE - 30_000).astype(np.float32), LEVELS),
    ("F TIFF without a number", "TIFF", np.full((4, 64), np.nan, np.float32), LEVELS * 0),
    ("8 bits", "PNG", LEVELS, LEVELS),
]


@pytest.mark.parametrize(("name", "kind", "levels", "expected"), DEEP, ids=[case[0] for case in DEEP])
def test_more_than_8_bits_are_scaled_or_clipped(tmp_path, name, kind, levels, expected):
    path = tmp_path / "picture"
    path.write_bytes(saved(Image.fromarray(levels), kind))
    scaled = np.asarray(decode_image(path, scaled=True))
    assert scaled.shape == (4, 64, 3)
    assert (scaled == expected[..., None]).all()
    with Image.open(path) as image:
        assert (np.asarray(decode_image(path)) == np.asarray(image.convert("RGB"))).all()


def whole_jpeg() -> bytes:
    return saved(picture(64, 48), "JPEG")


REFUSED = [
    ("zero bytes", b"", "0 bytes"),
    ("truncated JPEG", whole_jpeg()[:-400], "truncated"),
    ("truncated PNG", saved(picture(64, 48), "PNG")[:-2000], "cannot be decoded"),
    ("header cut off", whole_jpeg()[:20], "cannot be decoded"),
    ("not an image", b"<html>not an image</html>", "cannot be decoded"),
    ("a PNG header without a PNG", png(8, 8, b"")[:40], "cannot be decoded"),
    # 100,000 x 100,000 pixels from some 100 bytes
    ("bomb", png(100_000, 100_000, b""), "cannot be decoded|over the limit"),
    # 9,460² = 89,491,600 is just over the 89,478,485 pixels that are let through
    ("over the pixel limit", png(9_460, 9_460, b""), "over the limit"),
    ("over the side limit", png(65_536, 1, b"\0" * 65_537), "over the limit"),
    ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "cannot be decoded"),
]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "data", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_refused(tmp_path, name, data, message):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(ImageRefused, match=message) as refusal:
        decode_image(path)
    assert refusal.value.reason == "image_refused"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("data", [None, *(data for _, data, _ in REFUSED)])
def test_a_refusal_says_the_same_in_every_folder_and_run(tmp_path, data):
    # it goes into verdicts, which are compared and published
    said = []
    for folder in (tmp_path / "a", tmp_path / "another" / "one"):
        folder.mkdir(parents=True)
        path = folder / "picture.png"
        if data is not None:
            path.write_bytes(data)
        for name in ("./images/step-1.png", str(path), "\x1b[2J\u202e.png"):
            for look in (decode_image, read_image_size):
                try:
                    look(Picture(path, name))
                except ImageRefused as refused:
                    said.append((name if name != str(path) else "", look.__name__, refused.message))
    assert len(set(said)) * 2 == len(said) > 0
    for _, _, message in said:
        assert message.startswith(("./images/step-1.png: ", "picture.png: ", "\\x1b[2J\\u202e.png: "))
        assert str(tmp_path) not in message
        assert not re.search(r"0x[0-9a-f]{4}|BytesIO|name=\d|Errno", message)


# name, file, whether its size is found without Pillow
HEADERS = [
    ("baseline", saved(picture(61, 47), "JPEG"), True),
    ("progressive", saved(picture(61, 47), "JPEG", progressive=True), True),
    ("grey", saved(picture(61, 47).convert("L"), "JPEG"), True),
    ("CMYK", saved(picture(61, 47).convert("CMYK"), "JPEG"), True),
    ("with a profile and a comment", saved(picture(61, 47), "JPEG", icc_profile=b"p" * 3000, comment=b"c" * 50), True),
    ("with a profile as long as the header", saved(picture(61, 47), "JPEG", icc_profile=b"p" * 9000), False),
    ("PNG", saved(picture(61, 47), "PNG"), True),
    ("palette PNG", saved(picture(61, 47).convert("P"), "PNG"), True),
    ("WebP", saved(picture(61, 47), "WEBP"), False),
    ("GIF", saved(picture(61, 47), "GIF"), False),
]


@pytest.mark.parametrize(("name", "data", "quick"), HEADERS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_size_is_that_of_pillow(tmp_path, monkeypatch, name, data, quick):
    path = tmp_path / "picture"
    path.write_bytes(data)
    assert Image.open(path).size == (61, 47)
    asked = []
    monkeypatch.setattr(images, "_formats", lambda: asked.append(1) or ("JPEG", "PNG", "WEBP", "GIF"))
    assert read_image_size(path) == (61, 47)
    assert (not asked) == quick


@pytest.mark.parametrize(
    "data",
    [
        png(8, 8, b"").replace(b"\0\0\0\x08\x08", b"\0\0\0\x09\x08"),  # the check sum is that of a height of 8
        png(0, 8, b""),
        b"\xff\xd8\xff",
        b"\xff\xd8" + b"\0" * 40,
        b"\xff\xd8\xff\xe0\0\x01" + b"\0" * 40,  # a segment shorter than its length
        b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\0" + b"\0" * 40,  # 0 x 0
    ],
)
def test_a_broken_header_is_left_to_pillow(tmp_path, data):
    path = tmp_path / "picture"
    path.write_bytes(data)
    with pytest.raises(ImageRefused, match="cannot be decoded"):
        read_image_size(path)


def test_a_size_over_the_limit_is_refused_by_the_header(tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(png(9_460, 9_460, b""))
    with pytest.raises(ImageRefused, match="9460 x 9460 pixels is over the limit"):
        read_image_size(path)


def test_a_probe_reads_the_header_and_no_more(tmp_path, monkeypatch):
    path = tmp_path / "picture.jpg"
    path.write_bytes(whole_jpeg())
    os.truncate(path, LIMITS.bytes)  # a hole of 128 MB behind the picture
    monkeypatch.setattr(images, "_bytes", lambda *_: pytest.fail("the whole file was read"))
    tracemalloc.start()
    try:
        assert read_image_size(path) == (64, 48)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    os.truncate(path, LIMITS.bytes + 1)
    with pytest.raises(ImageRefused, match="134217729 bytes, must be 1 to 134217728"):
        read_image_size(path)


def test_the_largest_that_is_let_through(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(png(65_535, 1, b"\0" * 65_536))
    assert decode_image(path).size == read_image_size(path) == (65_535, 1)
    path.write_bytes(b"\0" * 11)
    with pytest.raises(ImageRefused, match="11 bytes, must be 1 to 10"):
        decode_image(path, Limits(bytes=10))
    assert LIMITS.pixels == 89_478_485  # Pillow's own warning mark: 1024³ / 4 / 3


def test_truncation_is_refused_even_where_a_framework_switched_that_off(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole_jpeg()[:-400])
    with pytest.raises(ImageRefused, match="truncated"):
        decode_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # theirs again


def test_threads_decode_side_by_side(tmp_path, monkeypatch):
    """The switch is shared: it is restored when the last thread is done, and no earlier."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(whole_jpeg())
    cut.write_bytes(whole_jpeg()[:-400])

    def outcome(path):
        try:
            return decode_image(path).size
        except ImageRefused as refused:
            return refused.reason

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(outcome, [whole, cut] * 200))
    assert outcomes == [(64, 48), "image_refused"] * 200
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_only_the_first_frame_is_read(tmp_path):
    data = animated()
    path = tmp_path / "broken-later.gif"
    path.write_bytes(data[:-30])  # the last frame is cut
    assert decode_image(path).getpixel((2, 2)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "image_missing"),
        (lambda path: path.mkdir(), "image_refused"),
        (lambda path: os.mkfifo(path), "image_refused"),
        (lambda path: path.symlink_to("/dev/zero"), "image_refused"),
        (lambda path: path.symlink_to(path.with_name("nothing")), "image_missing"),
    ],
    ids=["missing", "folder", "fifo", "device", "dangling link"],
)
def test_what_is_no_file_neither_hangs_nor_crashes(tmp_path, make, reason):
    path = tmp_path / "picture.png"
    make(path)
    for read in (decode_image, read_image_size):
        with pytest.raises(ImageRefused) as refusal:
            read(path)
        assert refusal.value.reason == reason


def test_neither_torch_nor_transformers_is_needed():
    code = "import sys, judge.model.images, judge.model.conversation; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
