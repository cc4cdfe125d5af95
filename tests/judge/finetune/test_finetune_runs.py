"""Whole runs of a few steps: what they learn, leave alone, write, resume and stop at."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from scored import SCORES, scored_rows, write_rows
from transformers import TrainerCallback

from judge import cli
from judge.errors import UserError
from judge.finetune.agreement import Measured, compare_with_people
from judge.finetune.recipe import Recipe
from judge.finetune.train import _agreement_line, train_judge
from judge.finetune.trainer import JudgeTrainer
from judge.model.weights import checkpoint
from mmie_tasks.demo import demo_dir, judge_dir


class Logged(TrainerCallback):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        self.rows.append(dict(logs))

    @property
    def losses(self) -> list[float]:
        return [row["loss"] for row in self.rows if "loss" in row]


class Interrupt(TrainerCallback):
    """The user's Ctrl-C after a step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.after:
            raise KeyboardInterrupt


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """Two questions of each category, four answers each; a third of the questions, 8 answers, is held out."""
    rows = scored_rows()
    names = [*dict.fromkeys(row["id"] for row in rows)]
    chosen = [name for kind in ("SA", "PBL", "MSR") for name in [n for n in names if n.startswith(kind)][:2]]
    write_rows(Path(recipe.data), [row for row in rows if row["id"] in chosen])
    return dataclasses.replace(recipe, held_out=0.34, batch=2, max_new_tokens=24)


def lora(recipe: Recipe, **fields: Any) -> Recipe:
    return dataclasses.replace(
        recipe, method="lora", optimizer="adamw", lr=5e-3, freeze_vision=True, rank=4, alpha=8, **fields
    )


def base_weights() -> dict[str, Any]:
    return {name: value.float() for name, value in load_file(judge_dir() / "model.safetensors").items()}


def written(recipe: Recipe) -> dict[str, Any]:
    return {name: value.float() for name, value in load_file(Path(recipe.out) / "model" / "model.safetensors").items()}


def test_training_needs_no_gradients_left_on_by_others(recipe: Recipe) -> None:
    """`import vlmeval.vlm` turns them off for the whole process."""
    with torch.set_grad_enabled(False):
        about = train_judge(dataclasses.replace(recipe, max_steps=1))
    assert about["steps"] == 1


def test_full_fine_tuning_learns_and_writes_a_judge_that_scores(recipe: Recipe, tmp_path: Path) -> None:
    logged = Logged()
    about = train_judge(dataclasses.replace(recipe, max_steps=6), callbacks=[logged])
    assert logged.losses[-1] < 0.8 * logged.losses[0]
    before, after = base_weights(), written(recipe)
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("proj.weight"))
    assert not torch.equal(before["vision_model.embeddings.patch_embedding.weight"],
                           after["vision_model.embeddings.patch_embedding.weight"])  # fmt: skip
    out = Path(recipe.out)
    assert about == json.loads((out / "training.json").read_text())
    assert about["steps"] == 6
    assert about["metrics"]["unscored"]["n"] == len(about["held_out"]) == 8
    assert sorted(map(tuple, about["held_out"])) == [tuple(key) for key in about["held_out"]]
    named = json.loads((out / "model" / "mmjudge.json").read_text())
    assert named["rubric"] == about["rubric"] == "mmjudge"
    assert named["weights_sha256"] == checkpoint.weights_sha256(out / "model")
    responses = tmp_path / "responses.jsonl"
    rows = [{"id": row["id"], "response": row["response"]} for row in scored_rows() if row["model"] == "good"][:2]
    responses.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["score", str(responses), "--benchmark", "mmie", "--data", str(demo_dir()), "--image-root"]
    arguments += [str(demo_dir()), "--judge", str(out / "model"), "--out", str(tmp_path / "r"), "--partial"]
    assert cli.main(arguments) == 0
    assert len((tmp_path / "r" / "verdicts.jsonl").read_text().splitlines()) == 2


