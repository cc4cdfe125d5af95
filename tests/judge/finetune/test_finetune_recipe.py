"""Recipes: the two that come along, what is refused and in which words, and what their hash is of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from judge import cli
from judge.errors import UserError
from judge.finetune.recipe import Recipe, read_recipe
from judge.finetune.trainer import training_arguments

PLAIN = 'base = "b"\ndata = "d.jsonl"\nout = "o"\nmax_steps = 3\n'


def read(tmp_path: Path, text: str, *overrides: str) -> Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    return read_recipe(file, overrides)


@pytest.mark.parametrize("name", ["recipes/tiny.toml", "recipes/internvl2_4b.toml", "tiny.toml"])
def test_recipes_that_come_along_are_valid_wherever_one_stands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_recipe(name)
    assert training_arguments(found, rows=700).max_steps > 0


def test_the_real_recipe_takes_three_epochs_of_its_rows() -> None:
    """700 rows, 16 a step: 3 * 700 / 16 = 131.25, rounded up."""
    found = read_recipe("recipes/internvl2_4b.toml")
    given = training_arguments(found, rows=700)
    assert (given.max_steps, given.per_device_train_batch_size, given.gradient_accumulation_steps) == (132, 1, 16)
    assert given.metric_for_best_model == "selection"
    assert given.greater_is_better
    assert given.load_best_model_at_end


def test_defaults_are_filled_in_and_written_out(tmp_path: Path) -> None:
    found = read(tmp_path, PLAIN)
    assert (found.method, found.held_out, found.objective) == ("lora", 0.2, "feedback")
    assert found.to_json()["targets"] == ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]


REFUSED = {
    "unknown key": ("bacth = 2", "bacth", "not a key"),
    "text for a number": ('lr = "1e-4"', "lr", "is '1e-4': input should be a valid number"),
    "fraction for a count": ("batch = 1.5", "batch", "is 1.5: input should be a valid integer"),
    "number for a flag": ("freeze_vision = 1", "freeze_vision", "is 1: input should be a valid boolean"),
    "flag for a number": ("seed = true", "seed", "is True: input should be a valid integer"),
    "text for a list": ('targets = "qkv_proj"', "targets", "input should be a valid tuple"),
    "numbers for names": ("targets = [1, 2]", "targets", "is 1: input should be a valid string"),
    "no such method": ('method = "qlora"', "method", "input should be 'lora' or 'full'"),
    "no such metric": ('metric = "loss"', "metric", "input should be 'pearson', 'spearman'"),
    "no such benchmark": ('benchmark = "mmlu"', "benchmark", "not one of"),
    "a rule needs no judge": ('benchmark = "mmvu"', "benchmark", "a rule decides"),
    "out of range": ("held_out = 1.5", "held_out", "is 1.5: input should be less than or equal to 0.9"),
    "not a number at all": ("lr = nan", "lr", "is nan: input should be a finite number"),
    "two lengths": ("epochs = 2.0", "max_steps", "exactly one"),
    "no adapters for muon": ('optimizer = "muon"', "optimizer", "full fine-tuning"),
    "cache and recomputation": ("share_prefix = true", "share_prefix", "exclude each other"),
    "patience without evaluations": ("patience = 2", "patience", "eval_every"),
    "best weights not on disk": ("patience = 2\neval_every = 5\nsave_every = 10", "save_every", "must equal"),
    "floor of a line": ('lr_floor = 0.1\nschedule = "linear"', "lr_floor", "cosine"),
    "nothing left to train on": ("validation = 0.8", "validation", "less than a tenth"),
    "three betas": ("betas = [0.9, 0.95, 0.99]", "betas", "at most 2 items"),
    "a beta of one": ("betas = [0.9, 1]", "betas", "is 1: input should be less than 1"),
    "no learning": ("lr = 0", "lr", "is 0: input should be greater than 0"),
    "nothing adapted": ("targets = []", "targets", "at least 1 item"),
    "a date for transformers": ("[trainer]\nlogging_dir = 2026-11-28", "trainer", "not a valid JSON value"),
    "own key by the back door": ("[trainer]\nseed = 1", "trainer.seed", "own keys"),
}


@pytest.mark.parametrize(("line", "field", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_named_with_file_and_field(line: str, field: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, PLAIN + line)
    assert str(tmp_path / "recipe.toml") in str(caught.value)
    assert f'field "{field}"' in str(caught.value)
    assert says in str(caught.value)


def test_an_argument_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    found = read(tmp_path, PLAIN + "[trainer]\nlearning_speed = 3")
    with pytest.raises(UserError, match="learning_speed"):
        training_arguments(found, rows=10)


@pytest.mark.parametrize("missing", ["base", "data", "out"])
def test_a_missing_key_is_named(missing: str, tmp_path: Path) -> None:
    lines = [line for line in PLAIN.splitlines() if not line.startswith(missing)]
    with pytest.raises(UserError, match=f'field "{missing}": is missing'):
        read(tmp_path, "\n".join(lines))


def test_broken_toml_and_absent_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as TOML"):
        read(tmp_path, "base = ")
    with pytest.raises(UserError, match=r"recipes/internvl2_4b\.toml"):
        read_recipe(tmp_path / "nowhere.toml")


def test_overrides_are_toml_or_text(tmp_path: Path) -> None:
    found = read(
        tmp_path, PLAIN, "lr=1e-3", "out=out/b c", 'data="e.jsonl"', "betas=[0.8, 0.9]", "trainer.optim=adafactor"
    )
    assert (found.lr, found.out, found.data, found.betas) == (1e-3, "out/b c", "e.jsonl", (0.8, 0.9))
    assert found.trainer == {"optim": "adafactor"}
    with pytest.raises(UserError, match="key=value"):
        read(tmp_path, PLAIN, "lr")


def test_the_hash_is_of_values_not_of_words(tmp_path: Path) -> None:
    plain = read(tmp_path, PLAIN)
    said_differently = read(tmp_path, "# a comment\n" + PLAIN.replace("3\n", "3 # steps\n") + 'method = "lora"\n')
    assert plain.sha256 == said_differently.sha256
    assert plain.sha256 != read(tmp_path, PLAIN, "seed=1").sha256
    # a whole number for a fraction is that fraction; and runs that were started with the first version go on
    assert (
        read(tmp_path, PLAIN, "lr=1", "betas=[0, 0.5]").sha256
        == "96cbfb314ba51cf100fc00713aff1a7bdd6ec03e3ca35746f34f9bc7a9cea897"
    )


def test_what_is_not_installed_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.delitem(sys.modules, "judge.finetune.recipe")
    assert cli.main(["train", "tiny.toml"]) == 2
    assert "pydantic is not installed\n→ pip install 'mmjudge[finetune]'" in capsys.readouterr().err
