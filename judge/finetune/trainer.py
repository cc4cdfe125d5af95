"""transformers' Trainer with what is ours: the order of batches, the second optimiser, and agreement for a loss.

Training stops on agreement with people, because the loss on their feedback goes on falling long after the scores have
stopped improving.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

from judge.engines import EngineOptions
from judge.engines.local import LocalEngine
from judge.errors import UserError
from judge.finetune import agreement, batches
from judge.finetune.agreement import Measured
from judge.finetune.dataset import Encoder, Judged, Row
from judge.finetune.loss import Lesson
from judge.finetune.metric import ERRORS
from judge.finetune.optimiser import muon_and_adamw
from judge.finetune.processes import count_processes
from judge.finetune.recipe import Recipe
from judge.finetune.setup import Setup
from judge.scoring.grader import Grader

CHECKPOINTS_KEPT = 2
SELECTION = "selection"
"""What the best weights are chosen by; see `JudgeTrainer.evaluate`."""


class JudgeTrainer(Trainer):
    """transformers' Trainer on a `Lesson`: our order, our optimiser, and answers judged instead of a loss computed."""

    optimizer: Any
    control: Any

    def __init__(
        self,
        setup: Setup,
        lesson: Lesson,
        rows: Sequence[Row],
        encoder: Encoder,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        """rows: what is learned, made by `encoder`. Raises UserError for arguments that transformers refuses."""
        recipe, base = setup.recipe, setup.base
        self.recipe, self.base, self.rubric = recipe, base, setup.rubric
        self.watched: tuple[Judged, ...] = setup.material.validation or setup.material.held_out
        self.groups = batches.group_rows(rows, share_prefix=recipe.share_prefix, rope_limit=lesson.rope_limit)
        shared: Mapping[Any, batches.Prefix] = {}
        if recipe.share_prefix:
            shared = batches.find_shared_prefixes(rows, self.groups, base.layout.image_token)
        stopping = [EarlyStoppingCallback(recipe.patience)] if recipe.patience else []
        super().__init__(
            model=lesson,
            args=training_arguments(recipe, len(rows)),
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
        """The recipe's optimiser: Muon with AdamW, or transformers' own."""
        if self.optimizer is None and self.recipe.optimizer == "muon":
            self.optimizer = muon_and_adamw(self.model if model is None else model, self.recipe)
        return super().create_optimizer(model)

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Judge the answers that stop the training; metrics by the names of `judge.validity.coefficients.PAIRED`.

        `SELECTION` is the recipe's metric as weights are chosen by it: the worst there is where it is undefined or too
        much is unscored. Logged as a metric, that penalty would read as a measurement.
        """
        was_training = self.model.training
        self.model.eval()
        measured = self.judge(self.watched)
        self.model.train(was_training)
        found = {name: entry["value"] for name, entry in measured.metrics(resamples=0).items()}
        found[SELECTION] = measured.selected_by(self.recipe.metric)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items() if value is not None}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def judge(self, answers: Sequence[Judged], finished: Any = None) -> Measured:
        """The model as it is now, or a finished one, on every process its share of the answers."""
        rank, size = self.args.process_index, self.args.world_size
        model = self.model.judge if finished is None else finished
        if finished is None and self.args.bf16 and self.recipe.method == "full":
            model = copy.deepcopy(model).to(torch.bfloat16)  # the judge as it would be written now
        recipe, base = self.recipe, self.base
        options = EngineOptions(max_new_tokens=recipe.max_new_tokens, batch_size=recipe.eval_batch)
        engine = LocalEngine(model, base.tokenizer, base.layout, {}, options)
        grader = Grader(engine, self.rubric, recipe.profile)
        mine = grader.scores([item.request for item in answers[rank::size]])
        scores: list[int | None] = [None] * len(answers)
        for process, part in enumerate(_gathered(mine, size)):
            scores[process::size] = part
        return agreement.compare_with_people(answers, scores)


def training_arguments(recipe: Recipe, rows: int) -> TrainingArguments:
    """What a recipe means to transformers. rows: training rows, for a length given in epochs. Raises UserError."""
    schedules = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
    schedule, options = schedules[recipe.schedule], {}
    if recipe.lr_floor:
        schedule, options = "cosine_with_min_lr", {"min_lr_rate": recipe.lr_floor}
    together = recipe.batch * recipe.accumulation * count_processes()
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
        "use_cpu": not torch.cuda.is_available(),  # else transformers takes bfloat16 for a GPU's
        "seed": recipe.seed,
        "eval_strategy": "steps" if recipe.eval_every else "no",
        "eval_steps": recipe.eval_every or None,
        "save_strategy": "steps" if recipe.save_every else "no",
        "save_steps": recipe.save_every or 500,
        "save_total_limit": CHECKPOINTS_KEPT,
        "load_best_model_at_end": bool(recipe.patience),
        "metric_for_best_model": SELECTION if recipe.patience else None,
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


def _gathered(mine: Any, size: int) -> Iterable[Any]:
    if size == 1:
        return [mine]
    parts: list[Any] = [None] * size
    torch.distributed.all_gather_object(parts, mine)
    return parts
