"""What the MMVU tests share: the published v1 file where it is there, and small files in its format."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folders
import pytest
from PIL import Image

PUBLISHED = folders.SHARED / "data" / "mmr-v1" / "MMR-benchmark.json"
needs_published = pytest.mark.skipif(not PUBLISHED.is_file(), reason="../shared/data/mmr-v1 is absent")

QUESTION = "Is the clock round?\nA. It is square.\nB.It is round.\nC. It is oval.\nD. There is no clock."


def row(id_: str = "attribute/shape/07", kind: str = "POS", truth: str = "B", **changed: Any) -> dict[str, Any]:
    made = {"id": id_, "image": f"{id_}.jpg", "question": QUESTION, "ground_truth": truth, "question_type": kind}
    return {**made, **changed}


def pair(id_: str = "attribute/shape/07") -> list[dict[str, Any]]:
    return [row(id_), row(id_, "NEG", "C")]


def write(folder: Path, rows: Sequence[Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "MMR-benchmark.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def jpeg(size: tuple[int, int] = (8, 6)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(stream, "JPEG")
    return stream.getvalue()


def pack(archive: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return archive
