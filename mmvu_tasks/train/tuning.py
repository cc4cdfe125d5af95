"""A run: a model, conversations about pictures and a recipe in; a tuned model or adapter and training.json out.

    about = tune_model(read_tuning_recipe("recipes/mmvu_stage2.toml", [], {"base": …, "data": …, "out": "out/stage2"}))

trl's `SFTTrainer` does the loop, the batches and the loss; peft the adapters. What is here is what they leave open:
which modules learn, that only answers are learned whatever the chat template is, and that no run is mixed with another.

    out/adapter/        "lora", "connector+lora": peft's format; `mmjudge merge BASE out/adapter` makes a model of it
    out/model/          "connector", "all": the whole model with its processor
    out/checkpoint-N/   every `save_every` steps, the last two; `resume` goes on from the last one
    out/training.json   written last: {"recipe": {…}, "recipe_sha256", "base", "data_sha256", "rows",
                        "learned": "turns", "trainable": 1234, "parameters": 56789, "steps": 250, "loss": 0.71,
                        "versions": {…}}
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
import trl
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from judge.errors import UserError
from judge.finetune.checkpoints import FINISHED, begin_run
from judge.finetune.processes import count_processes, first_process
from judge.io import files
from judge.io.progress import doing
from judge.systems.checkpoints import Checkpoint
from mmvu_tasks.train.conversations import make_dataset
from mmvu_tasks.train.tuning_recipe import TuningRecipe
from mmvu_tasks.train.tuning_setup import TuningSetup, find_tuning_setup

CONNECTORS = ("multi_modal_projector", "mm_projector", "connector", "merger", "aligner", "embed_vision", "mlp1")
"""What models of transformers call the modules between vision tower and language model."""
CHECKPOINTS_KEPT = 2
IGNORED = -100
"""The label of what is not learned, as torch and transformers have it."""


@torch.enable_grad()  # importing VLMEvalKit's models turns gradients off for the whole process
def tune_model(recipe: TuningRecipe, *, resume: bool = False, setup: TuningSetup | None = None) -> dict[str, Any]:
    """Train, write the model or adapter and training.json, and return the latter. Raises UserError for input to mend.

    resume: go on from the last checkpoint in the recipe's `out`. setup: what `find_tuning_setup` read, where that was
    done before.
    """
    out, data = Path(recipe.out), Path(recipe.data)
    setup = setup or find_tuning_setup(recipe, resume=resume)
    conversations, base = setup.conversations, setup.base
    about: dict[str, Any] = {
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.sha256,
        "base": str(base),
        "data_sha256": files.sha256(data),
    }
    last = begin_run(out, {name: about[name] for name in ("recipe_sha256", "base", "data_sha256")}, resume=resume)
    args = _arguments(recipe)
    transformers.set_seed(recipe.seed)
    with doing(f"loading the base {base.name}", silent=not first_process()):
        model, processor = load_base(recipe, base)
    whole = marks_answers(processor)
    args.assistant_only_loss, args.completion_only_loss = whole, not whole
    rows = make_dataset(conversations, whole=whole)
    trainer = trl.SFTTrainer(
        model=model, args=args, train_dataset=rows, processing_class=processor,
        peft_config=make_trainable(model, recipe),
    )  # fmt: skip
    parameters = list(trainer.model.parameters())
    about |= {
        "rows": len(rows),
        "learned": "turns" if whole else "answers, a row each",
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "parameters": sum(p.numel() for p in parameters),
    }
    if first_process():
        print(f"{len(conversations):,} conversations in {len(rows):,} rows; {about['trainable']:,} of "
              f"{about['parameters']:,} parameters learn; {check_first_batch(trainer)}", flush=True)  # fmt: skip
    began = time.monotonic()
    done = trainer.train(resume_from_checkpoint=str(last) if last else None)
    written = _write_result(trainer, recipe)
    about |= {
        "steps": trainer.state.global_step,
        "loss": round(done.training_loss, 4),
        "seconds": round(time.monotonic() - began),
        "versions": {package.__name__: package.__version__ for package in (peft, torch, transformers, trl)},
    }
    if trainer.is_world_process_zero():
        files.write_json(out / FINISHED, about, indent=2)
        print(written)
    return about


def load_base(recipe: TuningRecipe, base: Checkpoint) -> tuple[Any, Any]:
    """(model, processor); what learns is in float32 but under DeepSpeed, which keeps such a copy. Raises UserError."""
    dtype = "float32" if recipe.train == "all" else recipe.dtype
    try:
        processor = AutoProcessor.from_pretrained(**base.source)
        model = AutoModelForImageTextToText.from_pretrained(**base.source, dtype=dtype)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        fix = "give an image-text-to-text model of transformers"
        raise UserError(f"cannot be loaded: {error}", file=recipe.base, fix=fix) from error
    if getattr(processor, "chat_template", None) is None:
        raise UserError("has no chat template", file=recipe.base, fix="take the model's chat (instruct) version")
    return model, processor


def marks_answers(processor: Any) -> bool:
    """Whether the chat template, or trl's form of it for training, marks what the assistant says."""
    if has_generation_markers(processor.chat_template):
        return True
    try:
        return get_training_chat_template(processor) is not None
    except ValueError:  # a template that trl has no form of
        return False


