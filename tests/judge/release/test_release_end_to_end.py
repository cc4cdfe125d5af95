"""train → release → score with the released judge → agree, each as its command."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from transformers import AutoModelForImageTextToText, AutoProcessor

from judge.cli import main
from judge.model.weights import checkpoint, convert, original_layout


def test_both_folders_and_the_numbers_are_there(released):
    assert sorted(path.name for path in released.iterdir()) == ["agreement.json", "native", "original"]
    for folder in ("original", "native"):
        about = json.loads((released / folder / "mmjudge.json").read_text())
        assert about["rubric"] == "mmjudge"
        assert about["weights_sha256"] == checkpoint.weights_sha256(released / "original")
    assert [path.name for path in released.parent.iterdir() if path.name.startswith(".")] == []


def test_the_released_judge_scores_and_its_agreement_is_measured(world, released, tmp_path, capsys):
    """The commands that follow, on the answers of one model: the same scores that the release was decided by."""
    judge = released / "original"
    for model, file in world.responses.items():
        options = ["--benchmark", "mmie", "--data", world.questions, "--judge", judge, "--out", tmp_path / model]
        assert main(["score", *map(str, [file, *options, "--device", "cpu"])]) == 0
    capsys.readouterr()
    assert main(["agree", str(tmp_path), str(world.scored), "--out", str(tmp_path / "agreement")]) == 0
    signature = json.loads((released / "agreement.json").read_text())["signatures"]["judge"]
    found = json.loads((tmp_path / "agreement" / "agreement.json").read_text())
    assert found["signature"] == signature
    held_out = {tuple(key) for key in json.loads((world.run / "training.json").read_text())["held_out"]}
    scored = {}
    for model in world.responses:
        for line in (tmp_path / model / "verdicts.jsonl").read_text().splitlines():
            row = json.loads(line)
            scored[row["id"], model] = row["score"]
    decided = {}
    for line in (world.run / "release" / "judge.jsonl").read_text().splitlines():
        row = json.loads(line)
        decided[tuple(row["id"].split(" of "))] = row["score"]
    assert decided.keys() == held_out
    assert {key: scored[key] for key in held_out} == decided


def test_it_is_better_than_its_base_by_merit(released):
    """In a world this easy; where it is not, nothing would be here (test_release_refusal)."""
    found = json.loads((released / "agreement.json").read_text())
    assert found["metric"] == "kappa_quadratic"
    assert found["better"] is True
    assert found["gain"]["ci_low"] > 0
    # mean scores by category are all there is to know: a judge that learned them errs by less than one point in six
    assert found["judge"]["mae"]["value"] < found["base"]["mae"]["value"]


def test_the_native_folder_is_the_same_judge(released):
    described = original_layout.read_layout(released / "original")
    ours = checkpoint.load_model(released / "original")
    theirs = AutoModelForImageTextToText.from_pretrained(released / "native", dtype=torch.float32)
    for name, prompt in convert.comparison_prompts(described).items():
        with torch.inference_mode():
            one, other = (model(**prompt).logits for model in (ours, theirs))
        assert float((one - other).abs().max()) <= convert.LOGIT_TOLERANCE, name
    assert AutoProcessor.from_pretrained(released / "native").image_token == "<IMG_CONTEXT>"


def test_anyone_s_generate_says_what_was_decided(world, released):
    """A held-out answer through transformers alone: processor, template, generate."""
    from judge.finetune.recipe import Recipe
    from judge.release.trained import read_trained

    run = read_trained(world.run)
    item = run.held_out[0]
    pieces = run.benchmark.rubric("mmjudge").render(item.request)
    text = "".join(piece.text for piece in pieces)  # no pictures in this world
    processor = AutoProcessor.from_pretrained(released / "native")
    model = AutoModelForImageTextToText.from_pretrained(released / "native", dtype=torch.float32)
    message = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    inputs = processor.apply_chat_template(
        message, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    out = model.generate(**inputs, max_new_tokens=64)[0, inputs["input_ids"].shape[1] :]
    said = processor.decode(out, skip_special_tokens=True)
    rows = [json.loads(line) for line in (world.run / "release" / "judge.jsonl").read_text().splitlines()]
    assert said == next(row["feedback"] for row in rows if row["id"] == " of ".join(item.key))
    assert isinstance(run.recipe, Recipe)


def test_the_card_says_what_is_known(world, released):
    numbers = json.loads((released / "agreement.json").read_text())
    for folder, library in (("original", "mmjudge"), ("native", "transformers")):
        text = (released / folder / "README.md").read_text()
        assert "{" not in text.split("---")[2]
        front = yaml.safe_load(text.split("---")[1])
        assert front["license"] == "apache-2.0"
        assert front["library_name"] == library
        assert front["base_model"] == []  # a folder, and no repository
        kappa = {name: numbers[name]["kappa_quadratic"] for name in ("base", "judge_minus_base")}
        cells = [f"{found['value']:{sign}.2f} [{found['ci_low']:{sign}.2f}, {found['ci_high']:{sign}.2f}]"
                 for found, sign in zip(kappa.values(), ("", "+"), strict=True)]  # fmt: skip
        (row,) = [line for line in text.splitlines() if line.startswith("| **kappa_quadratic** | ")]
        assert row.endswith(" | ".join(["", *cells, ""]).rstrip())
        assert numbers["signatures"]["judge"] in text
        assert "Scored by nobody: a rule of the tests." in text
        assert "| human scores | CC0-1.0 |" in text
        assert str(world.run.parent) not in text
        assert "below 50, intervals of correlations are too narrow" in text


def test_the_same_release_again_is_the_same(world, released, tmp_path):
    """Verdicts are taken from the journal, weights are merged anew: byte for byte the same, name and card apart."""
    again = tmp_path / "judge"
    before = (world.run / "release" / "judge.jsonl").read_bytes()
    options = ["--base-licence", "Apache-2.0", "--data-licence", "CC0-1.0", "--device", "cpu"]
    assert main(["release", str(world.run), "--out", str(again), *options]) == 0
    assert (world.run / "release" / "judge.jsonl").read_bytes() == before
    for folder in ("original", "native"):
        for file in (released / folder).iterdir():
            if file.name != "README.md":
                assert (again / folder / file.name).read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("option", ["--base-licence", "--data-licence", "--out"])
def test_what_cannot_be_known_is_asked_for(world, tmp_path, option, capsys):
    options = {"--out": str(tmp_path / "x"), "--base-licence": "MIT", "--data-licence": "MIT"}
    del options[option]
    with pytest.raises(SystemExit):
        main(["release", str(world.run), *(word for pair in options.items() for word in pair)])
    assert f"required: {option}" in capsys.readouterr().err
