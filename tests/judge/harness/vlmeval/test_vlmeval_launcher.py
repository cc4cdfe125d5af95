"""The launcher's own decisions: what counts as a failure, whom to warn about pictures, where run.py is."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from surroundings import ABSENT

from judge.errors import UserError
from judge.harness.vlmeval import launcher, registration

# not imported here: that takes ten seconds of every process that collects tests
pytestmark = pytest.mark.skipif("vlmeval" in ABSENT, reason="ms-vlmeval is not installed")

SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
AFTER, BEFORE = "2026-01-02T00:00:00+00:00", "2025-12-31T00:00:00+00:00"


@pytest.mark.parametrize(
    ("row", "failures"),
    [
        ({"status": "done", "updated_at": AFTER, "metrics": {"RA": 1.0}}, []),
        ({"status": "done", "updated_at": AFTER, "skip_reason": "mode_infer"}, []),
        ({"status": "done", "updated_at": AFTER, "error_message": "no judge"}, ["m on d: no judge"]),
        ({"status": "done", "updated_at": AFTER, "skip_reason": "invalid_dataset"}, ["m on d: invalid_dataset"]),
        ({"status": "eval", "updated_at": AFTER}, ["m on d: ended in stage 'eval'"]),
    ],
)
def test_status_of_this_run(tmp_path: Path, row: dict[str, object], failures: list[str]) -> None:
    status = {"model_name": "m", "datasets": {"d": row, "old": {"updated_at": BEFORE, "error_message": "long ago"}}}
    (tmp_path / "status.json").write_text(json.dumps(status))
    assert launcher.failed(tmp_path, SINCE, [("m", "d")]) == failures


def test_a_run_that_ran_nothing_is_a_failure(tmp_path: Path) -> None:
    nothing = [f"no dataset was run (nothing new under {tmp_path})"]
    assert launcher.failed(tmp_path, SINCE, [("m", "d")]) == nothing
    assert launcher.failed(tmp_path, SINCE, []) == nothing


def test_what_left_no_row_is_a_failure(tmp_path: Path) -> None:
    """API mode logs what it cannot prepare, goes on and records nothing; a model is recorded by its folder's name."""
    row = {"status": "done", "updated_at": AFTER, "metrics": {"RA": 1.0}}
    (tmp_path / "status.json").write_text(json.dumps({"model_name": "lab--m", "datasets": {"d": row}}))
    assert launcher.failed(tmp_path, SINCE, [("lab/m", "d")]) == []
    assert launcher.failed(tmp_path, SINCE, [("lab/m", "d"), ("lab/m", "e")]) == [
        "lab/m on e: not run; the log above has the reason"
    ]


@pytest.mark.parametrize(("n", "unscored", "said"), [(4, 4, True), (4, 3, True), (4, 2, False)])
def test_a_run_most_of_whose_calls_failed_is_a_failure(tmp_path: Path, n: int, unscored: int, said: bool) -> None:
    folder = tmp_path / "m" / "m_MMVU_mmjudge"
    folder.mkdir(parents=True)
    reasons = {"n": unscored, "rate": unscored / n, "reasons": {"call_failed": unscored}}
    result = {"benchmark": "mmvu", "signature": "benchmark:mmvu", "n": n, "metrics": {}, "unscored": reasons}
    result |= {"categories": {}, "dataset": {"repo": None, "revision": None, "edition": None}}
    (folder / "results.json").write_text(json.dumps(result))
    since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    line = f"{folder}: {unscored} of {n} answers have no score: {unscored} call_failed"
    assert launcher.mostly_unscored(tmp_path, since) == ([line] if said else [])
    assert launcher.mostly_unscored(tmp_path, since + datetime.timedelta(hours=1)) == []  # of an earlier run


def test_what_is_asked_for_is_read_from_arguments_or_config(tmp_path: Path) -> None:
    given = launcher._given(["--model", "a", "b", "--data", "MMVU", "MMIE", "--verbose"])
    assert launcher.asked(given) == [("a", "MMVU"), ("a", "MMIE"), ("b", "MMVU"), ("b", "MMIE")]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model": {"c": {}}, "data": {"MMVU_demo": {}}}))
    assert launcher.asked(launcher._given(["--config", str(config)])) == [("c", "MMVU_demo")]


