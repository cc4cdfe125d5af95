"""Merging against torch and peft, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the hf extra is not installed")

import tiny_llava  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from judge import cli  # noqa: E402
from judge.errors import UserError  # noqa: E402
from judge.model.weights import merge as merging  # noqa: E402
from judge.model.weights.merge import Mixture, merge_weights  # noqa: E402
from judge.model.weights.number_types import decode_numbers, encode_numbers  # noqa: E402

SHAPES = {
    "model.vision_tower.layers.0.fc.weight": (5, 7),
    "model.language_model.layers.0.fc.weight": (7, 5),
    "model.language_model.layers.1.fc.weight": (7, 5),
    "model.language_model.layers.10.fc.bias": (7,),
    "model.scale": (),
}


def write_folder(folder, seed, dtypes=("bfloat16",), *, files=1, changes=None):
    """A model folder of random numbers; tensors take dtypes and files in turn."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    parts, where = [{} for _ in range(files)], {}
    for number, (name, shape) in enumerate(SHAPES.items()):
        dtype = getattr(torch, dtypes[number % len(dtypes)])
        parts[number % files][name] = torch.randn(shape, generator=generator).to(dtype)
        where[name] = f"model-{number % files + 1}.safetensors"
    parts[0]["model.positions"] = torch.arange(6)
    where["model.positions"] = "model-1.safetensors"
    for name, tensor in (changes or {}).items():
        parts[0].pop(name, None)
        where.pop(name, None)
        if tensor is not None:
            parts[0][name], where[name] = tensor, "model-1.safetensors"
    if files == 1:
        save_file(parts[0], folder / "model.safetensors", metadata={"format": "pt"})
    else:
        for number, part in enumerate(parts, 1):
            save_file(part, folder / f"model-{number}.safetensors", metadata={"format": "pt"})
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("a card")
    (folder / "pytorch_model.bin").write_text("a pickle")
    return folder


def tensors(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("dtypes", [("bfloat16",), ("float16",), ("float32", "float64"), ("bfloat16", "float16")])
def test_every_number_is_what_torch_makes_of_it(dtypes, weight, tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "PIECE", 8)  # several pieces a tensor
    base = write_folder(tmp_path / "base", 1, dtypes, files=2)
    tuned = write_folder(tmp_path / "tuned", 2, (*dtypes[1:], dtypes[0]))  # other types, one file
    about = merge_weights(base, tuned, tmp_path / "out", Mixture(weight))
    ours, theirs, merged = tensors(base), tensors(tuned), tensors(tmp_path / "out")
    assert merged.keys() == ours.keys()
    for name in SHAPES:
        kind = torch.float64 if torch.float64 in (ours[name].dtype, theirs[name].dtype) else torch.float32
        kept = torch.float64 if ours[name].dtype == torch.float64 else torch.float32
        share = torch.tensor([1 - weight, weight]).to(kept if ours[name].dtype == kept else torch.float32)
        if kept == torch.float64:
            share = torch.tensor([1 - weight, weight], dtype=torch.float64)
        expected = (share[0] * ours[name].to(kept) + share[1] * theirs[name].to(kind)).to(ours[name].dtype)
        assert torch.equal(merged[name], expected), name
        assert merged[name].dtype == ours[name].dtype
    assert torch.equal(merged["model.positions"], ours["model.positions"])
    # five tensors of weights are merged, but for weight 0, where all are the base's
    assert about["tensors"] == ({"merged": 0, "copied": 6} if weight == 0 else {"merged": 5, "copied": 1})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json", "merge.json", "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "out" / "merge.json").read_text()) == about
    assert list(tmp_path.glob(".*")) == []


