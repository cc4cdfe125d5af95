"""`mmjudge analyse` from the command line, on the demo set and tiny models."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_families
from PIL import Image

from judge import cli
from judge.attention.models import identify_model
from judge.attention.tables import MEASURES
from mmvu_tasks.demo import demo_dir

LIMIT = 8
"""Four pairs."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of tiny models, by family; each is made once."""
    made = {}

    def folder(family):
        if family not in made:
            made[family] = tiny_families.save_family(family, tmp_path_factory.mktemp(family))
        return made[family]

    return folder


def analyse(model, out, *more, data=None, benchmark="mmvu"):
    words = ["analyse", model, "--benchmark", benchmark, "--data", data or demo_dir(), "--out", out, "--device", "cpu"]
    return cli.main([str(word) for word in (*words, "--resamples", 100, *more)])


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "internvl", "idefics3", "llava_onevision"])
def test_a_run_writes_lines_and_tables(family, models, tmp_path, capsys):
    out = tmp_path / "out"
    assert analyse(models(family), out, "--limit", LIMIT, "--no-plots") == 0
    printed = capsys.readouterr().out
    assert f"{LIMIT} questions, 4 pairs" in printed
    assert max(map(len, printed.splitlines()[:-2])) <= 100
    for measure in MEASURES.values():
        assert f"\n{measure.title} " in printed
    assert len((out / "questions.jsonl").read_text().splitlines()) == LIMIT
    analysis = json.loads((out / "analysis.json").read_text())
    assert analysis["run"]["model"] == identify_model(str(models(family)))
    assert analysis["kinds"]["POS"]["p_right"]["n"] == 4
    assert set(analysis["drops"]) == set(MEASURES)
    files = {"analysis.json", "questions.jsonl", "questions.jsonl.lock"}
    assert {path.name for path in out.iterdir()} == files


def test_plots_are_drawn_of_all_questions_and_of_the_four_worst_pairs(models, tmp_path, capsys):
    out = tmp_path / "out"
    assert analyse(models("qwen2_vl"), out, "--limit", LIMIT) == 0
    printed = capsys.readouterr().out
    drawn = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert [name for name in drawn if "maps/" not in name] == ["attention.png", "right_letter.png"]
    assert len(drawn) == 6
    for name in drawn:
        assert str(out / name) in printed
        with Image.open(out / name) as image:
            assert min(image.size) > 200


def test_a_run_goes_on_and_ends_the_same(models, tmp_path, capsys):
    for limits in ((LIMIT,), (3, LIMIT)):
        for limit in limits:
            assert analyse(models("qwen2_vl"), tmp_path / str(len(limits)), "--limit", limit, "--no-plots") == 0
    for name in ("questions.jsonl", "analysis.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert not list(tmp_path.rglob("*.png"))


def test_a_pair_may_be_chosen_for_its_map(models, tmp_path):
    out = tmp_path / "out"
    chosen = json.loads((demo_dir() / "MMR-benchmark.json").read_text())[2]["id"]
    assert analyse(models("qwen2_vl"), out, "--limit", LIMIT, "--show", chosen) == 0
    assert [path.name for path in (out / "maps").iterdir()] == ["00002.png"]


def refused(capsys, *words, **options):
    assert analyse(*words, **options) == 2
    return capsys.readouterr().err


def test_bad_input_is_one_error_each(models, tmp_path, capsys):
    out, model = tmp_path / "out", models("qwen2_vl")
    assert "none of the 48 questions has this id" in refused(capsys, model, out, "--show", "what")
    assert "the questions of mmie have no letters" in refused(capsys, model, out, benchmark="mmie")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{empty} cannot be loaded" in refused(capsys, empty, out)
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "blip-2"}))
    said = refused(capsys, other, out)
    assert "a model of type blip-2 stand is not known" in said
    assert "families that are known: llava, llava_next" in said
    assert not (out / "analysis.json").exists()


def test_damaged_weights_are_one_error(models, tmp_path, capsys):
    from safetensors.numpy import load_file, save_file

    cut, less = tmp_path / "cut", tmp_path / "less"
    for folder in (cut, less):
        shutil.copytree(models("qwen2_vl"), folder)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert f"{cut} cannot be loaded: " in refused(capsys, cut, tmp_path / "out")
    tensors = load_file(less / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("layers.1.self_attn.q_proj.weight"))
    del tensors[gone]
    save_file(tensors, less / "model.safetensors", {"format": "pt"})
    assert f"{less} lacks 1 of its weights" in refused(capsys, less, tmp_path / "out")
    assert not (tmp_path / "out" / "questions.jsonl").exists()


def test_a_missing_picture_is_one_error(models, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(demo_dir(), data)
    gone = next(data.rglob("*.png"))
    gone.unlink()
    said = refused(capsys, models("qwen2_vl"), tmp_path / "out", data=data)
    assert gone.stem in said
    assert 'field "image"' in said
    assert not (tmp_path / "out").exists()


def test_another_model_in_the_folder_is_one_error(models, tmp_path, capsys):
    assert analyse(models("qwen2_vl"), tmp_path, "--limit", 2, "--no-plots") == 0
    before = (tmp_path / "questions.jsonl").read_bytes()
    assert "has questions of another model" in refused(capsys, models("llava"), tmp_path, "--limit", 2, "--no-plots")
    assert (tmp_path / "questions.jsonl").read_bytes() == before


def test_a_folder_is_known_by_all_its_files(models, tmp_path):
    model = tmp_path / "mine"
    shutil.copytree(models("qwen2_vl"), model)
    before = identify_model(str(model))
    assert before.startswith("mine@local-")
    assert before.partition("@")[2] == identify_model(str(models("qwen2_vl"))).partition("@")[2]
    (model / "chat_template.jinja").write_text("{{ messages }}")
    assert identify_model(str(model)) != before