def test_a_frozen_vision_tower_stays_bit_for_bit(recipe: Recipe) -> None:
    train_judge(dataclasses.replace(recipe, freeze_vision=True, held_out=0.0, max_steps=2))
    before, after = base_weights(), written(recipe)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("vision_model.") for name in changed)
    assert any(name.startswith("language_model.") for name in changed)
    assert any(name.startswith("mlp1.") for name in changed)  # the projector is not vision


def test_adapters_are_pefts_and_leave_the_base_alone(recipe: Recipe) -> None:
    import peft

    recipe = lora(recipe, max_steps=6, objective="score")
    logged = Logged()
    about = train_judge(recipe, callbacks=[logged])
    assert sum(logged.losses[-2:]) < sum(logged.losses[:2])
    folder = Path(recipe.out) / "adapter"
    adapter = load_file(folder / "adapter_model.safetensors")
    assert adapter
    assert all(".model.language_model.layers." in name for name in adapter)
    assert not (Path(recipe.out) / "model").exists()
    assert about["base"] == str(judge_dir())
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == about["base"]
    model = checkpoint.load_model(judge_dir())
    before = model.lm_head(model.model.language_model(input_ids=torch.arange(9)[None]).last_hidden_state)
    adapted = peft.PeftModel.from_pretrained(model, str(folder))
    after = adapted.get_base_model()
    after = after.lm_head(after.model.language_model(input_ids=torch.arange(9)[None]).last_hidden_state)
    assert not torch.allclose(before, after, atol=1e-3)
    # merged, as a release does it: the native names are back, and the rest is the base's
    merged = dict(adapted.merge_and_unload().state_dict())
    fresh = dict(checkpoint.load_model(judge_dir()).state_dict())
    assert merged.keys() == fresh.keys()
    changed = {name for name in fresh if not torch.equal(fresh[name], merged[name])}
    assert {name.split(".")[-2] for name in changed} == set(recipe.targets)


