"""What the benchmarks judge: a model of random weights, and 16 samples of fixed pictures, texts and answer lengths.

    samples(folder, tokenizer, described, "real")[0].work   Work(tiles=2, tokens=…, new=200)

Strata as in MMIE (facts about its scorer: three pictures are usual, four the most): from 2 to 43 tiles, prompts on both
sides of the 4,096 tokens where the rope changes, one that crosses them while it is answered. Answers have 200 tokens on
average. Pictures are noise with the spectrum of photographs, different in every copy, so that nothing can be cached.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from preprocessing import photograph
from roofline import Work
from toy_judge import judge_shape

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal, Piece
from judge.engines import Prompt
from judge.model import conversation, images
from judge.model.weights import original_layout
from mmie_tasks.demo import judge_dir

if TYPE_CHECKING:
    from judge.model.tokenizer import Tokenizer
    from judge.model.weights.original_layout import Layout

SIZES = {"square": (512, 512), "photo": (640, 480), "drawing": (1024, 1024), "wide": (1280, 720), "book": (768, 512)}
STRATA = (
    ((), 0, 180), (("square", "square"), 0, 220), (("square",), 0, 150), (("book",), 0, 210),
    (("wide",), 0, 200), (("drawing",), 0, 240), (("photo",), 0, 190), (("photo", "square"), 0, 170),
    (("photo", "photo"), 0, 230), (("drawing", "drawing", "square"), 0, 200),
    (("drawing", "drawing", "drawing"), 0, 160), (("photo", "drawing", "wide"), 0, 250),
    (("photo", "photo", "photo"), 0, 200), (("photo", "wide", "book"), 0, 140),
    ((), 1, 260), (("photo", "photo", "photo", "wide"), 0, 200),
)  # fmt: skip
"""Pictures, whether the prompt is to cross the rope's limit, tokens of the answer."""

RUBRIC = "criterion " * 250

SCALES = {
    "real": (
        {"hidden_size": 1024, "image_size": 448, "intermediate_size": 4096, "num_attention_heads": 16,
         "num_hidden_layers": 24, "patch_size": 14},
        {"hidden_size": 3072, "intermediate_size": 8192, "max_position_embeddings": 131072, "num_attention_heads": 32,
         "num_hidden_layers": 32, "num_key_value_heads": 32, "original_max_position_embeddings": 4096,
         "vocab_size": 32020},
    ),
    "tiny": ({"num_hidden_layers": 1}, {"num_hidden_layers": 2, "original_max_position_embeddings": 256}),
}  # fmt: skip
"""What is put over the demo judge's `config.json`: of its vision, of its language model."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """prompt: for the engine; ids: the same encoded; files: its pictures."""

    prompt: Prompt
    ids: tuple[int, ...]
    files: tuple[Path, ...]
    work: Work


def write_description(folder: Path, scale: str) -> Layout:
    """Write everything but the weights: the tokenizer's files, and `config.json` of a shape of `SCALES`.

    The real shape is that of the sibling configs of OpenGVLab/InternVL2 and microsoft/Phi-3-mini-128k-instruct. Two
    things are not theirs and cost the same: the tokenizer is the demo judge's, whose ids are the first 1,044 of 32,020,
    and the rope's long factors are a geometric series.
    """
    folder.mkdir(parents=True)
    for file in sorted(judge_dir().glob("*token*")):
        shutil.copy(file, folder)
    raw = judge_shape.config()
    vision, language = SCALES[scale]
    raw["vision_config"] |= vision
    raw["llm_config"] |= language
    raw["force_image_size"] = raw["vision_config"]["image_size"]
    text = raw["llm_config"]
    half = text["hidden_size"] // text["num_attention_heads"] // 2
    stretch = text["max_position_embeddings"] / text["original_max_position_embeddings"]
    text["rope_scaling"] = {
        "type": "su",
        "short_factor": [1.0] * half,
        "long_factor": [stretch ** (i / (half - 1)) for i in range(half)],
    }
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    return original_layout.read_layout(folder)


def make_model(described: Layout, device: str, dtype: Any) -> Any:
    """Random weights of this shape on the device: matrices normal(0.02), norms and scales 1, biases 0."""
    import torch
    from transformers import InternVLForConditionalGeneration

    from judge.model import rope

    with torch.device("meta"):
        model = InternVLForConditionalGeneration(original_layout.native_config(described))
    model = model.to(dtype).to_empty(device=device)
    random = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.02, generator=random)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    rope.install_rope(model)
    return model.eval()


def samples(
    folder: Path,
    tokenizer: Tokenizer,
    described: Layout,
    scale: str,
    copies: int = 1,
    strata: Sequence[int] = range(len(STRATA)),
) -> list[Sample]:
    """`copies` of the strata, each with pixels of its own. scale "tiny": small pictures, short texts and answers."""
    folder.mkdir(parents=True, exist_ok=True)
    limit = described.text["original_max_position_embeddings"]
    made = []
    for copy in range(copies):
        for place in strata:
            names, crosses, new = STRATA[place]
            new = new if scale == "real" else max(3, new // 16)
            files = [_picture(folder, name, scale, 1000 * copy + 10 * place + n) for n, name in enumerate(names)]
            text = limit - new // 2 if crosses else 700 if scale == "real" else 60
            made.append(_sample(tokenizer, described, files, text, new, f"{place:02}-{copy:03}"))
    return made


def _sample(tokenizer: Tokenizer, described: Layout, files: Sequence[Path], text: int, new: int, name: str) -> Sample:
    counts = [images.count_tiles(*images.read_image_size(file), size=described.tile_size) for file in files]
    system = str(described.raw.get("system_message") or conversation.SYSTEM_MESSAGE)

    def encoded(words: int) -> tuple[list[Piece], tuple[int, ...]]:
        pieces: list[Piece] = [Literal("### Question\n"), Text(f"{name} " + "step " * words)]
        for number, file in enumerate(files):
            pieces += [Literal(f"\nImage-{number}: "), Picture(file, file.name)]
        ids = conversation.encode_prompt(tokenizer, pieces, counts, described.tokens_per_tile, system).ids
        return pieces, ids

    wanted = text + sum(counts) * described.tokens_per_tile + 2 * len(counts)
    fewest = len(encoded(1)[1])
    a_word = (len(encoded(21)[1]) - fewest) / 20
    pieces, ids = encoded(max(1, round((wanted - fewest) / a_word)))
    prompt = Prompt(Request(name, "PBL", (), ()), tuple(pieces))
    return Sample(prompt, tuple(ids), tuple(files), Work(sum(counts), len(ids), new))


def _picture(folder: Path, name: str, scale: str, seed: int) -> Path:
    width, height = SIZES[name] if scale == "real" else tuple(side // 8 for side in SIZES[name])
    path = folder / f"{name}-{seed}.jpg"
    rng = np.random.default_rng(seed)
    pixels = np.asarray(_base(width, height)).astype(np.int16) + rng.integers(-8, 9, (height, width, 3), dtype=np.int16)
    from PIL import Image

    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


_BASES: dict[tuple[int, int], Any] = {}


def _base(width: int, height: int) -> Any:
    """One photograph a size: making them anew for every copy would take minutes."""
    if (width, height) not in _BASES:
        _BASES[width, height] = photograph(width, height, 0)
    return _BASES[width, height]
