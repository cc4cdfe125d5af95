"""The bundled demo of MMIE: 15 drawn items over its three categories, and a tiny judge trained on their like.

    BENCHMARK.load(demo_dir())   ->  15 records
    Tokenizer.from_folder(judge_dir())

Texts and pictures were made for this project; the judge's own account is `judge/README.md`.
"""

from __future__ import annotations

from pathlib import Path


def demo_dir() -> Path:
    """Folder in the published layout: `data.json` and `images/`."""
    return Path(__file__).parent / "data"


def judge_dir() -> Path:
    """Folder of the tiny judge, in the original InternVL2 layout."""
    return Path(__file__).parent / "judge"
