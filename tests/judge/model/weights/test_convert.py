"""Original layout → native → original: what transformers loads by itself is the same judge, and nothing is lost."""

from __future__ import annotations

import json
import shutil

import numpy as np
import PIL
import plain_model
import pytest
import torch
from folders import ROOT
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from judge.cli import main
from judge.commands.convert import serving_commands
from judge.errors import UserError
from judge.model import conversation, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, convert, hf_layout, original_layout

BOTH = pytest.mark.parametrize("name", ["recorded", "second"])
TEXTS = ["", "A  cat.\n", "<image>", "Ünï\t你好 \U0001f600", "<|user|> literal", "### Score\n6", "x" * 50]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, golden_folder, second_folder):
    """name → (original, native, original again)."""
    made = {}
    for name, source in (("recorded", golden_folder / "tiny-internvl2"), ("second", second_folder)):
        folder = tmp_path_factory.mktemp(name)
        assert convert.convert_judge(source, folder / "native").to == "native"
        assert convert.convert_judge(folder / "native", folder / "again").to == "original"
        made[name] = (source, folder / "native", folder / "again")
    return made


@pytest.fixture(scope="module")
def stock(folders):
    """name → the native folder's model as anyone loads it."""
    return {
        name: AutoModelForImageTextToText.from_pretrained(there, dtype=torch.float32)
        for name, (_, there, _) in folders.items()
    }


@pytest.fixture
def spoilt(folders, tmp_path):
    """A native folder that may be spoilt, and where its conversion would go."""
    return shutil.copytree(folders["recorded"][1], tmp_path / "spoilt"), tmp_path / "again"


def tensors(folder):
    found = {}
    for file in folder.glob("*.safetensors"):
        found |= load_file(str(file))
    return found


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@BOTH
def test_there_and_back_has_equal_tensors(folders, name):
    source, _, again = folders[name]
    before, after = tensors(source), tensors(again)
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert after[key].dtype == tensor.dtype
        assert torch.equal(after[key], tensor), key


@BOTH
def test_there_and_back_has_equal_logits(folders, name):
    """By this package's own loader, exactly: the same numbers in the same places."""
    source, _, again = folders[name]
    described = original_layout.read_layout(source)
    models = [checkpoint.load_model(folder) for folder in (source, again)]
    for prompt in convert.comparison_prompts(described).values():
        with torch.inference_mode():
            one, other = (model(**prompt).logits for model in models)
        assert torch.equal(one, other)


@BOTH
def test_there_and_back_says_the_same_of_itself(folders, name):
    source, _, again = folders[name]
    before, after = original_layout.read_layout(source), original_layout.read_layout(again)
    assert original_layout.native_config(before).to_dict() == original_layout.native_config(after).to_dict()
    assert (before.tile_size, before.window, before.image_token) == (after.tile_size, after.window, after.image_token)
    for field in ("max_dynamic_patch", "min_dynamic_patch", "use_thumbnail", "dynamic_image_size"):
        assert after.raw[field] == before.raw[field]
    tokenizers = [Tokenizer.from_folder(folder) for folder in (source, again)]
    assert tokenizers[0].special == tokenizers[1].special
    for text in TEXTS:
        ids = [tokenizer.encode_trusted(conversation.chat_text(text, [], 4)) for tokenizer in tokenizers]
        assert ids[0] == ids[1]