def test_bfloat16_is_rounded_as_torch_rounds():
    # halfway cases go to even: 0x3F808000 lies between 0x3F80 and 0x3F81, 0x3F818000 between 0x3F81 and 0x3F82
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0xBF807FFF, 0x00000001, 0x7F7FFFFF], np.uint32)
    expected = torch.from_numpy(bits.view(np.float32)).to(torch.bfloat16)
    assert encode_numbers(bits.view(np.float32), "BF16") == expected.view(torch.uint8).numpy().tobytes()
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(decode_numbers(every.tobytes(), "BF16").view(np.uint32) >> 16, every)


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ({}, [0.5, 0.5, 0.5, 0.5, 0.5]),
        ({"vision_tower": 0.0}, [0.0, 0.5, 0.5, 0.5, 0.5]),
        ({"language_model": 0.25, "layers.1": 1.0}, [0.5, 0.25, 1.0, 0.25, 0.5]),  # the longest; not layers.10
        ({"scale": 0.75, "fc.bias": 0.125}, [0.5, 0.5, 0.5, 0.125, 0.75]),
    ],
)
def test_a_module_may_have_a_weight_of_its_own(modules, expected):
    mixture = Mixture(0.5, modules)
    mixture.require_names(list(SHAPES))
    # "language_model" is longer than "layers.1", so the order of the third case is decided by the longest part
    if "layers.1" in modules:
        mixture = Mixture(0.5, {"language_model": 0.25, "language_model.layers.1": 1.0})
    assert [mixture.of_tensor(name) for name in SHAPES] == expected


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    """(base folder, adapter folder, what peft makes of both)."""
    import peft
    from transformers import AutoModelForImageTextToText

    folder = tmp_path_factory.mktemp("llava")
    base = tiny_llava.build(folder / "base")
    model = AutoModelForImageTextToText.from_pretrained(base)
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=r".*language_model.*_proj", modules_to_save=["multi_modal_projector"],
        use_rslora=True, alpha_pattern={"k_proj|q_proj": 3}, rank_pattern={"down_proj": 2},
    )  # fmt: skip
    adapted = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(0)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) / 10
    adapted.save_pretrained(folder / "adapter")
    adapted.merge_and_unload().save_pretrained(folder / "full")
    return base, folder / "adapter", folder / "full"


def test_an_adapter_is_merged_as_peft_merges_it_and_loads(llava, tmp_path, monkeypatch):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    monkeypatch.setattr(merging, "PIECE", 100)
    base, adapter, full = llava
    merge_weights(base, adapter, tmp_path / "whole", Mixture(1.0))
    merge_weights(base, adapter, tmp_path / "part", Mixture(0.25))
    ours, theirs, whole, part = map(tensors, (base, full, tmp_path / "whole", tmp_path / "part"))
    changed = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    # two layers of seven adapted matrices, and four tensors of the projector
    assert len(changed) == 18
    for name, tensor in theirs.items():
        torch.testing.assert_close(whole[name], tensor, rtol=0, atol=2e-7)
        torch.testing.assert_close(part[name], 0.75 * ours[name] + 0.25 * tensor, rtol=0, atol=2e-7)
        if name not in changed:
            assert torch.equal(part[name], ours[name])
    AutoProcessor.from_pretrained(tmp_path / "part")
    loaded, info = AutoModelForImageTextToText.from_pretrained(tmp_path / "part", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ids = torch.arange(3, 20)[None]
    expected = AutoModelForImageTextToText.from_pretrained(full)
    expected.load_state_dict(
        {name: 0.75 * tensor + 0.25 * expected.state_dict()[name]
         for name, tensor in AutoModelForImageTextToText.from_pretrained(base).state_dict().items()}
    )  # fmt: skip
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, expected(ids).logits, rtol=0, atol=1e-5)


