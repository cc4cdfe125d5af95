"""Runs that are exported, scored once."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported import score_mmvu, score_odd_mmie


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Results folders: hasty, careful and part (20 of 48) of MMVU, odd of MMIE."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "hasty": score_mmvu(folder / "hasty", "hasty"),
        "careful": score_mmvu(folder / "careful", "careful"),
        "part": score_mmvu(folder / "part", "hasty", partial=20),
        "odd": score_odd_mmie(folder / "mmie"),
    }
