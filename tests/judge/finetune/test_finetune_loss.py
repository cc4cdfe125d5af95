"""The forward pass of training against recordings of inference, and what is minimised against arithmetic by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import folders
import numpy as np
import pytest
import torch

from judge.core.request import Picture
from judge.finetune.batches import Collator
from judge.finetune.dataset import Row
from judge.finetune.loss import Lesson, distances
from judge.model import images
from judge.model.weights import checkpoint

GOLDEN = folders.GOLDEN
RECORDED = json.loads((GOLDEN / "cases.json").read_text())
TOLERANCE = 5e-5  # tests/golden/README.md: what a faithful float32 loader meets


@pytest.fixture(autouse=True)
def _gradients() -> Iterator[None]:
    """Another test of this process may have imported vlmeval.vlm, which turns them off for good."""
    with torch.enable_grad():
        yield


@dataclasses.dataclass(frozen=True)
class Golden:
    """Stands in for an encoder on the recorded pictures."""

    tile_size: int = RECORDED["meta"]["image_size"]

    def tiles(self, picture: Picture) -> Any:
        meta = RECORDED["meta"]
        pillow = int(meta["reference"]["pillow"].split(".")[0])
        return images.cut_tiles(
            images.decode_image(picture.path), self.tile_size, max_num=meta["max_num"], pillow=pillow
        )


def recorded_rows() -> list[Row]:
    """Every recorded prompt with what the reference wrote after it, to be learned."""
    return [
        Row(
            (case["name"], ""),
            "golden",
            tuple(case["input_ids"]),
            tuple(case["new_ids"]),
            tuple(Picture(GOLDEN / "images" / name, name) for name in case["images"]),
            3.0,
            0,
        )
        for case in RECORDED["cases"]
    ]


@pytest.fixture
def model() -> Any:
    return checkpoint.load_model(GOLDEN / "tiny-internvl2")


def batch_of(rows: list[Row], prefix: tuple[int, ...] = ()) -> dict[str, Any]:
    return Collator(Golden())([(row, prefix) for row in rows])


def loss_of(model: Any, rows: list[Row], prefix: tuple[int, ...] = (), **options: Any) -> Any:
    return Lesson(model, **options)(**batch_of(rows, prefix))["loss"]


def test_a_batch_learns_what_the_reference_would_write(model: Any) -> None:
    """All recorded cases in one padded batch: short and long rope, several pictures, and rows that become long while
    they are written. The logits at the places to be learned are those recorded, and their best ids what was written."""
    rows = recorded_rows()
    arrays = np.load(GOLDEN / "arrays.npz")
    seen: list[Any] = []
    model.lm_head.register_forward_hook(lambda _, __, logits: seen.append(logits.detach()))
    loss_of(model, rows)
    (logits,) = seen
    limit = model.config.text_config.rope_parameters["original_max_position_embeddings"]
    crossing = [row for row in rows if len(row.prompt) <= limit < len(row.prompt) + len(row.completion) - 1]
    assert crossing
    assert len({len(row.prompt) > limit for row in rows}) == 2
    start = 0
    for row in rows:
        mine = logits[start : start + len(row.completion)]
        start += len(row.completion)
        assert mine.argmax(-1).tolist() == list(row.completion), row.key
        recorded = arrays[f"{row.key[0]}__step_top_logit"]
        assert np.abs(mine.max(-1).values.numpy() - recorded).max() < TOLERANCE, row.key
    assert start == len(logits)


def test_the_loss_is_the_mean_over_tokens_of_all_completions(model: Any) -> None:
    rows = recorded_rows()[:5]
    alone = [loss_of(model, [row]).item() for row in rows]
    tokens = [len(row.completion) for row in rows]
    expected = sum(loss * n for loss, n in zip(alone, tokens, strict=True)) / sum(tokens)
    assert loss_of(model, rows).item() == pytest.approx(expected, rel=1e-5)


def test_accumulated_batches_give_the_loss_of_one(model: Any) -> None:
    """Told how many tokens the step has, two batches add up to the batch of both."""
    rows = recorded_rows()[:4]
    lesson = Lesson(model)
    tokens = torch.tensor(sum(len(row.completion) for row in rows))
    parts = [lesson(**batch_of(part), num_items_in_batch=tokens)["loss"].item() for part in (rows[:1], rows[1:])]
    assert sum(parts) == pytest.approx(lesson(**batch_of(rows))["loss"].item(), rel=1e-5)


@pytest.mark.parametrize("long", [False, True], ids=["short rope", "long rope"])
def test_a_shared_prefix_changes_neither_loss_nor_gradient(model: Any, long: bool) -> None:
    limit = model.config.text_config.rope_parameters["original_max_position_embeddings"]
    (some,) = [row for row in recorded_rows() if row.key[0] == ("two_la_bilevel" if long else "one_square")]
    assert (len(some.prompt) > limit) == long
    other = dataclasses.replace(some, prompt=(*some.prompt[:-3], 300, 301), completion=some.completion[:5])
    gradients = []
    image = model.config.image_token_id
    prefix = some.prompt[: some.prompt.index(image)]
    assert len(prefix) > 3
    for shared in ((), prefix):
        model.zero_grad()
        loss = loss_of(model, [some, other], shared)
        loss.backward()
        gradients.append((loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}))
    (whole, of_whole), (split, of_split) = gradients
    assert split == pytest.approx(whole, rel=1e-6)
    for name, gradient in of_whole.items():
        assert torch.allclose(of_split[name], gradient, atol=1e-6 + 1e-4 * gradient.abs().max().item()), name


def test_padding_is_never_looked_at(model: Any) -> None:
    rows = recorded_rows()[:3]
    batch = batch_of(rows)
    lesson = Lesson(model)
    before = lesson(**batch)["loss"].item()
    used = torch.tensor([len(row.prompt) + len(row.completion) for row in rows])
    behind = torch.arange(batch["input_ids"].shape[1]) >= used[:, None]
    assert behind.any()
    batch["input_ids"][behind] = 77
    assert lesson(**batch)["loss"].item() == before


def test_expected_distance_by_hand() -> None:
    """Half on 6 and half on 0, the person says 6: (0 + 6/6) / 2. All on 4, the person says 4.5: 0.5/6."""
    even = [0.0, -1e9, -1e9, -1e9, -1e9, -1e9, 0.0]
    four = [-1e9, -1e9, -1e9, -1e9, 0.0, -1e9, -1e9]
    found = distances(torch.tensor([even, four]), torch.tensor([6.0, 4.5]))
    assert found.tolist() == pytest.approx([0.5, 0.5 / 6])


def test_the_distance_is_taken_at_the_token_of_the_score(model: Any) -> None:
    """The oracle reads the model's own logits in front of the score token, and weighs them in numpy."""
    digits = [40, 41, 42, 43, 44, 45, 46]
    rows = [
        dataclasses.replace(recorded_rows()[0], completion=(5, 43, 7), score=3.0, score_position=1),
        dataclasses.replace(recorded_rows()[2], completion=(5, 6, 46, 7), score=5.5, score_position=2),
    ]
    plain = loss_of(model, rows).item()
    weighted = loss_of(model, rows, score_tokens=digits, distance_weight=2.5).item()
    expected = 0.0
    for row in rows:
        seen: list[Any] = []
        hook = model.lm_head.register_forward_hook(lambda _, __, logits, seen=seen: seen.append(logits.detach()))
        loss_of(model, [row])
        hook.remove()
        logits = seen[0][row.score_position, digits].double().numpy()
        p = np.exp(logits - logits.max())
        expected += float((p / p.sum() * np.abs(np.arange(7) - row.score)).sum() / 6)
    assert weighted - plain == pytest.approx(2.5 * expected / 7, rel=1e-4)  # 3 + 4 tokens


def test_only_trained_weights_are_in_the_state(model: Any) -> None:
    model.model.vision_tower.requires_grad_(False)
    lesson = Lesson(model)
    state = lesson.state_dict()
    assert state.keys() == {name for name, weight in lesson.named_parameters() if weight.requires_grad}
    assert not any("vision_tower" in name for name in state)
    with pytest.raises(RuntimeError, match="another run"):
        lesson.load_state_dict({**state, "stranger": torch.zeros(1)}, strict=False)


def test_inference_is_as_before_after_a_lesson(model: Any) -> None:
    rotary = model.model.language_model.rotary_emb
    loss_of(model, recorded_rows()[:2])
    assert model.model.language_model.rotary_emb is rotary