WIDER = torch.zeros(9, 7, dtype=torch.bfloat16)
BAD = torch.full((5, 7), float("inf"), dtype=torch.bfloat16)
LARGE = torch.full((5, 7), 1e300, dtype=torch.float64)  # finite, and no bfloat16
VISION = "model.vision_tower.layers.0.fc.weight"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({VISION: WIDER}, f"tensors of other shapes: {VISION} is [9, 7], in the base [5, 7]"),
        ({VISION: None}, f"is no tuned form of the base: 1 tensors missing: {VISION}"),
        ({"model.more": WIDER}, "is no tuned form of the base: 1 tensors more: model.more"),
        ({VISION: BAD}, f"{VISION} holds numbers that are not finite"),
        ({VISION: LARGE}, f"{VISION} holds numbers that are not finite in BF16"),
        ({VISION: torch.zeros(5, 7, dtype=torch.int64)}, f"whole numbers on one side only: {VISION}"),
        ({VISION: torch.zeros(5, 7, dtype=torch.int8)}, "it holds I8, and only"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(changes, said, tmp_path, capsys):
    base = write_folder(tmp_path / "base", 1)
    tuned = write_folder(tmp_path / "tuned", 2, changes=changes)
    assert cli.main(["merge", str(base), str(tuned), "--weight", "0.5", "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"base", "tuned"}


def config(**changes):
    return lambda folder: (folder / "adapter_config.json").write_text(
        json.dumps({**json.loads((folder / "adapter_config.json").read_text()), **changes})
    )


def retensored(change):
    def apply(folder):
        file = folder / "adapter_model.safetensors"
        save_file(change(load_file(file)), file)

    return apply


Q = "base_model.model.model.language_model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (config(peft_type="IA3"), "field \"peft_type\": is 'IA3', and only LORA is merged here"),
        (config(use_dora=True), 'field "use_dora": is not merged here'),
        (config(alora_invocation_tokens=[7]), 'field "alora_invocation_tokens": is not merged here'),
        (config(init_lora_weights="pissa_niter_4"), "is 'pissa_niter_4', which changes the base"),
        (config(init_lora_weights="OLoRA"), "is 'OLoRA', which changes the base"),
        (config(lora_alpha=None), 'field "lora_alpha": gives model.'),
        (config(alpha_pattern={"(": 3}), 'field "lora_alpha": gives model.'),
        (retensored(lambda old: {}), "holds no tensors"),
        (retensored(lambda old: {**old, f"{Q}.lora_magnitude_vector": torch.ones(2)}), "holds what is no plain LoRA"),
        (retensored(lambda old: {k: v for k, v in old.items() if k != f"{Q}.lora_B.weight"}), "what is no plain LoRA"),
        (
            retensored(lambda old: {k.replace("layers.1", "layers.7"): v for k, v in old.items()}),
            "is an adapter of another base: adapts what the base has not: model.language_model.layers.7.",
        ),
        (
            retensored(lambda old: {**old, f"{Q}.lora_A.weight": torch.ones(4, 16)}),
            "is an adapter of another base: model.language_model.layers.0.self_attn.q_proj.weight is for [32, 16], in "
            "the base [32, 32]",
        ),
        (retensored(lambda old: {**old, f"{Q}.lora_A.weight": torch.ones(3, 32)}), "do not make a matrix"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(change, said, llava, tmp_path, capsys):
    base, adapter, _ = llava
    shutil.copytree(adapter, tmp_path / "adapter")
    change(tmp_path / "adapter")
    command = ["merge", str(base), str(tmp_path / "adapter"), "--weight", "1", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 2
    assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    base, tuned = write_folder(tmp_path / "base", 1), write_folder(tmp_path / "tuned", 2)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 5})())
        # 5 · 7 + 7 · 5 + 7 · 5 + 7 + 1 numbers of two bytes and six of eight
        with pytest.raises(UserError, match=r"out: needs 274 bytes, and 5 are free\n→ make room"):
            merge_weights(base, tuned, tmp_path / "out", Mixture(0.5))

    def full(numbers, dtype):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(merging, "encode_numbers", full)
    with pytest.raises(UserError, match=r"out: cannot be written \(No space left on device\)"):
        merge_weights(base, tuned, tmp_path / "out", Mixture(0.5))
    assert {path.name for path in tmp_path.iterdir()} == {"base", "tuned"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give --weight for one share, or --weights to choose one of several"),
        (["--weight", "0.5", "--weights", "0.5"], "give --weight for one share"),
        (["--weight", "0.5", "--share", "0.5"], "--share is for choosing a weight"),
        (["--weight", "0.5", "--module", "vision=0"], "no tensor has 'vision' in its name"),
        (["--weight", "0.5", "--out", "{base}"], "exists already, and nothing is overwritten"),
    ],
)
def test_what_the_command_refuses(options, said, tmp_path, capsys):
    base, tuned = write_folder(tmp_path / "base", 1), write_folder(tmp_path / "tuned", 2)
    words = [word.format(base=base) for word in options]
    assert cli.main(["merge", str(base), str(tuned), "--out", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_is_that_of_pieces_and_not_of_models(tmp_path):
    from benchmarks.merge_memory import measure

    found = measure(tmp_path, 128)
    for name, row in found.items():
        assert row["tensors"] == {"merged": 4, "copied": 0}, name
        # pieces: 2^20 numbers of 4 bytes, some four times over, and twice in 2 bytes; whole models would be 256 MB
        assert row["peak_mb"] - row["start_mb"] < 64, name
        assert row["peak_mb"] < 600, name