def test_what_comes_back_passes_the_recorded_cases(folders, golden_folder, capsys):
    assert main(["verify", str(folders["recorded"][2]), "--golden", str(golden_folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("13/13 cases one by one, 13/13 in one batch")


@BOTH
def test_the_native_folder_computes_what_the_layout_says(folders, stock, name):
    """Against the judge written out in plain torch, over the original tensors, in float64."""
    source, _, _ = folders[name]
    described, weights = original_layout.read_layout(source), plain_model.read(source)
    for prompt in convert.comparison_prompts(described).values():
        with torch.inference_mode():
            found = stock[name](**prompt, logits_to_keep=1).logits[0]
        expected = plain_model.step_logits(
            described.raw,
            weights,
            prompt["input_ids"][0].tolist(),
            [0],
            prompt.get("pixel_values"),
            image_token=described.image_token,
        )
        assert float((found - expected).abs().max()) <= convert.LOGIT_TOLERANCE


def test_anyone_s_generate_gives_the_recorded_ids(folders, stock, golden_folder):
    """The stop token is the folder's own: `generation_config.json` names <|end|> alone."""
    content = json.loads((golden_folder / "cases.json").read_text())
    for case in content["cases"]:
        pictures = [images.decode_image(golden_folder / "images" / name) for name in case["images"]]
        cut = [images.cut_tiles(picture, 56, pillow=13) for picture in pictures]
        pixels = {"pixel_values": torch.from_numpy(images.pixel_values(np.concatenate(cut)))} if cut else {}
        ids = torch.tensor([case["input_ids"]])
        mask = torch.ones_like(ids)
        out = stock["recorded"].generate(input_ids=ids, attention_mask=mask, max_new_tokens=24, **pixels)
        assert out[0, len(case["input_ids"]) :].tolist() == case["new_ids"], case["name"]


def test_anyone_s_processor_gives_the_recorded_prompts(folders, golden_folder):
    """Ids exactly; pixels exactly with the Pillow backend, whose resize is that of the Pillow installed."""
    pillow = int(PIL.__version__.partition(".")[0])
    folder = folders["recorded"][1]
    processor = AutoProcessor.from_pretrained(folder)
    processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    content = json.loads((golden_folder / "cases.json").read_text())
    for case in content["cases"]:
        # without the transparency that Pillow remembers, which the processor would lay on white
        pictures = [
            Image.fromarray(np.asarray(images.decode_image(golden_folder / "images" / name))) for name in case["images"]
        ]
        out = processor.apply_chat_template(
            [{"role": "user", "content": parts(case["question"], pictures)}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        assert out["input_ids"][0].tolist() == case["input_ids"], case["name"]
        if pictures:
            ours = images.pixel_values(
                np.concatenate([images.cut_tiles(picture, 56, pillow=pillow) for picture in pictures])
            )
            # transformers normalises in another order of operations
            assert float(np.abs(ours - out["pixel_values"].numpy()).max()) < 1e-6


def parts(question, pictures):
    """The question as a message; `<image>` left over stays text, and a picture nowhere named comes first."""
    if pictures and "<image>" not in question:
        question = f"<image>\n{question}"
    pieces, left = question.split("<image>"), list(pictures)
    message = [{"type": "text", "text": pieces[0]}]
    for piece in pieces[1:]:
        picture = {"type": "image", "image": left.pop(0)} if left else {"type": "text", "text": "<image>"}
        message += [picture, {"type": "text", "text": piece}]
    return message


@BOTH
def test_a_system_message_of_the_user_replaces_the_judge_s(folders, name):
    source, there, _ = folders[name]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    found = AutoTokenizer.from_pretrained(there).apply_chat_template(messages, add_generation_prompt=True)
    wanted = Tokenizer.from_folder(source).encode_trusted(conversation.chat_text("Hi", [], 4, "Be kind."))
    assert list(found["input_ids"]) == wanted


def test_a_judge_with_a_system_message_of_its_own_keeps_it(golden_folder, tmp_path):
    source = shutil.copytree(golden_folder / "tiny-internvl2", tmp_path / "source")
    edit(source / "config.json", lambda raw: raw.update(system_message='Say "so" \\ {{ 1 }}\nand stop.'))
    convert.convert_judge(source, tmp_path / "native")
    convert.convert_judge(tmp_path / "native", tmp_path / "again")
    assert original_layout.read_layout(tmp_path / "again").raw["system_message"] == 'Say "so" \\ {{ 1 }}\nand stop.'


def test_large_weights_are_sharded(golden_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "SHARD", "200KB")
    report = convert.convert_judge(golden_folder / "tiny-internvl2", tmp_path / "native")
    files = sorted(file.name for file in (tmp_path / "native").glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert len(files) > 1
    index = json.loads((tmp_path / "native" / "model.safetensors.index.json").read_text())
    assert len(index["weight_map"]) == report.tensors == 85  # 73 originally, 3 layers' weight and bias of q, k, v
    assert convert.convert_judge(tmp_path / "native", tmp_path / "again").tensors == 73


def test_no_code_and_no_pickle_comes_along(golden_folder, tmp_path):
    source = shutil.copytree(golden_folder / "tiny-internvl2", tmp_path / "source")
    (source / "modeling_internvl_chat.py").write_text("raise SystemExit('remote code was run')\n")
    (source / "pytorch_model.bin").write_bytes(b"\x80")
    convert.convert_judge(source, tmp_path / "native")
    kinds = {file.suffix for file in (tmp_path / "native").iterdir()}
    assert kinds == {".json", ".jinja", ".model", ".safetensors"}
    assert "auto_map" not in (tmp_path / "native" / "config.json").read_text()


def test_the_command_there_and_back(golden_folder, tmp_path, capsys):
    source, there, again = golden_folder / "tiny-internvl2", tmp_path / "a" / "native", tmp_path / "again"
    assert main(["convert", str(source), str(there), "--to", "native"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{there}: native layout, 85 tensors of equal bytes, {size(there):,} bytes"
    assert lines[1].startswith("largest difference of float32 logits: short ")
    serve = (
        f"  vllm serve {there} --served-model-name tiny-internvl2 --dtype bfloat16 --generation-config vllm"
        f" --chat-template {there}/chat_template.jinja --chat-template-content-format string"
        """ --limit-mm-per-prompt '{"image": 16}'"""
    )
    assert lines[4:] == [
        f"{serve} --max-model-len 128 --port 8001",
        f"{serve} --max-model-len 512 --port 8002",
        "  mmjudge score answers.jsonl --benchmark mmie --out results"
        " --judge 'http://localhost:8001/v1#short,http://localhost:8002/v1#long'"
        f" --tokenizer {source}",
    ]
    assert (there / "chat_template.jinja").is_file()
    assert main(["convert", str(there), str(again), "--to", "native"]) == 2
    assert "is in the native layout already" in capsys.readouterr().err
    assert not again.exists()
    assert main(["convert", str(there), str(again)]) == 0
    assert "vllm" not in capsys.readouterr().out
    assert main(["convert", str(source), str(again)]) == 2
    assert f"{again}: exists already, and nothing is overwritten" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "again"]


def test_the_documentation_has_the_commands_of_the_published_judge(tmp_path):
    rope = {"original_max_position_embeddings": 4096}
    config = {"dtype": "bfloat16", "text_config": {"max_position_embeddings": 131072, "rope_parameters": rope}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    documented = " ".join((ROOT / "docs" / "scale.md").read_text(encoding="utf-8").replace("\\\n", " ").split())
    for command in serving_commands(tmp_path, "MMIE/MMIE-Score", "MMIE/MMIE-Score"):
        assert command.replace(str(tmp_path.resolve()), "/models/native") in documented


def size(folder):
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


@pytest.mark.parametrize("fails", [KeyboardInterrupt, OSError(28, "No space left on device"), UserError("no")])
def test_what_is_interrupted_leaves_nothing(golden_folder, tmp_path, monkeypatch, fails):
    real = convert.copy_tensors

    def interrupted(plan, folder):
        real(plan, folder)
        raise fails

    monkeypatch.setattr(convert, "copy_tensors", interrupted)
    with pytest.raises((KeyboardInterrupt, UserError)):
        convert.convert_judge(golden_folder / "tiny-internvl2", tmp_path / "native")
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_is_found(golden_folder, tmp_path, monkeypatch):
    real = convert.copy_tensors

    def flip(plan, folder):
        real(plan, folder)
        file = next(folder.glob("*.safetensors"))
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))

    monkeypatch.setattr(convert, "copy_tensors", flip)
    with pytest.raises(UserError, match="is not what was read"):
        convert.convert_judge(golden_folder / "tiny-internvl2", tmp_path / "native")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        # 1e-5 for 1e-6 moves logits by 2e-4 (internvl2 facts): twenty tolerances less would not
        ("config.json", lambda raw: raw["vision_config"].update(layer_norm_eps=1e-5), "logits of the picture prompt"),
        ("config.json", lambda raw: raw["text_config"].update(rms_norm_eps=1e-6), "logits of the short prompt"),
        ("tokenizer.json", lambda raw: raw["model"].update(merges=raw["model"]["merges"][:9]), "its tokenizer.json"),
    ],
)
def test_a_wrong_description_is_found(golden_folder, tmp_path, monkeypatch, file, change, message):
    real = hf_layout.write_native_description

    def wrong(source, described, folder, dtype):
        real(source, described, folder, dtype)
        edit(folder / file, change)

    monkeypatch.setattr(hf_layout, "write_native_description", wrong)
    with pytest.raises(UserError, match=message):
        convert.convert_judge(golden_folder / "tiny-internvl2", tmp_path / "native")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(tie_word_embeddings=True), 'field "tie_word_embeddings": is true'),
        (lambda raw: raw.pop("tie_word_embeddings"), 'field "tie_word_embeddings": is true'),
        (lambda raw: raw["text_config"].update(model_type="qwen2"), 'field "text_config.model_type": is "qwen2"'),
        (lambda raw: raw["vision_config"].update(use_mean_pooling=False), 'field "vision_config.use_mean_pooling"'),
        (lambda raw: raw.update(vision_feature_layer=-2), 'field "vision_feature_layer": is -2'),
        (lambda raw: raw["vision_config"].update(image_size=[56, 28]), r"\[56, 28\] is not a square"),
        (lambda raw: raw["text_config"].pop("vocab_size"), "is not the config of a native InternVL model"),
        (lambda raw: raw.update(architectures=["LlavaForCausalLM"]), 'field "architectures"'),
    ],
)
def test_a_native_config_the_original_layout_cannot_say_is_refused(spoilt, change, message):
    folder, again = spoilt
    edit(folder / "config.json", change)
    with pytest.raises(UserError, match=message):
        convert.convert_judge(folder, again)
    assert not again.exists()


def test_native_weights_that_do_not_fit_are_refused(spoilt):
    folder, again = spoilt
    file = folder / "model.safetensors"
    held = load_file(str(file))
    held["vision_tower.extra"] = held.pop("language_model.lm_head.weight")
    save_file(held, str(file))
    with pytest.raises(UserError, match=r"1 tensors missing: lm_head\.weight; 1 tensors unknown: model\.vision_tower"):
        convert.convert_judge(folder, again)


def test_a_tensor_of_another_shape_is_refused(spoilt):
    folder, again = spoilt
    held = load_file(str(folder / "model.safetensors"))
    name = "vision_tower.encoder.layer.0.attention.k_proj.weight"
    held[name] = held[name][:-1].clone()
    save_file(held, str(folder / "model.safetensors"))
    with pytest.raises(UserError, match=r"attn\.qkv\.weight is \[95, 32\], expected \[96, 32\]"):
        convert.convert_judge(folder, again)


def test_a_native_folder_of_other_make_has_no_way_back(spoilt):
    folder, again = spoilt
    (folder / "tokenizer.model").unlink()
    with pytest.raises(UserError, match=r"cannot be made from tokenizer\.json"):
        convert.convert_judge(folder, again)


def test_state_names_are_read_too(spoilt):
    """Newer files may hold the names of the model's state."""
    folder, again = spoilt
    held = load_file(str(folder / "model.safetensors"))
    save_file({hf_layout.state_name(name): tensor for name, tensor in held.items()}, str(folder / "model.safetensors"))
    assert convert.convert_judge(folder, again).tensors == 73


def test_a_tokenizer_without_the_processor_s_tokens_is_refused(golden_folder, tmp_path):
    source = shutil.copytree(golden_folder / "tiny-internvl2", tmp_path / "source")
    edit(
        source / "tokenizer_config.json",
        lambda raw: raw.update(
            added_tokens_decoder={i: t for i, t in raw["added_tokens_decoder"].items() if t["content"] != "<quad>"},
            additional_special_tokens=[],
        ),
    )
    with pytest.raises(UserError, match="the tokenizer lacks <quad>"):
        convert.convert_judge(source, tmp_path / "native")


def test_a_native_judge_for_score_is_told_what_to_do(folders, capsys, tmp_path):
    with pytest.raises(UserError, match="`mmjudge convert` makes one of a native folder"):
        original_layout.read_layout(folders["recorded"][1])
