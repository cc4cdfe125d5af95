"""A run: base and human scores in, a fine-tuned judge and training.json out. See `judge.finetune` for the files.

transformers' Trainer does the loop, checkpoints, accumulation, mixed precision and many devices; peft the adapters.

Byte-exact resuming holds for one machine, one number of threads and kernels that repeat themselves (the CPU's do).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainerCallback

from judge.engines import EngineOptions
from judge.engines.local import load_local_engine
from judge.errors import UserError
from judge.finetune import dataset
from judge.finetune.agreement import Measured
from judge.finetune.base import load_trainable
from judge.finetune.checkpoints import FINISHED, begin_run
from judge.finetune.loss import Lesson
from judge.finetune.processes import first_process
from judge.finetune.recipe import Recipe
from judge.finetune.setup import Setup, find_setup
from judge.finetune.trainer import JudgeTrainer
from judge.io import files
from judge.io.progress import doing
from judge.model.weights import checkpoint
from judge.scoring.pipeline import RUBRIC_FILE

SAME = ("recipe_sha256", "base_weights", "data_sha256", "rubric_sha256", "held_out")
"""Of training.json: what a run must not change when it goes on."""

COPIED = (
    "added_tokens.json", "generation_config.json", "preprocessor_config.json", "special_tokens_map.json",
    "tokenizer.model", "tokenizer_config.json",
)  # fmt: skip
"""Files of the base that a fine-tuned judge has unchanged."""


@torch.enable_grad()  # importing VLMEvalKit's models turns gradients off for the whole process
def train_judge(
    recipe: Recipe, *, resume: bool = False, callbacks: Sequence[TrainerCallback] = (), setup: Setup | None = None
) -> dict[str, Any]:
    """Train, write the judge and training.json, and return the latter. Raises UserError for input that must be mended.

    resume: go on from the last checkpoint in the recipe's `out`. callbacks: transformers', beside the run's own. setup:
    what `find_setup` read, where that was done before.
    """
    out = Path(recipe.out)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    setup = setup or find_setup(recipe, resume=resume)
    base, material = setup.base, setup.material
    about = _about(setup)
    last = begin_run(out, {name: about[name] for name in SAME}, resume=resume)
    encoder = dataset.Encoder(base.tokenizer, setup.rubric, base.layout)
    rows, dropped = encoder.rows(material.train, recipe.objective)
    if first_process():
        print(dataset.describe_material(material, rows, dropped), flush=True)
    if not rows:
        raise UserError(
            f"no score can be learned under objective {recipe.objective!r}", file=recipe.data, fix='objective = "score"'
        )
    transformers.set_seed(recipe.seed)
    with doing(f"loading the base {base.name}", silent=not first_process()):
        model, adapted = load_trainable(recipe, base)
    lesson = Lesson(
        model,
        score_tokens=encoder.score_tokens() if recipe.distance_weight else (),
        distance_weight=recipe.distance_weight,
    )
    trainer = JudgeTrainer(setup, lesson, rows, encoder, callbacks)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    lesson.eval()
    written = _write_result(setup, trainer, adapted)
    measured = _measure_written(setup, written, trainer) if material.held_out else None
    about |= {
        "metrics": measured.metrics() if measured else None,
        "validation": [list(item.key) for item in material.validation],
        "rows": len(rows),
        "left_out": [[*key, reason] for key, reason in (*material.dropped, *dropped)],
        "steps": trainer.state.global_step,
        "kept_step": trainer.state.best_global_step if recipe.patience else trainer.state.global_step,
        "seconds": round(time.monotonic() - began),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    if trainer.is_world_process_zero():
        files.write_json(out / FINISHED, about, indent=2)
        print(f"{written}\n{_agreement_line(about['metrics'])}")
    return about


def _about(setup: Setup) -> dict[str, Any]:
    """The part of training.json that is known before the first step."""
    recipe, base, rubric = setup.recipe, setup.base, setup.rubric
    return {
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.sha256,
        "base": base.name,
        "base_weights": base.weights_sha256,
        "data_sha256": files.sha256(recipe.data),
        "seed": recipe.seed,
        "method": recipe.method,
        "held_out": [list(item.key) for item in setup.material.held_out],
        "rubric": rubric.name,
        "rubric_sha256": rubric.sha256,
        "profile": recipe.profile,
        "benchmark": recipe.benchmark,
        "objective": recipe.objective,
    }


def _write_result(setup: Setup, trainer: JudgeTrainer, adapted: Any) -> Path:
    """Write adapter or judge; returns its folder."""
    folder = Path(setup.recipe.out) / ("model" if adapted is None else "adapter")
    if trainer.is_world_process_zero():
        if adapted is None:
            _save_judge(trainer.model.judge, folder, setup)
        else:
            # False: peft would otherwise ask the Hub whether the embeddings of the base were changed
            adapted.save_pretrained(str(folder), save_embedding_layers=False)
    trainer.accelerator.wait_for_everyone()
    return folder


def _measure_written(setup: Setup, written: Path, trainer: JudgeTrainer) -> Measured:
    """Agreement of what was written: a judge is loaded again, because its file may hold fewer digits than training."""
    held_out = setup.material.held_out
    if setup.recipe.method == "lora":
        return trainer.judge(held_out)
    device = trainer.args.device
    dtype = "float32" if device.type == "cpu" else setup.recipe.dtype
    saved = load_local_engine(str(written), EngineOptions(device=str(device), dtype=dtype))
    return trainer.judge(held_out, saved.model)


def _save_judge(model: Any, folder: Path, setup: Setup) -> None:
    """The original layout, in the number type that the base's config.json names."""
    base, rubric = setup.base, setup.rubric
    dtype = getattr(torch, str(base.layout.raw.get("torch_dtype", "bfloat16")))
    checkpoint.save_original(model.to(dtype), folder, base.layout.raw)
    for name in COPIED:
        if (base.folder / name).exists():
            shutil.copyfile(base.folder / name, folder / name)
    about = {"rubric": rubric.name, "rubric_sha256": rubric.sha256, "weights_sha256": checkpoint.weights_sha256(folder)}
    files.write_json(folder / RUBRIC_FILE, about, indent=2)


def _agreement_line(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "nothing was held out: agreement is not known"
    shown = []
    for name in ("pearson", "kappa_quadratic", "mae"):
        entry = metrics[name]
        if entry["value"] is None:
            shown.append(f"{name} undefined")
            continue
        interval = "" if entry["ci_low"] is None else f" [{entry['ci_low']:.2f}, {entry['ci_high']:.2f}]"
        shown.append(f"{name} {entry['value']:.2f}{interval}")
    unscored, scored = metrics["unscored"], metrics["pearson"]["n"]
    return (
        f"held out: {unscored['n']} answers, unscored {unscored['value']:.1f}%; on the {scored} with a score: "
        f"{', '.join(shown)}"
    )
