"""A run: base and human scores in, a fine-tuned judge and training.json out. See `judge.finetune` for the files.

transformers' Trainer does the loop, checkpoints, accumulation, mixed precision and many devices; peft the adapters.
Ours are the batches' order, the loss, the second optimiser, and evaluation by judging answers: training stops on
agreement with people, because the loss on their feedback goes on falling long after the scores have stopped improving.

Byte-exact resuming holds for one machine, one number of threads and kernels that repeat themselves (the CPU's do).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

from judge import benchmark
from judge.benchmark import Profile
from judge.engines.transformers import TransformersEngine, load_engine
from judge.errors import UserError
from judge.finetune import agreement, batches, dataset
from judge.finetune.agreement import Measured
from judge.finetune.dataset import Judged, Material, Row
from judge.finetune.loss import Lesson
from judge.finetune.optimiser import muon_and_adamw
from judge.finetune.recipe import Recipe
from judge.model import checkpoint, conversation, layout, source
from judge.model.layout import Layout
from judge.model.tokenizer import Tokenizer
from judge.rubric import Rubric
from judge.runner import RUBRIC_FILE

STARTED, FINISHED = "started.json", "training.json"
COPIED = (
    "added_tokens.json", "generation_config.json", "preprocessor_config.json", "special_tokens_map.json",
    "tokenizer.model", "tokenizer_config.json",
)  # fmt: skip
"""Files of the base that a fine-tuned judge has unchanged."""

ERRORS = ("mae", "mse")
"""Metrics of which less is better."""

CHECKPOINTS_KEPT = 2


@dataclasses.dataclass(frozen=True)
class Base:
    """What is fine-tuned. name: as the recipe has it, a repository with its resolved commit."""

    folder: Path
    name: str
    layout: Layout
    tokenizer: Tokenizer
    weights_sha256: str

    @classmethod
    def find(cls, name: str) -> Base:
        found = source.resolve(name)
        local = found.revision.startswith("local-")
        return cls(
            found.folder,
            name if local else str(found),
            layout.read(found.folder),
            Tokenizer.from_folder(found.folder),
            checkpoint.weights_sha256(found.folder),
        )


def run(recipe: Recipe, *, resume: bool = False, callbacks: Sequence[TrainerCallback] = ()) -> dict[str, Any]:
    """Train, write the judge and training.json, and return the latter. Raises UserError for input that must be mended.

    resume: go on from the last checkpoint in the recipe's `out`. callbacks: transformers', beside the run's own.
    """
    out = Path(recipe.out)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    bench = benchmark.find(recipe.benchmark)
    rubric = bench.rubric(recipe.rubric)
    material = dataset.load(recipe, bench)
    base = Base.find(recipe.base)
    about = _about(recipe, base, rubric, material)
    last = _last_checkpoint(out, about, resume)
    encoder = dataset.Encoder(
        base.tokenizer,
        rubric,
        tile_size=base.layout.tile_size,
        tokens_per_tile=base.layout.tokens_per_tile,
        window=base.layout.window,
        system=str(base.layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE),
    )
    rows, dropped = encoder.rows(material.train, recipe.objective)
    print(dataset.describe(material, rows, dropped), flush=True)
    if not rows:
        raise UserError(
            f"no score can be learned under objective {recipe.objective!r}", file=recipe.data, fix='objective = "score"'
        )
    transformers.set_seed(recipe.seed)
    model, adapted = _model(recipe, base)
    lesson = Lesson(
        model,
        score_tokens=encoder.score_tokens() if recipe.distance_weight else (),
        distance_weight=recipe.distance_weight,
    )
    trainer = JudgeTrainer(recipe, lesson, rows, encoder, material, base, rubric, callbacks)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    lesson.eval()
    written, final = _written(recipe, base, rubric, trainer, adapted)
    measured = final(material.held_out) if material.held_out else None
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
        _write(out / FINISHED, about)
        print(f"{written}\n{_told(about)}")
    return about


def _about(recipe: Recipe, base: Base, rubric: Rubric, material: Material) -> dict[str, Any]:
    """The part of training.json that is known before the first step."""
    return {
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.sha256,
        "base": base.name,
        "base_weights": base.weights_sha256,
        "data_sha256": hashlib.sha256(Path(recipe.data).read_bytes()).hexdigest(),
        "seed": recipe.seed,
        "method": recipe.method,
        "held_out": [list(item.key) for item in material.held_out],
        "rubric": rubric.name,
        "rubric_sha256": rubric.sha256,
        "profile": recipe.profile,
        "benchmark": recipe.benchmark,
        "objective": recipe.objective,
    }


def _last_checkpoint(out: Path, about: Mapping[str, Any], resume: bool) -> Path | None:
    """Where to go on, or None for a start. Raises UserError rather than mix two runs in one folder."""
    found = {
        int(m[1]): path for path in out.glob("checkpoint-*") if (m := re.fullmatch(r"checkpoint-(\d+)", path.name))
    }
    # the state is what a checkpoint ends with: without it, it was being written when the run was killed
    whole = {step: path for step, path in found.items() if (path / "trainer_state.json").is_file()}
    same = ("recipe_sha256", "base_weights", "data_sha256", "rubric_sha256", "held_out")
    if not resume:
        if found or (out / FINISHED).exists():
            raise UserError("holds an earlier run", file=out, fix="go on with --resume, or give another out")
        if int(os.environ.get("RANK", "0")) == 0:
            out.mkdir(parents=True, exist_ok=True)
            _write(out / STARTED, {name: about[name] for name in same})
        return None
    if (out / FINISHED).exists():
        raise UserError("is finished", file=out / FINISHED, fix="give another out for another run")
    if not (out / STARTED).exists():
        raise UserError("holds no run to resume", file=out, fix="leave --resume out")
    before = json.loads((out / STARTED).read_text(encoding="utf-8"))
    changed = [name for name in same if before.get(name) != about[name]]
    if changed:
        raise UserError(
            f"was started with another {', '.join(changed)}", file=out / STARTED, fix="give another out for another run"
        )
    return whole[max(whole)] if whole else None


def _model(recipe: Recipe, base: Base) -> tuple[Any, Any]:
    """(native model with gradients where the recipe wants them, peft's wrapper of it or None).

    With adapters the base is in the recipe's dtype; full fine-tuning keeps weights in float32 whatever the dtype of
    the arithmetic is, because a step is smaller than bfloat16 can hold.
    """
    dtype = recipe.dtype if recipe.method == "lora" else "float32"
    model = checkpoint.load(base.folder, dtype=dtype)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if recipe.method == "full":
        if recipe.freeze_vision:
            model.model.vision_tower.requires_grad_(False)
        return model, None
    import peft

    endings = [name for name, _ in model.named_modules() if name.split(".")[-1] in recipe.targets]
    if recipe.freeze_vision:
        endings = [name for name in endings if ".vision_tower." not in name]
    unknown = sorted(set(recipe.targets) - {name.split(".")[-1] for name in endings})
    if unknown:
        raise UserError(f"the judge has no modules {', '.join(unknown)} to adapt", field="targets")
    config = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=endings,
        base_model_name_or_path=base.name,
    )
    return model, peft.get_peft_model(model, config)


class JudgeTrainer(Trainer):
    """transformers' Trainer on a `Lesson`: our order, our optimiser, and answers judged instead of a loss computed."""

    optimizer: Any
    control: Any

    def __init__(
        self,
        recipe: Recipe,
        lesson: Lesson,
        rows: Sequence[Row],
        encoder: dataset.Encoder,
        material: Material,
        base: Base,
        rubric: Rubric,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self.recipe, self.base, self.rubric = recipe, base, rubric
        self.watched: tuple[Judged, ...] = material.validation or material.held_out
        self.groups = batches.groups(rows, share_prefix=recipe.share_prefix, rope_limit=lesson.rope.limit)
        shared: Mapping[Any, batches.Prefix] = {}
        if recipe.share_prefix:
            shared = batches.shared_prefixes(rows, self.groups, base.layout.image_token)
        stopping = [EarlyStoppingCallback(recipe.patience)] if recipe.patience else []
        super().__init__(
            model=lesson,
            args=arguments(recipe, len(rows)),
            data_collator=batches.Collator(encoder),
            train_dataset=[(row, shared.get(group, ())) for row, group in zip(rows, self.groups, strict=True)],
            eval_dataset=self.watched if recipe.eval_every else None,
            callbacks=[*stopping, *callbacks],
        )
        if self.args.n_gpu > 1:
            raise UserError(
                f"{self.args.n_gpu} GPUs are visible to one process",
                fix="accelerate launch --num_processes N -m judge.finetune …, or set CUDA_VISIBLE_DEVICES=0",
            )

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        args = self.args
        return batches.Order(
            self.groups,
            batch=args.per_device_train_batch_size,
            batches=args.max_steps * args.gradient_accumulation_steps * args.world_size,
            seed=self.recipe.seed,
        )

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None and self.recipe.optimizer == "muon":
            self.optimizer = muon_and_adamw(self.model if model is None else model, self.recipe)
        return super().create_optimizer(model)

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Judge the answers that stop the training; metrics by the names of `judge.results.coefficients.PAIRED`."""
        was_training = self.model.training
        self.model.eval()
        measured = self.judge(self.watched)
        self.model.train(was_training)
        found = {name: entry["value"] for name, entry in measured.metrics(resamples=0).items()}
        found[self.recipe.metric] = measured.selected_by(self.recipe.metric)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items() if value is not None}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def judge(self, answers: Sequence[Judged]) -> Measured:
        """The model as it is now, on every process its share of the answers."""
        rank, size = self.args.process_index, self.args.world_size
        device = self.model.device.type
        with torch.autocast(device, torch.bfloat16, enabled=bool(self.args.bf16) and self.recipe.method == "full"):
            mine = agreement.judge(
                self.model.judge,
                self.base.tokenizer,
                self.base.layout,
                answers[rank::size],
                self.rubric,
                _profile(self.recipe),
                max_new_tokens=self.recipe.max_new_tokens,
                batch_size=self.recipe.eval_batch,
            )
        scores: list[int | None] = [None] * len(answers)
        for place, part in enumerate(_gathered(mine, size)):
            scores[place::size] = part
        return agreement.measured(answers, scores)


def arguments(recipe: Recipe, rows: int) -> TrainingArguments:
    """What a recipe means to transformers. rows: training rows, for a length given in epochs."""
    schedules = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
    schedule, options = schedules[recipe.schedule], {}
    if recipe.lr_floor:
        schedule, options = "cosine_with_min_lr", {"min_lr_rate": recipe.lr_floor}
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    together = recipe.batch * recipe.accumulation * processes
    steps = recipe.max_steps or math.ceil(recipe.epochs * rows / together)
    given: dict[str, Any] = {
        "output_dir": recipe.out,
        "max_steps": steps,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": recipe.lr,
        "adam_beta1": recipe.betas[0],
        "adam_beta2": recipe.betas[1],
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "lr_scheduler_type": schedule,
        "lr_scheduler_kwargs": options,
        "warmup_steps": round(recipe.warmup * steps),
        "bf16": recipe.dtype == "bfloat16",
        "seed": recipe.seed,
        "eval_strategy": "steps" if recipe.eval_every else "no",
        "eval_steps": recipe.eval_every or None,
        "save_strategy": "steps" if recipe.save_every else "no",
        "save_steps": recipe.save_every or 500,
        "save_total_limit": CHECKPOINTS_KEPT,
        "load_best_model_at_end": bool(recipe.patience),
        "metric_for_best_model": recipe.metric if recipe.patience else None,
        "greater_is_better": recipe.metric not in ERRORS if recipe.patience else None,
        "logging_steps": max(1, min(10, steps // 10)),
        "report_to": "none",
        "remove_unused_columns": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        # a batch without pictures leaves the vision tower and the projector without a gradient
        "ddp_find_unused_parameters": True,
    }
    try:
        return TrainingArguments(**{**given, **recipe.trainer})
    except (TypeError, ValueError) as error:
        raise UserError(f"transformers refuses the arguments: {error}", field="trainer") from None


def _written(recipe: Recipe, base: Base, rubric: Rubric, trainer: JudgeTrainer, adapted: Any) -> tuple[Path, Any]:
    """Write adapter or judge. Returns its folder, and what judges answers with exactly what was written."""
    out, main = Path(recipe.out), trainer.is_world_process_zero()
    if adapted is not None:
        if main:
            # False: peft would otherwise ask the Hub whether the embeddings of the base were changed
            adapted.save_pretrained(str(out / "adapter"), save_embedding_layers=False)
        return out / "adapter", trainer.judge
    folder = out / "model"
    if main:
        _save_judge(trainer.model.judge, folder, base, rubric)
    trainer.accelerator.wait_for_everyone()
    device = str(trainer.args.device)
    dtype = "float32" if trainer.args.device.type == "cpu" else recipe.dtype

    def from_disk(answers: Sequence[Judged]) -> Measured:
        engine: TransformersEngine = load_engine(str(folder), device=device, dtype=dtype)
        trainer.model.judge = engine.model
        return trainer.judge(answers)

    return folder, from_disk


def _save_judge(model: Any, folder: Path, base: Base, rubric: Rubric) -> None:
    """The original layout, in the number type that the base's config.json names."""
    dtype = getattr(torch, str(base.layout.raw.get("torch_dtype", "bfloat16")))
    checkpoint.save_original(model.to(dtype), folder, base.layout.raw)
    for name in COPIED:
        if (base.folder / name).exists():
            shutil.copyfile(base.folder / name, folder / name)
    about = {"rubric": rubric.name, "rubric_sha256": rubric.sha256, "weights_sha256": checkpoint.weights_sha256(folder)}
    _write(folder / RUBRIC_FILE, about)


def _gathered(mine: Any, size: int) -> Iterable[Any]:
    if size == 1:
        return [mine]
    parts: list[Any] = [None] * size
    torch.distributed.all_gather_object(parts, mine)
    return parts


def _profile(recipe: Recipe) -> Profile:
    return "reference" if recipe.profile == "reference" else "strict"


def _write(file: Path, value: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(file)


def _told(about: Mapping[str, Any]) -> str:
    metrics = about["metrics"]
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
    unscored = metrics["unscored"]
    return f"held out, n = {unscored['n']}: {', '.join(shown)}, unscored {unscored['value']:.1f}%"
