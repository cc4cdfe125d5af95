"""Mutation check: each known trap of this checkpoint family is handled by one line, and without it a check fails.

The line is replaced in the module's source, the module's functions are exchanged for those of the mutated source, and
the recorded cases are run again. A trap whose line has moved fails here too: point the table at the new line.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from judge.model import verify


@dataclasses.dataclass(frozen=True)
class Trap:
    """`line` of `module` handles the trap; `instead` stands there once it is removed. checks: what must then fail.

    modes: where it must fail; what only shows in a batch is right alone.
    """

    number: str
    module: str
    line: str
    instead: str
    checks: frozenset[str]
    modes: tuple[str, ...] = ("single", "batch")


def trap(number, module, line, instead, *checks, modes=("single", "batch")):
    return pytest.param(Trap(number, module, line, instead, frozenset(checks), modes), id=number)


# By effect on the prefill logits; T6, the largest, and T7, T8 and T9 have tests of their own below.
BY_VERIFICATION = [
    trap(
        "T14_no_bos",  # 14.3
        "judge.model.tokenizer",
        'first=[bos] if bos and fields.flag("add_bos_token", default=True) else [],',
        "first=[],",
        "prompt ids",
    ),
    trap(
        "T24_positions_count_others",  # 13.7 where padding is counted; here, what lies before a prompt in its pass
        "judge.model.packed",
        "rotation = language.rotary_emb.rotation(x, positions, long.bool())",
        "rotation = language.rotary_emb.rotation(x, torch.arange(len(ids), device=device), long.bool())",
        "greedy ids",
        modes=("batch",),
    ),
    trap(
        "T13_lone_blank_dropped",  # 11.3
        "judge.model.tokenizer",
        "and isinstance(runs[1], Added) and runs[1].content in self._listed:",
        "and isinstance(runs[1], Added):",
        "prompt ids",
    ),
    trap(
        "T3_plain_rope",  # 10.9
        "judge.model.rope",
        "return 1.0 / (torch.tensor(factors, dtype=torch.float32) * theta**exponents)",
        "return 1.0 / theta**exponents",
        "prefill logits",
        "greedy ids",
    ),
    trap(
        "T2_no_attention_factor",  # 9.3
        "judge.model.rope",
        "self.factor = attention_factor(config.max_position_embeddings, limit)",
        "self.factor = 1.0",
        "prefill logits",
        "greedy ids",
    ),
    trap(
        "T4_regime_of_the_batch",  # 5 of 13 texts equal in a batch
        "judge.model.generate",
        "long = bool(self._rope.beyond(len(ids)))",
        "long = bool(self._rope.beyond(max(len(other.prompt.ids) for other in sequences)))",
        "greedy ids",
        modes=("batch",),
    ),
    trap(
        "T12_clip_mean",  # 2.8
        "judge.model.images",
        "_MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)",
        "_MEAN = np.array((0.48145466, 0.4578275, 0.40821073), dtype=np.float32)",
        "pixel values",
        "vision features",
        "prefill logits",
    ),
    trap(
        "T5_cache_recomputed_at_the_limit",
        "judge.model.generate",
        'recompute, limit = self.model.rope_regime == "recompute", self._rope.limit',
        "recompute, limit = True, self._rope.limit",
        "greedy ids",
    ),
    trap(
        "T21_stops_anywhere",
        "judge.model.generate",
        "stopped = int(token) == params.stop",
        "stopped = int(token) in (params.stop, sequence.new[0])",
        "greedy ids",
    ),
    trap(
        "T16_composited_on_white",
        "judge.model.images",
        'return (_scaled_to_8_bits(image) if deep else image).convert("RGB")',
        'white = Image.new("RGBA", image.size, "white")\n'
        '        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")',
        "tiles",
        "pixel values",
        "vision features",
    ),
    trap(
        "T11_rms_eps",  # 3.8e-4, greedy still 13/13
        "judge.model.weights.original_layout",
        '"rms_norm_eps", *lengths)},',
        "*lengths)}, rms_norm_eps=1e-6,",
        "prefill logits",
    ),
    trap(
        "T11_layer_norm_eps",  # 1.8e-4, greedy still 13/13
        "judge.model.weights.original_layout",
        '"norm_type", "layer_norm_eps", "image_size", "patch_size")},',
        '"norm_type", "image_size", "patch_size")}, layer_norm_eps=1e-5,',
        "vision features",
    ),
]


def mutate(monkeypatch, module_name, line, instead):
    """Exchange what a module defines for what its source with one line replaced defines."""
    module = importlib.import_module(module_name)
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(line) == 1, f"{module_name} no longer has the one line {line!r}"
    mutated = {"__name__": module_name, "__file__": module.__file__}
    exec(compile(source.replace(line, instead), module.__file__, "exec"), mutated)
    for name, value in mutated.items():
        if getattr(value, "__module__", None) == module_name or name.isupper() or name.startswith("_"):
            monkeypatch.setattr(module, name, value, raising=False)


def run(golden_folder):
    """Load judge and recording afresh and verify: mode → checks that failed in some case."""
    from judge.model import tokenizer
    from judge.model.weights import checkpoint, original_layout

    folder = golden_folder / "tiny-internvl2"
    golden = verify.read_golden(golden_folder)
    found = {"single": set(), "batch": set()}
    judge = checkpoint.load_model(folder), tokenizer.Tokenizer.from_folder(folder), original_layout.read_layout(folder)
    for result in verify.verify_cases(*judge, golden):
        found[result.mode] |= set(result.differences)
    return found


def test_nothing_fails_unmutated(golden_folder):
    assert run(golden_folder) == {"single": set(), "batch": set()}


@pytest.mark.parametrize("trap", BY_VERIFICATION)
def test_verification_fails_without_the_line(monkeypatch, golden_folder, trap):
    mutate(monkeypatch, trap.module, trap.line, trap.instead)
    found = run(golden_folder)
    for mode, failed in found.items():
        assert failed >= (trap.checks if mode in trap.modes else set())
        assert bool(failed) == (mode in trap.modes)


def test_t6_head_tied_to_the_embedding(monkeypatch, golden_folder):
    """15.0. The native default is tied. Loading fills both in their places; training from `new_model` would not."""
    from judge.model.weights import checkpoint, original_layout

    def tied():
        model = checkpoint.new_model(original_layout.read_layout(golden_folder / "tiny-internvl2"), seed=0)
        return model.lm_head.weight is model.model.language_model.embed_tokens.weight

    assert not tied()
    line = "        tie_word_embeddings=False,  # the native default is True and would overwrite the head in silence\n"
    mutate(monkeypatch, "judge.model.weights.original_layout", line, "")
    assert tied()


@pytest.mark.parametrize(
    ("line", "instead", "error", "message"),
    [
        pytest.param(
            '        attention_bias=vision["qkv_bias"],  # the native default is False, and biases would be dropped\n',
            "",
            RuntimeError,
            r"other tensors than the original layout has: .*layers\.0\.attn\.qkv\.bias",
            id="T7_no_attention_bias",  # 5.3
        ),
        pytest.param(
            "use_mean_pooling=True,",
            "use_mean_pooling=False,",
            ValueError,
            r"no original name for .*vision_tower\.layernorm",
            id="T8_final_layer_norm",  # 3.4
        ),
    ],
)
def test_strict_names_refuse(monkeypatch, golden_folder, line, instead, error, message):
    mutate(monkeypatch, "judge.model.weights.original_layout", line, instead)
    with pytest.raises(error, match=message):
        run(golden_folder)


def test_t9_pixel_shuffle_v1(monkeypatch, golden_folder):
    """4.4. The native order is v2's; in v1's order the recorded cases fail, so `ps_version` is asserted on reading."""
    from transformers import InternVLModel

    native = InternVLModel.pixel_shuffle
    monkeypatch.setattr(InternVLModel, "pixel_shuffle", lambda self, x, **k: native(self, x, **k).transpose(1, 2))
    found = run(golden_folder)
    assert {"vision features", "prefill logits"} <= found["single"] & found["batch"]
