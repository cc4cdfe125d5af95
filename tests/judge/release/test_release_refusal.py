"""Nothing is released that is not shown to be better, is interrupted, or is not what training wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from judge.cli import main
from judge.engines.local import LocalEngine
from judge.errors import UserError
from judge.io.files import sha256
from judge.model.weights import checkpoint, convert
from judge.release import export
from judge.release.trained import read_trained


def edit(file, **changes):
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps(content))


def without_effect(run):
    """The adapter as it is before the first step: B is 0."""
    file = run / "adapter" / "adapter_model.safetensors"
    tensors = load_file(str(file))
    save_file({n: torch.zeros_like(t) if "lora_B" in n else t for n, t in tensors.items()}, str(file))


@pytest.fixture
def known(world, released, run):
    """Take verdicts of the release over into the copied run: what is known is not judged again."""

    def take(*names):
        (run / "release").mkdir()
        for name in names:
            shutil.copy(world.run / "release" / f"{name}.jsonl", run / "release")

    return take


def lines(run, name):
    file = run / "release" / f"{name}.jsonl"
    return file.read_text().splitlines() if file.exists() else []


def test_a_judge_that_is_its_base_is_refused(run, known, release, tmp_path, capsys):
    known("base")
    without_effect(run)
    assert release() == 1
    out, err = capsys.readouterr()
    assert "mmjudge release: nothing is written: " in err
    assert "pearson " in out  # the whole table all the same
    found = json.loads((run / "release" / "agreement.json").read_text())
    assert found["better"] is False
    assert found["judge"] == found["base"]
    assert (found["gain"]["value"], found["gain"]["ci_low"]) == (0.0, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_judge_that_people_would_not_agree_with_is_refused(run, known, release, tmp_path, capsys):
    """Their scores turned round: it is as sure as before, and wrong."""
    known("judge", "base")
    scored = json.loads((run / "training.json").read_text())["recipe"]["data"]
    rows = [json.loads(line) for line in Path(scored).read_text().splitlines()]
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(json.dumps({**row, "score": 6 - row["score"]}) + "\n" for row in rows))
    edit(run / "training.json", data_sha256=sha256(turned))
    assert release("--data", turned, "--metric", "spearman") == 1
    assert "nothing is written: not shown to be better than its base in spearman: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_release_leaves_nothing_and_goes_on(run, known, release, tmp_path, monkeypatch):
    known("base")
    real, asked = LocalEngine.complete, []

    def five(self, prompts):
        for number, done in enumerate(real(self, prompts)):
            if number == 5:
                raise KeyboardInterrupt
            yield done

    monkeypatch.setattr(LocalEngine, "complete", five)
    assert release() == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert len(lines(run, "judge")) == 5

    def counted(self, prompts):
        asked.append(len(prompts))
        yield from real(self, prompts)

    monkeypatch.setattr(LocalEngine, "complete", counted)
    assert release() == 0
    n = len(json.loads((run / "training.json").read_text())["held_out"])
    assert asked == [n - 5]
    assert (tmp_path / "out" / "original" / "README.md").exists()


def test_an_interruption_after_the_judging_leaves_nothing(run, known, release, tmp_path, monkeypatch):
    known("judge", "base")
    real = convert.write_converted

    def interrupted(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "write_converted", interrupted)
    assert release() == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_full_fine_tuning_is_released_from_its_folder(run, known, released, release, tmp_path):
    """The merged judge, as if training had written all its weights: the same verdicts are its own."""
    known("judge", "base")
    shutil.rmtree(run / "adapter")
    shutil.copytree(released / "original", run / "model")
    edit(run / "training.json", method="full")
    before = lines(run, "judge")
    assert release("--name", "whole") == 0
    assert lines(run, "judge") == before
    ours, theirs = tmp_path / "out" / "original", released / "original"
    assert checkpoint.weights_sha256(ours) == checkpoint.weights_sha256(theirs)
    card = (ours / "README.md").read_text()
    assert "# whole\n" in card
    assert "| method | all weights |" in card
    assert "merging" not in card


def test_an_existing_folder_is_not_touched(run, release, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert release() == 2
    assert "exists already, and nothing is overwritten" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert lines(run, "judge") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out": []}, "nothing was held out"),
        ({"held_out": None}, "nothing was held out"),
        ({"held_out": [["SA-1", "right"]]}, "names other answers than these questions"),
        ({"base_weights": "0" * 64}, 'field "base_weights"'),
        ({"data_sha256": "0" * 64}, 'field "data_sha256"'),
        ({"rubric_sha256": "0" * 64}, 'field "rubric_sha256"'),
        ({"rubric": 7}, 'field "rubric": is missing'),
        ({"recipe": "tiny"}, 'field "recipe": is missing'),
        ({"base": "nowhere/at-all"}, "nowhere/at-all: is not on this machine"),
        ({"method": "magic"}, 'field "method"'),
    ],
)
def test_a_run_that_is_not_what_it_says_is_refused(run, change, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    edit(run / "training.json", **change)
    with pytest.raises(UserError, match=message):
        read_trained(run)


def test_an_unfinished_run_is_refused(run):
    (run / "training.json").unlink()
    with pytest.raises(UserError, match="no finished run of `mmjudge train`"):
        read_trained(run)


def test_data_that_moved_is_asked_for(run, tmp_path, world):
    recipe = json.loads((run / "training.json").read_text())["recipe"]
    edit(run / "training.json", recipe={**recipe, "data": str(tmp_path / "gone.jsonl")})
    with pytest.raises(UserError, match="--data FILE"):
        read_trained(run)
    assert read_trained(run, data=world.scored).recipe.data == str(world.scored)


# ---- merging


@pytest.fixture(scope="module")
def merged(world):
    return export.merge_adapter(world.base, world.run / "adapter")


def test_merging_is_w_plus_b_a(world, merged):
    """Every adapted matrix, from the adapter's file, with numpy's own product in float64."""
    model, differences = merged
    adapter = world.run / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    tensors = {
        name: tensor.double().numpy() for name, tensor in load_file(adapter / "adapter_model.safetensors").items()
    }
    state, base = model.state_dict(), checkpoint.load_model(world.base).state_dict()
    adapted = set()
    for name in tensors:
        if "lora_A" not in name:
            continue
        module = name.removeprefix("base_model.model.").partition(".lora_A")[0]
        weight = f"{module}.weight"
        wanted = base[weight].double().numpy() + scale * tensors[name.replace("lora_A", "lora_B")] @ tensors[name]
        assert abs(state[weight].double().numpy() - wanted).max() < 1e-5
        assert not torch.equal(state[weight], base[weight])
        adapted.add(weight)
    assert len(adapted) == len(tensors) // 2
    assert all(torch.equal(state[name], base[name]) for name in base.keys() - adapted)
    assert differences.merge < 1e-3 < differences.effect


def test_merged_logits_are_those_of_base_and_adapter(world, merged, released):
    """peft applies the adapter beside the base; what was merged and what was released say the same."""
    from judge.model.weights import original_layout

    described = original_layout.read_layout(world.base)
    adapted = peft.PeftModel.from_pretrained(checkpoint.load_model(world.base), str(world.run / "adapter")).eval()
    wanted = convert.last_logits(adapted, described)
    largest = max(float(logits.abs().max()) for logits in wanted.values())
    assert export.largest_difference(wanted, convert.last_logits(merged[0], described)) <= 1e-4 * largest
    rounded = convert.last_logits(checkpoint.load_model(released / "original"), described)
    # bfloat16 keeps 8 bits: a few thousandths of the largest logit
    assert export.largest_difference(wanted, rounded) <= 2e-2 * largest


def test_a_merge_that_computes_something_else_is_refused(world, monkeypatch):
    monkeypatch.setattr(peft.PeftModel, "merge_and_unload", lambda self, **_: self.unload(), raising=False)
    with pytest.raises(UserError, match="merged into the base it gives logits that are off by"):
        export.merge_adapter(world.base, world.run / "adapter")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
            "lacks adapter_model",
        ),
        (lambda folder: drop(folder, "lora_B"), "does not fit the base"),
        (lambda folder: edit(folder / "adapter_config.json", r=3), "does not fit the base"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(world, run, damage, message):
    damage(run / "adapter")
    with pytest.raises(UserError, match=message):
        export.merge_adapter(world.base, run / "adapter")


def drop(folder, part):
    """One of the adapter's matrices is lost."""
    file = folder / "adapter_model.safetensors"
    tensors = load_file(str(file))
    tensors.pop(next(name for name in sorted(tensors) if part in name))
    save_file(tensors, str(file))


def test_what_was_written_is_read_again(run, release, tmp_path, monkeypatch, capsys):
    real = checkpoint.save_original

    def damaged(model, folder, raw):
        real(model, folder, raw)
        file = folder / "model.safetensors"
        tensors = load_file(str(file))
        tensors["language_model.model.norm.weight"] *= 1.01
        save_file(tensors, str(file))

    monkeypatch.setattr(checkpoint, "save_original", damaged)
    assert release() == 2
    assert "logits of what was written are off by" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_names_a_missing_statement(run, release, tmp_path, capsys):
    assert release("--statement", tmp_path / "none.md") == 2
    assert "give another --statement" in capsys.readouterr().err
    assert main(["release", str(run / "nothing"), "--out", "x", "--base-licence", "a", "--data-licence", "b"]) == 2
