"""Our datasets and models in VLMEvalKit's tables.

Dataset classes are found under the entry-point group `mmjudge.vlmeval` (name → class). What reads which table was
measured on ms-vlmeval 0.0.20: `build_dataset` walks DATASET_CLASSES and asks the video table first, `--config` looks
classes up as attributes, the rest reads SUPPORTED_DATASETS, a list made once.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from types import ModuleType
from typing import Any

from judge.errors import UserError
from judge.harness.after_import import after_import
from judge.harness.vlmeval.two_calls import take_two_calls

GROUP = "mmjudge.vlmeval"
MODEL = "mmjudge-hf"
"""Name of the wrapper for local transformers models; its folder is in $MMJUDGE_VLMEVAL_MODEL."""

SYSTEM = "mmjudge_system"
"""Name of the wrapper for systems under test; the file is in $MMJUDGE_SYSTEM."""


def install() -> None:
    """Register as soon as VLMEvalKit has been imported, by whomever; imports nothing itself."""
    after_import("vlmeval.config", _registered)


def register() -> None:
    """Register now. Calling it again changes nothing.

    Raises UserError where a dataset name is taken already: two benchmarks of one name must not be mistaken for each
    other (there is a video benchmark that is called MMVU, too).
    """
    import vlmeval.config as config

    _registered(config)


def _registered(config: ModuleType) -> None:
    import vlmeval.dataset as datasets
    import vlmeval.vlm as models

    for point in importlib.metadata.entry_points(group=GROUP):
        cls = point.load()
        if cls in datasets.DATASET_CLASSES:
            continue
        _refuse_collisions(cls, datasets)
        setattr(datasets, cls.__name__, cls)
        datasets.IMAGE_DATASET.append(cls)
        datasets.DATASET_CLASSES.append(cls)
        datasets.SUPPORTED_DATASETS.extend(cls.supported_datasets())
    take_two_calls(importlib.import_module("vlmeval.vlm.base").BaseModel)
    take_two_calls(importlib.import_module("vlmeval.api.base").BaseAPI)
    if MODEL not in config.supported_VLM:
        from judge.harness.vlmeval.model import MMJudgeHF

        models.MMJudgeHF = MMJudgeHF
        config.supported_VLM[MODEL] = functools.partial(MMJudgeHF)
    if SYSTEM not in config.supported_VLM:
        from judge.harness.vlmeval.system_model import MMJudgeSystem

        models.MMJudgeSystem = MMJudgeSystem
        config.supported_VLM[SYSTEM] = functools.partial(MMJudgeSystem)


def _refuse_collisions(cls: Any, datasets: ModuleType) -> None:
    taken = {*datasets.SUPPORTED_DATASETS, *datasets.supported_video_datasets}
    both = [name for name in cls.supported_datasets() if name in taken]
    if both or hasattr(datasets, cls.__name__):
        raise UserError(
            f"this VLMEvalKit has a dataset called {' and '.join(both) or cls.__name__} already",
            fix="score its predictions with `mmjudge score` and report the VLMEvalKit version to mmjudge",
        )