RUNS = {
    "full, muon, shared prefixes": {"share_prefix": True},
    "lora with dropout, accumulation, distance": {
        "share_prefix": False, "accumulation": 2, "batch": 1, "distance_weight": 2.0, "dropout": 0.2,
        "gradient_checkpointing": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", RUNS.values(), ids=RUNS.keys())
def test_an_interrupted_run_ends_at_the_same_weights(recipe: Recipe, fields: dict[str, Any], tmp_path: Path) -> None:
    """Interrupted after step 3 of 5, with a checkpoint at 2: step 3 is done again, and the last checkpoint has the same
    bytes: weights, optimiser and schedule."""
    recipe = dataclasses.replace(recipe, held_out=0.0, max_steps=5, save_every=2, trainer={"save_total_limit": 9})
    recipe = dataclasses.replace(lora(recipe) if "dropout" in fields else recipe, **fields)
    whole = dataclasses.replace(recipe, out=str(tmp_path / "whole"))
    train_judge(whole)
    with pytest.raises(KeyboardInterrupt):
        train_judge(recipe, callbacks=[Interrupt(3)])
    torch.manual_seed(12345)  # a new process would be in another state
    assert not (Path(recipe.out) / "training.json").exists()
    train_judge(recipe, resume=True)
    first, second = (Path(run.out) / "checkpoint-5" for run in (whole, recipe))
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert torch.load(first / "scheduler.pt") == torch.load(second / "scheduler.pt")
    moments = [[*_tensors(torch.load(folder / "optimizer.pt"))] for folder in (first, second)]
    assert moments[0]
    assert all(torch.equal(one, other) for one, other in zip(*moments, strict=True))


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def test_two_runs_of_one_recipe_write_the_same_bytes(recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(recipe, held_out=0.0, max_steps=2)
    again = dataclasses.replace(recipe, out=str(tmp_path / "again"))
    other = dataclasses.replace(recipe, out=str(tmp_path / "other"), seed=1)
    for run in (recipe, again, other):
        train_judge(run)
    files = [(Path(run.out) / "model" / "model.safetensors").read_bytes() for run in (recipe, again, other)]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_training_stops_on_agreement_and_keeps_the_best_weights(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripted judgements: perfect after step 1, then worse twice, while the loss falls; patience 2 ends at step 3.

    People gave 6, 2, 0, 1, as often each, 3.75, -0.25, -2.25, -1.25 from their mean, with squares of 20.75 in all. Of
    6, 2, 1, 0 the product with them is 19.75, of 0, 1, 2, 6 it is -12.25: r is 0.952 and -0.590.
    """
    given = iter([[6, 2, 0, 1], [6, 2, 1, 0], [0, 1, 2, 6], [6, 2, 0, 1]])  # the last: of what was written
    orders = dict(zip(SCORES, range(4), strict=True))

    def scripted(trainer: JudgeTrainer, answers: Any, finished: Any = None) -> Measured:
        scores = next(given)
        return compare_with_people(answers, [scores[orders[item.key[1]]] for item in answers])

    monkeypatch.setattr(JudgeTrainer, "judge", scripted)
    logged = Logged()
    about = train_judge(
        dataclasses.replace(recipe, max_steps=9, eval_every=1, save_every=1, patience=2), callbacks=[logged]
    )
    assert [round(row["eval_pearson"], 3) for row in logged.rows if "eval_pearson" in row] == [1.0, 0.952, -0.59]
    assert logged.losses[2] < logged.losses[0]
    assert (about["steps"], about["kept_step"]) == (3, 1)
    assert about["metrics"]["pearson"]["value"] == pytest.approx(1)
    best = load_file(Path(recipe.out) / "checkpoint-1" / "model.safetensors")
    last = load_file(Path(recipe.out) / "checkpoint-3" / "model.safetensors")
    name = "judge.lm_head.weight"
    kept = written(recipe)["language_model.lm_head.weight"]
    assert torch.equal(kept, best[name].bfloat16().float())
    assert not torch.equal(kept, last[name].bfloat16().float())


def test_training_judges_what_is_set_aside_for_it(recipe: Recipe) -> None:
    """One question and its 4 answers stop the training; the held-out 8 are judged once, at the end."""
    logged = Logged()
    about = train_judge(
        dataclasses.replace(recipe, max_steps=1, eval_every=1, validation=0.17, metric="mae", objective="score"),
        callbacks=[logged],
    )
    (row,) = [row for row in logged.rows if "eval_selection" in row]
    assert 0 <= row["eval_selection"] <= 6
    assert 0 <= row["eval_unscored"] <= 100
    assert (len(about["validation"]), len(about["held_out"]), about["rows"]) == (4, 8, 12)


def test_one_model_under_test_can_be_left_out(recipe: Recipe) -> None:
    about = train_judge(dataclasses.replace(recipe, max_steps=1, leave_model_out="mute"))
    assert {model for _, model in about["held_out"]} == {"mute"}
    assert about["rows"] == 18


def test_bfloat16_trains_and_is_judged_as_it_would_be_written(recipe: Recipe) -> None:
    logged = Logged()
    fields = {"dtype": "bfloat16", "gradient_checkpointing": True, "share_prefix": False, "batch": 2}
    train_judge(dataclasses.replace(recipe, max_steps=1, eval_every=1, validation=0.17, **fields), callbacks=[logged])
    assert len([row for row in logged.rows if "eval_unscored" in row]) == 1
    train_judge(lora(dataclasses.replace(recipe, out=recipe.out + "2", held_out=0.0, max_steps=1, **fields)))
    assert (Path(recipe.out + "2") / "adapter" / "adapter_model.safetensors").exists()


def test_one_folder_is_for_one_run(recipe: Recipe, tmp_path: Path) -> None:
    recipe = dataclasses.replace(recipe, held_out=0.0, max_steps=1, save_every=1)
    with pytest.raises(UserError, match="no run to resume"):
        train_judge(recipe, resume=True)
    train_judge(recipe)
    with pytest.raises(UserError, match=r"earlier run, which is finished\n→ give another out$"):
        train_judge(recipe)
    with pytest.raises(UserError, match="is finished"):
        train_judge(recipe, resume=True)
    (Path(recipe.out) / "training.json").unlink()
    with pytest.raises(UserError, match=r"earlier run[^$]*--resume"):
        train_judge(recipe)
    with pytest.raises(UserError, match="another recipe_sha256"):
        train_judge(dataclasses.replace(recipe, lr=1e-3), resume=True)
    with (Path(recipe.data)).open("a") as file:
        file.write(json.dumps({**scored_rows()[0], "annotator": "a2"}) + "\n")
    with pytest.raises(UserError, match="another data_sha256"):
        train_judge(recipe, resume=True)


def test_resuming_is_named_only_where_it_is_possible(
    recipe: Recipe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(recipe, held_out=0.0, max_steps=1)
    out = Path(recipe.out)
    half = out / "checkpoint-1"
    half.mkdir(parents=True)
    with pytest.raises(UserError, match=r"without a whole checkpoint\n→ give another out, or delete this one$"):
        train_judge(recipe)
    (half / "trainer_state.json").write_text("{}")
    with pytest.raises(UserError, match="go on with --resume"):
        train_judge(recipe)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("judge.finetune.setup.find_setup", lambda recipe, resume: None)
    monkeypatch.setattr("judge.finetune.train.train_judge", interrupted)
    command = ["train", "recipes/tiny.toml", "--set", f"out={json.dumps(str(out))}"]
    assert cli.main(command) == 130
    assert f"--resume goes on from the last checkpoint in {out}" in capsys.readouterr().err
    (half / "trainer_state.json").unlink()
    assert cli.main(command) == 130
    said = capsys.readouterr().err
    assert f"interrupted before the first checkpoint in {out}" in said
    assert "--resume" not in said


def test_the_line_at_the_end_says_how_many_answers_were_compared() -> None:
    """Of 6 answers 2 have a score: 4 against 5 and 2 against 1, so r is 1 and the mean error 1, of n = 2."""
    measured = Measured((4, None, None, 2, None, None), (5.0, 1.0, 2.0, 1.0, 4.0, 6.0), tuple("abcdef"))
    assert _agreement_line(measured.metrics(resamples=0)) == (
        "held out: 6 answers, unscored 66.7%; on the 2 with a score: pearson 1.00, kappa_quadratic 0.80, mae 1.00"
    )


def test_a_penalty_is_not_logged_as_a_measurement(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that says 3 to everything has no correlation: the worst there is to choose weights by, and no number."""
    monkeypatch.setattr(
        JudgeTrainer, "judge", lambda trainer, answers, finished=None: compare_with_people(answers, [3] * len(answers))
    )
    logged = Logged()
    train_judge(dataclasses.replace(recipe, max_steps=1, eval_every=1), callbacks=[logged])
    (row,) = [row for row in logged.rows if "eval_selection" in row]
    assert row["eval_selection"] == -1.0
    assert "eval_pearson" not in row
    assert row["eval_mae"] > 0


def test_modules_that_are_not_there_cannot_be_adapted(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="no modules q_proj"):
        train_judge(lora(recipe, targets=("q_proj", "o_proj")))  # the vision tower has one, and it is frozen


def test_a_base_that_is_not_there_is_named(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="nowhere"):
        train_judge(dataclasses.replace(recipe, base="./nowhere"))


def test_data_without_what_the_objective_needs_is_refused(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="objective 'criteria'"):
        train_judge(dataclasses.replace(recipe, objective="criteria"))


def test_the_command_says_in_one_line_what_is_wrong(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    lines = [f"{name} = {json.dumps(getattr(recipe, name))}" for name in ("base", "data", "out", "questions")]
    file.write_text("\n".join([*lines, "max_steps = 1", 'method = "full"']))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert cli.main(["train", str(file), "--set", "bacth=2"]) == 2
    assert 'field "bacth"' in capsys.readouterr().err
    assert cli.main(["train", str(file), "--resume"]) == 2
    assert "no run to resume" in capsys.readouterr().err
