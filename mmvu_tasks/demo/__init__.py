"""The bundled demo of MMVU: 24 pairs on drawn pictures, two in each of the 12 categories.

    BENCHMARK.load(demo_dir())   ->  48 records

Texts and pictures were made for this project.
"""

from __future__ import annotations

from pathlib import Path


def demo_dir() -> Path:
    """Folder in the published layout: `MMR-benchmark.json` and `MMR-benchmark-images/`."""
    return Path(__file__).parent / "data"
