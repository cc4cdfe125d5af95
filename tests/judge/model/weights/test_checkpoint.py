"""Loading and writing the original layout; every way a judge folder can be wrong is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from judge.errors import UserError
from judge.model import rope
from judge.model.weights import checkpoint, original_layout, shapes, shards, source


@pytest.fixture
def folder(golden_folder, tmp_path):
    """The recorded judge with all weights in one file, free to be spoiled."""
    folder = tmp_path / "judge"
    shutil.copytree(golden_folder / "tiny-internvl2", folder)
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(str(file))
        file.unlink()
    (folder / "model.safetensors.index.json").unlink()
    save_file(tensors, str(folder / "model.safetensors"))
    return folder


def edit_config(folder, path, value):
    file = folder / "config.json"
    raw = json.loads(file.read_text())
    *parents, last = path.split(".")
    part = raw
    for name in parents:
        part = part[name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    file.write_text(json.dumps(raw))


def edit_tensors(folder, edit):
    tensors = load_file(str(folder / "model.safetensors"))
    edit(tensors)
    save_file(tensors, str(folder / "model.safetensors"))


def logits(model, golden_folder):
    """Of a prompt with one picture of noise."""
    size, tokens = model.config.vision_config.image_size[0], model.config.image_seq_length
    pixels = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[5, 6, *[model.config.image_token_id] * tokens, 7, 8]])
    with torch.no_grad():
        return model(input_ids=ids, pixel_values=pixels).logits


@pytest.mark.parametrize("name", ["recorded", "second"])
def test_save_then_load_is_the_same_model(request, golden_folder, tmp_path, name):
    judge = request.getfixturevalue(name)
    checkpoint.save_original(judge.model, tmp_path / "again", judge.layout.raw)
    for file in ("added_tokens.json", "tokenizer_config.json"):
        shutil.copyfile(judge.folder / file, tmp_path / "again" / file)
    again = checkpoint.load_model(tmp_path / "again")
    assert again.state_dict().keys() == judge.model.state_dict().keys()
    assert torch.equal(logits(again, golden_folder), logits(judge.model, golden_folder))
    assert shards.read_headers(tmp_path / "again").keys() == shards.read_headers(judge.folder).keys()
    stored = {name: shape for name, (_, shape) in shards.read_headers(judge.folder).items()}
    assert {name: shape for name, (_, shape) in shards.read_headers(tmp_path / "again").items()} == stored


def test_loading_builds_the_model_once(golden_folder, monkeypatch):
    from transformers import InternVLForConditionalGeneration

    built, real = [], InternVLForConditionalGeneration.__init__
    monkeypatch.setattr(InternVLForConditionalGeneration, "__init__", lambda *args: built.append(1) or real(*args))
    checkpoint.load_model(golden_folder / "tiny-internvl2")
    assert built == [1]


def test_bfloat16_weights_come_back_bit_for_bit(golden_folder, tmp_path):
    stored = golden_folder / "tiny-internvl2"
    model = checkpoint.load_model(stored, dtype="bfloat16")
    checkpoint.save_original(model, tmp_path, original_layout.read_layout(stored).raw)
    ours = load_file(str(tmp_path / "model.safetensors"))
    theirs = {}
    for file in stored.glob("*.safetensors"):
        theirs |= load_file(str(file))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) and ours[name].dtype == tensor.dtype for name, tensor in theirs.items())


def test_the_real_shape_has_the_published_size(golden_folder, tmp_path):
    """4,146,855,936 parameters: 304,012,288 vision, 22,034,432 projector, 3,722,443,776 Phi-3, 98,365,440 head.

    In bfloat16 8.294 GB; OpenGVLab/InternVL2-4B is published as shards of 4.96 and 3.34 GB.
    """
    shutil.copytree(golden_folder / "tiny-internvl2", tmp_path / "real", ignore=shutil.ignore_patterns("*.safetensors"))
    raw = json.loads((tmp_path / "real" / "config.json").read_text())
    raw["force_image_size"] = raw["vision_config"]["image_size"] = 448
    raw["vision_config"] |= {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    raw["vision_config"] |= {"intermediate_size": 4096}
    raw["llm_config"] |= {"hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32}
    raw["llm_config"] |= {"num_key_value_heads": 32, "intermediate_size": 8192, "vocab_size": 32020}
    raw["llm_config"] |= {"max_position_embeddings": 131072, "original_max_position_embeddings": 4096}
    raw["llm_config"]["rope_scaling"] |= {"short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
    (tmp_path / "real" / "config.json").write_text(json.dumps(raw))
    described = original_layout.read_layout(tmp_path / "real")
    assert described.tokens_per_tile == 256  # (448 / 14 / 2)²
    assert shapes.count_parameters(described) == 304_012_288 + 22_034_432 + 3_722_443_776 + 98_365_440


def test_attention_factor_of_the_real_model():
    # sqrt(1 + ln(131072/4096) / ln(4096)) = sqrt(1 + 3.4657/8.3178) = sqrt(1.41667) = 1.19024
    assert rope.attention_factor(131072, 4096) == pytest.approx(1.1902380714238083, abs=1e-12)
    assert rope.attention_factor(4096, 4096) == 1.0


def test_code_in_the_folder_is_never_run(folder):
    for name in ("configuration_internvl_chat", "modeling_internvl_chat"):
        (folder / f"{name}.py").write_text("raise SystemExit('remote code was run')\n")
    before = set(sys.modules)  # VLMEvalKit has modules of such names
    checkpoint.load_model(folder)
    assert not [name for name in set(sys.modules) - before if "internvl_chat" in name]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ps_version", "v1", 'field "ps_version": is "v1", and only "v2" is supported'),
        ("ps_version", None, 'field "ps_version": is null, and only "v2" is supported'),
        ("template", "internlm2-chat", 'field "template": is "internlm2-chat"'),
        ("select_layer", -4, 'field "select_layer": is -4'),
        ("architectures", ["LlavaForCausalLM"], 'field "architectures"'),
        ("llm_config.model_type", "qwen2", 'field "llm_config.model_type": is "qwen2"'),
        ("llm_config.tie_word_embeddings", True, 'field "llm_config.tie_word_embeddings": is true'),
        ("llm_config.rope_scaling.type", "yarn", 'field "llm_config.rope_scaling.type": is "yarn", not one of su'),
        ("vision_config.norm_type", "rms_norm", 'field "vision_config.norm_type"'),
        ("force_image_size", 112, 'field "force_image_size": is 112, but image_size is 56'),
        ("downsample_ratio", None, 'field "downsample_ratio": is missing'),
        ("llm_config.max_position_embeddings", None, 'field "llm_config.max_position_embeddings": is missing'),
        ("vision_config.qkv_bias", None, 'field "vision_config.qkv_bias": is missing'),
        ("llm_config.rms_norm_eps", None, 'field "llm_config.rms_norm_eps": is missing'),
        ("llm_config.vocab_size", "many", 'field "llm_config.vocab_size": is "many", not a whole number from 1 to'),
        ("llm_config.num_hidden_layers", True, 'field "llm_config.num_hidden_layers": is true, not a whole number'),
        ("llm_config.num_hidden_layers", 10**6, 'field "llm_config.num_hidden_layers": is 1000000, not a whole number'),
        ("llm_config.num_hidden_layers", 4, 'field "llm_config.num_hidden_layers": is 4, and the weights have 3'),
        ("vision_config.num_hidden_layers", 9, 'field "vision_config.num_hidden_layers": is 9, and the weights have 3'),
        ("llm_config.vocab_size", 4.5, 'field "llm_config.vocab_size": is 4.5, not a whole number from 1'),
        ("llm_config.rms_norm_eps", 1e300, 'field "llm_config.rms_norm_eps": is 1e+300, not a number above 0'),
        ("llm_config.hidden_size", 7, 'field "llm_config.hidden_size": is 7, not a multiple of num_attention_heads, 4'),
        # 64 / 4 = 16 numbers of a head, in pairs
        ("llm_config.rope_scaling.short_factor", [1.0], 'field "llm_config.rope_scaling.short_factor": is [1.0], not'),
        ("llm_config.rope_scaling.long_factor", [1] * 7 + ["1"], 'field "llm_config.rope_scaling.long_factor.7": is'),
        ("llm_config.pad_token_id", 580, 'field "llm_config.pad_token_id": is 580, not a whole number from 0 to 579'),
        ("llm_config.num_key_value_heads", 3, 'field "llm_config.num_attention_heads": is 4, not a multiple of'),
        # 56 / 14 = 4 patches along a side
        ("downsample_ratio", 0.3, 'field "downsample_ratio": is 0.3, not 1 over a number that divides 4'),
        ("downsample_ratio", 1 / 3, 'field "downsample_ratio": is 0.3333333333333333, not 1 over a number that'),
        ("system_message", ["Be kind."], 'field "system_message": is ["Be kind."], not text'),
        ("torch_dtype", "load", 'field "torch_dtype": is "load", not one of bfloat16'),
        ("vision_config.qkv_bias", "no", 'field "vision_config.qkv_bias": is "no", not true or false'),
        ("vision_config.patch_size", 0, 'field "vision_config.patch_size": is 0, not a whole number from 1 to 4,096'),
    ],
)
def test_a_config_that_cannot_be_honoured_is_refused(folder, path, value, message):
    edit_config(folder, path, value)
    with pytest.raises(UserError) as error:
        checkpoint.load_model(folder)
    assert str(error.value).startswith(f"{folder / 'config.json'}: {message}")


@pytest.mark.parametrize("name", ["recorded", "second"])
def test_shapes_are_those_of_the_model(request, name):
    """The oracle is the model that transformers builds; the second has qk norms, and fewer keys than heads."""
    judge = request.getfixturevalue(name)
    built = {name: tuple(tensor.shape) for name, tensor in checkpoint.original_tensors(judge.model).items()}
    assert shapes.original_shapes(judge.layout) == built
    assert shapes.count_parameters(judge.layout) == sum(tensor.numel() for tensor in judge.model.state_dict().values())


QKV = "vision_model.encoder.layers.0.attn.qkv.weight"
HEAD = "language_model.lm_head.weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop(HEAD), f"1 tensors missing: {HEAD}"),
        (lambda t: t.update(extra=torch.zeros(1)), "1 tensors unknown: extra"),
        (
            lambda t: t.update({"vision_model.head.weight": torch.zeros(1)}),
            "1 tensors unknown: vision_model.head.weight",
        ),
        (
            lambda t: t.update({QKV: t[QKV][:-3].clone()}),
            f"1 tensors of another shape: {QKV} is [93, 32], expected [96, 32]",
        ),
        (
            lambda t: [t.pop(name) for name in [*t] if ".norm1." in name],
            "6 tensors missing: vision_model.encoder.layers.0.norm1.bias, ",
        ),
        (
            lambda t: (t.pop(HEAD), t.update(extra=torch.zeros(1))),
            f"1 tensors missing: {HEAD}; 1 tensors unknown: extra",
        ),
    ],
    ids=["missing", "extra", "extra below a known prefix", "shape", "many", "both"],
)
def test_tensors_that_do_not_fit_are_named(folder, edit, message):
    edit_tensors(folder, edit)
    with pytest.raises(UserError) as error:
        checkpoint.load_model(folder)
    assert str(error.value).startswith(f"{folder}: weights do not fit config.json: {message}")
    assert "\n→ " in str(error.value)


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def pickled(folder):
    tensors = load_file(str(folder / "model.safetensors"))
    torch.save(tensors, folder / "pytorch_model.bin")
    no_weights(folder)


def truncated(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:100])


def cut_data(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])


def whole_numbers(folder):
    edit_tensors(folder, lambda tensors: tensors.update({name: t.to(torch.int8) for name, t in tensors.items()}))


def outside(folder):
    index = {"weight_map": {HEAD: "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def no_shard(folder):
    index = {"weight_map": {HEAD: "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def twice(folder):
    shutil.copyfile(folder / "model.safetensors", folder / "more.safetensors")


def no_tokens(folder):
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "added_tokens.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_weights, "holds no *.safetensors"),
        (pickled, "holds weights only as pickle (pytorch_model.bin), which can run code when opened"),
        (truncated, "model.safetensors: is not a safetensors file"),
        (cut_data, "model.safetensors: is not a safetensors file"),
        (whole_numbers, "is not a safetensors file of weights: it holds I8, and only BF16, F16, F32, F64 can be read"),
        (outside, 'names files outside the folder: "../other.safetensors"'),
        (no_shard, "shards are missing: model-00002-of-00002.safetensors"),
        (twice, "tensors given twice: "),
        (no_tokens, 'field "<IMG_CONTEXT>": is missing'),
        (lambda folder: (folder / "config.json").unlink(), "config.json: is missing from the judge folder"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json: must hold one JSON object"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_folder_is_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError) as error:
        checkpoint.load_model(folder)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("window", "longest", "kept"),
    [(None, 2048, None), (262144, 131072, None), (131072, 131072, None), (2047, 4096, 2047)],
)
def test_sliding_window(window, longest, kept):
    assert original_layout.sliding_window({"sliding_window": window, "max_position_embeddings": longest}) == kept


def test_weight_hash_is_the_hash_of_the_shards_in_order(golden_folder, folder):
    stored = golden_folder / "tiny-internvl2"
    parts = [(stored / f"model-0000{n}-of-00002.safetensors").read_bytes() for n in (1, 2)]
    assert checkpoint.weights_sha256(stored) == hashlib.sha256(b"".join(parts)).hexdigest()
    before = checkpoint.weights_sha256(folder)
    edit_tensors(folder, lambda t: t[HEAD].view(-1)[0].add_(1))
    assert checkpoint.weights_sha256(folder) != before


def test_revision_of_a_local_folder_follows_what_describes_it(folder):
    before = source.resolve_judge(str(folder))
    assert (before.name, before.folder) == ("judge", folder)
    assert str(before).startswith("judge@local-")
    edit_config(folder, "vision_config.layer_norm_eps", 1e-5)
    assert source.resolve_judge(str(folder)).revision != before.revision


@pytest.mark.parametrize(
    "judge",
    ["/no/such/folder", "./judge", "judge", "a/b/c", "org/name@", "org/name-", "~nobody/judge", "a\0b", "a" * 5000],
)
def test_what_is_neither_folder_nor_repository(judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such folder, and not a Hub repository"):
        source.resolve_judge(judge)


def test_a_repository_is_recorded_by_its_commit(folder, tmp_path, monkeypatch):
    commit = "9e8d" * 10
    asked = []

    def download(repo, *, revision, allow_patterns, **_):
        asked.append((repo, revision, allow_patterns))
        target = tmp_path / "snapshots" / commit
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return str(target)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    found = source.resolve_judge("MMIE/MMIE-Score@main")
    assert str(found) == f"MMIE/MMIE-Score@{commit}"
    source.resolve_judge("MMIE/MMIE-Score", weights=False)
    # neither code nor pickles are ever asked for
    assert asked == [
        ("MMIE/MMIE-Score", "main", ["*.json", "tokenizer.model", "*.safetensors"]),
        ("MMIE/MMIE-Score", None, ["*.json", "tokenizer.model"]),
    ]


def test_offline_without_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as error:
        source.resolve_judge("MMIE/MMIE-Score")
    assert "is not on this machine, and the Hub cannot be reached" in str(error.value)
    assert "hf download MMIE/MMIE-Score" in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("GatedRepoError", ["is gated", "ask for access on https://huggingface.co/MMIE/MMIE-Score", "hf auth login"]),
        ("RepositoryNotFoundError", ["not on the Hub, or private", "hf auth login"]),
        ("RevisionNotFoundError", ["has no revision 'x1'", "/commits"]),
        ("HfHubHTTPError", ["cannot be fetched from the Hub", "try again"]),
    ],
)
def test_refusals_of_the_hub_say_what_to_do(monkeypatch, name, says):
    import httpx
    from huggingface_hub import errors

    request = httpx.Request("GET", "https://huggingface.co")

    def refuse(*args, **kwargs):
        raise getattr(errors, name)("refused", response=httpx.Response(403, request=request))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(UserError) as error:
        source.resolve_judge("MMIE/MMIE-Score@x1")
    assert [words for words in says if words not in str(error.value)] == []