def test_wrappers_that_drop_pictures_are_named(tmp_path: Path) -> None:
    class Keeps:
        INTERLEAVE = True

    class Drops:
        INTERLEAVE = False

    config = SimpleNamespace(supported_VLM={"keeps": functools.partial(Keeps), "drops": functools.partial(Drops)})
    given = argparse.Namespace(model=["keeps", "drops", "unknown"], config=None)
    (warning,) = launcher.image_warnings(config, given)  # type: ignore[arg-type]
    assert "drops" in warning
    assert "only the first image" in warning


def test_a_taken_name_is_refused() -> None:
    class MMVU:
        @classmethod
        def supported_datasets(cls) -> list[str]:
            return ["MMVU"]

    taken = SimpleNamespace(SUPPORTED_DATASETS=[], supported_video_datasets={"MMVU": None})
    with pytest.raises(UserError, match="has a dataset called MMVU already"):
        registration._refuse_collisions(MMVU, taken)  # type: ignore[arg-type]
    free = SimpleNamespace(SUPPORTED_DATASETS=["MMBench"], supported_video_datasets={})
    registration._refuse_collisions(MMVU, free)  # type: ignore[arg-type]


def test_a_checkout_of_upstream_is_started_from_its_folder(tmp_path: Path) -> None:
    """Upstream keeps run.py beside the package, not in it; this stand-in has no more than what the hook needs."""
    pytest.importorskip("pandas", reason="the vlmeval extra is not installed")
    package = tmp_path / "vlmeval"
    for name, text in {
        "__init__.py": "",
        "config.py": "supported_VLM = {'mmjudge-hf': None, 'mmjudge_system': None}\n"
        "import vlmeval.dataset, vlmeval.vlm\n",
        "vlm/__init__.py": "",
        "vlm/base.py": "class BaseModel:\n    def generate(self, message, dataset=None): return 'B'\n",
        "api/__init__.py": "",
        "api/base.py": "class BaseAPI:\n    def generate(self, message, **others): return 'B'\n",
        "dataset/__init__.py": "IMAGE_DATASET, DATASET_CLASSES, SUPPORTED_DATASETS = [], [], []\n"
        "supported_video_datasets = {}\n",
        "dataset/image_base.py": "class ImageBaseDataset:\n"
        "    @classmethod\n    def supported_datasets(cls): return list(cls.DATASET_URL)\n",
    }.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "run.py").write_text(
        "import sys, vlmeval.config, vlmeval.dataset\n"
        "ours = sorted(vlmeval.dataset.SUPPORTED_DATASETS)\n"
        "print('RUN', __name__, [name for name in ours if name.startswith('MM')], sys.argv[1:])\n"
        "print('BLIND', [name for name in ours if name.endswith('_blind')])\n"
    )
    code = "import sys; from judge.harness.vlmeval.launcher import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--data", "MMVU"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env={**os.environ})
    assert "RUN __main__ ['MMIE', 'MMIE_1k', 'MMIE_demo', 'MMVU', 'MMVU_demo'] ['--data', 'MMVU']" in done.stdout, (
        done.stderr
    )
    assert "BLIND ['mmie_blind', 'mmie_demo_blind', 'mmvu_blind', 'mmvu_demo_blind']" in done.stdout
    assert done.returncode == 1  # it wrote no status
    assert "no dataset was run" in done.stderr


def test_registering_twice_changes_nothing() -> None:
    import vlmeval.dataset as datasets

    registration.register()
    before = list(datasets.SUPPORTED_DATASETS), len(datasets.DATASET_CLASSES)
    registration.register()
    assert (list(datasets.SUPPORTED_DATASETS), len(datasets.DATASET_CLASSES)) == before
    assert datasets.SUPPORTED_DATASETS.count("MMVU") == 1
    assert isinstance(datasets, ModuleType)
    assert type(datasets.build_dataset("MMVU_demo")).__name__ == "MMVU"