def make_trainable(model: Any, recipe: TuningRecipe) -> Any:
    """Freeze what the recipe does not train; peft's config where there are adapters, else None. Raises UserError."""
    if recipe.train == "all":
        return None
    connector = find_connector(model, recipe.connector) if "connector" in recipe.train else []
    if recipe.train == "connector":
        model.requires_grad_(False)
        for name in connector:
            model.get_submodule(name).requires_grad_(True).float()
        return None
    return peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=find_targets(model, recipe.targets),
        modules_to_save=connector or None,
    )


def find_connector(model: Any, named: Sequence[str]) -> list[str]:
    """Whole names of the modules called so, of the usual names without any. Raises UserError where there is none."""
    wanted = set(named or CONNECTORS)
    found = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in wanted]
    outermost = [name for name in found if not any(name.startswith(f"{other}.") for other in found)]
    missing = wanted - {name.rpartition(".")[2] for name in found} if named else set()
    if missing or not outermost:
        known = ", ".join(name for name, _ in model.named_modules() if name and name.count(".") < 3)
        raise UserError(
            f"the model has no module {' or '.join(sorted(missing or wanted))}", field="connector",
            fix=f"name it: connector = [\"…\"]; modules are {known[:600]}",
        )  # fmt: skip
    return outermost


def find_targets(model: Any, named: Iterable[str]) -> list[str]:
    """Whole names of the linear layers of the language model, or of those called so. Raises UserError."""
    decoder = model.get_decoder()
    (prefix,) = [name for name, module in model.named_modules() if module is decoder]
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith(f"{prefix}.")
    ]
    wanted = set(named)
    if unknown := wanted - {name.rpartition(".")[2] for name in linear}:
        raise UserError(f"the language model has no linear layers {', '.join(sorted(unknown))}", field="targets")
    return [name for name in linear if not wanted or name.rpartition(".")[2] in wanted]


def check_first_batch(trainer: Any) -> str:
    """What of the first rows is learned, in words. Raises UserError where a row has nothing, or answers never end."""
    rows = [trainer.train_dataset[n] for n in range(min(trainer.args.train_batch_size, len(trainer.train_dataset)))]
    try:
        batch = trainer.data_collator(rows)
    except ValueError as error:  # of transformers, which says which tokens are missing
        length = trainer.args.max_length
        raise UserError(
            f"is {length}, and a picture is cut off: {error}", field="max_length", fix="0 never cuts"
        ) from None
    labels = batch["labels"]
    learned = labels != IGNORED
    if not learned.any(dim=1).all():
        raise UserError(
            "a row has no token to learn: it is cut off before its answer", field="max_length", fix="make it larger"
        )
    tokenizer = trainer.processing_class.tokenizer
    ends = {tokenizer.eos_token_id, *_as_list(trainer.model.generation_config.eos_token_id)} - {None}
    said = f"{int(learned.sum())} of {int(batch['attention_mask'].sum())} tokens of the first batch are learned"
    if not any(token in ends for token in labels[learned].tolist()):
        said += "; the chat template ends no answer with a stop token, so the model is not taught to stop"
    return said


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _arguments(recipe: TuningRecipe) -> Any:
    """trl's arguments. Raises UserError for one that it refuses."""
    given: dict[str, Any] = {
        "output_dir": recipe.out,
        "max_steps": recipe.max_steps or -1,
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation(count_processes()),
        "optim": recipe.optimizer,
        "learning_rate": recipe.lr,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup,  # below 1: a share of the steps
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "max_length": recipe.max_length or None,
        "bf16": recipe.dtype == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "save_strategy": "steps" if recipe.save_every else "no",
        "save_steps": recipe.save_every or 500,
        "save_total_limit": CHECKPOINTS_KEPT,
        "seed": recipe.seed,
        "logging_steps": 10,
        "report_to": "none",
        "disable_tqdm": True,
    }
    try:
        return trl.SFTConfig(**{**given, **recipe.trainer})
    except (TypeError, ValueError) as error:
        raise UserError(f"trl refuses the arguments: {error}", field="trainer") from None


def _write_result(trainer: Any, recipe: TuningRecipe) -> Path:
    """Write adapter or model; its folder."""
    adapted = "lora" in recipe.train
    folder = Path(recipe.out) / ("adapter" if adapted else "model")
    if not adapted and trainer.args.deepspeed_plugin is None:
        trainer.model.to(getattr(torch, recipe.dtype))  # what learned was in float32
    trainer.save_model(str(folder))
    trainer.accelerator.wait_for_everyone()
    return folder
