"""Two judges for the tests: the recorded one, and a second of other shapes and flags, made here."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import folders
import pytest

GOLDEN = folders.GOLDEN
TOKENIZER_FILES = ("added_tokens.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.model")


@dataclasses.dataclass(frozen=True)
class Judge:
    folder: Path
    model: Any
    tokenizer: Any
    layout: Any


def load(folder: Path, **options: Any) -> Judge:
    import torch

    from judge.model.tokenizer import Tokenizer
    from judge.model.weights import checkpoint, original_layout

    torch.set_num_threads(1)  # these models are so small that threads wait for each other
    described = original_layout.read_layout(folder)
    return Judge(folder, checkpoint.load_model(folder, **options), Tokenizer.from_folder(folder), described)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered about weights stays in the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def recorded() -> Judge:
    return load(GOLDEN / "tiny-internvl2")


@pytest.fixture(scope="session")
def second_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of 84 pixels (9 tokens), 6 heads on 3, qk norm, 640 rows for 580 tokens, no <s>, no rstrip, one shard."""
    import torch

    from judge.model.weights import checkpoint, original_layout

    source, folder = GOLDEN / "tiny-internvl2", tmp_path_factory.mktemp("second") / "judge"
    folder.mkdir()
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, folder / name)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer["add_bos_token"] = False
    for token in tokenizer["added_tokens_decoder"].values():
        token["rstrip"] = False
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))

    raw = json.loads((source / "config.json").read_text())
    raw |= {"force_image_size": 84, "max_dynamic_patch": 6}
    raw["vision_config"] |= {
        "image_size": 84,
        "hidden_size": 48,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "qk_normalization": True,
    }
    raw["llm_config"] |= {
        "hidden_size": 96,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "num_hidden_layers": 2,
        "vocab_size": 640,
        "max_position_embeddings": 1024,
        "original_max_position_embeddings": 112,
    }
    (folder / "config.json").write_text(json.dumps(raw))
    model = checkpoint.new_model(original_layout.read_layout(folder), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # the usual initial values leave everything small and many parts zero, which hides mistakes
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = parameter.dim() == 1 and not name.endswith("bias")
            parameter.copy_(1 + 0.2 * noise if is_scale else 0.15 * noise)
    checkpoint.save_original(model, folder, raw)
    return folder


@pytest.fixture(scope="session")
def second(second_folder: Path) -> Judge:
    return load(second_folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of noise and a broken one."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    shapes = {"wide.png": (200, 60), "tall.png": (40, 120), "square.png": (50, 50), "dot.png": (1, 1)}
    for seed, (name, size) in enumerate(shapes.items()):
        Image.effect_noise(size, 80 + seed).convert("RGB").save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    return folder
