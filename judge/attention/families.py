"""Where the tokens of a picture stand in a prompt, by family of models.

    grids(Pictured(ids, inputs, config, processor, sizes=[(640, 480)]))
    ->  [Grid(rows=24, columns=24, start=5, span=(5, 581), box=(80.0, 0.0, 560.0, 480.0))]

A family says how many visual tokens a picture has, in which order, and of which part of the picture they are. Where a
picture is also cut into tiles, the grid is that of the base view, which shows it whole:

    llava                       one view, a square from the middle of the picture (what CLIP's processor leaves of it)
    llava_next, llava_onevision the base view first, then the tiles with a token at the end of each row
    qwen2_vl, 2.5, 3            one view of the picture's own shape, `merge_size`² patches a token
    internvl                    the tiles first, the base view last
    idefics3, smolvlm           the tiles first, the base view last, each with its marker
    gemma3                      the base view first, then what pan and scan cuts out

Source: the processors and `get_image_features` of transformers 5; the tests change one cell of a picture and see which
token changes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from judge.errors import UserError

Box = tuple[float, float, float, float]
Run = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The visual tokens of one picture that show it whole: `rows` times `columns`, row by row, one after the other.

    start: position in the prompt of the first of them. span: positions of the picture's first visual token and behind
    its last, tiles and what stands between them included. box: left, top, right, bottom in pixels of the part of the
    picture that they cover; beyond the picture where it was padded.
    """

    rows: int
    columns: int
    start: int
    span: Run
    box: Box

    @property
    def positions(self) -> slice:
        """Where the tokens of the grid stand in the prompt."""
        return slice(self.start, self.start + self.rows * self.columns)


@dataclasses.dataclass(frozen=True)
class Pictured:
    """A prompt as the processor made it. ids [tokens]; inputs: all that the model is given, by name; config: the
    model's; sizes: (width, height) of every picture, in their order."""

    ids: np.ndarray
    inputs: Mapping[str, Any]
    config: Any
    processor: Any
    sizes: Sequence[tuple[int, int]]

    @property
    def runs(self) -> list[Run]:
        """Where visual tokens stand without another between them: (first, behind the last)."""
        visual = np.concatenate([[False], self.ids == self.config.image_token_id, [False]])
        edges = np.flatnonzero(visual[1:] != visual[:-1])
        return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def grids(prompt: Pictured) -> list[Grid]:
    """The grid of every picture of a prompt, in their order.

    Raises UserError for a family that is not known, and where the tokens are not as many as the family has.
    """
    found = _family(prompt.config)(prompt)
    tokens = np.flatnonzero(prompt.ids == prompt.config.image_token_id)
    for grid in found:
        here = np.arange(len(prompt.ids))[grid.positions]
        if len(here) != grid.rows * grid.columns or not np.isin(here, tokens).all():
            raise _unlike(prompt, f"{grid.rows} × {grid.columns} visual tokens from position {grid.start} on")
    return found


def require_family(config: Any) -> None:
    """Raise UserError where the visual tokens of a model with this config cannot be found."""
    _family(config)


def require_known_type(model_type: str) -> None:
    """As `require_family`, by the model's type alone, as its config.json names it."""
    if model_type not in FAMILIES:
        raise UserError(
            f"where the visual tokens of a model of type {model_type} stand is not known",
            fix=f"families that are known: {', '.join(FAMILIES)}",
        )


def _family(config: Any) -> Callable[[Pictured], list[Grid]]:
    name = str(getattr(config, "model_type", None))
    tower = getattr(getattr(config, "vision_config", None), "model_type", None)
    if name not in FAMILIES or tower == "pixtral":
        said = f"{name} with the vision tower {tower}" if name in FAMILIES else name
        raise UserError(
            f"where the visual tokens of a model of type {said} stand is not known",
            fix=f"families that are known: {', '.join(FAMILIES)}",
        )
    return FAMILIES[name]


def _llava(prompt: Pictured) -> list[Grid]:
    height, width = prompt.inputs["pixel_values"].shape[-2:]
    rows, columns = height // prompt.config.vision_config.patch_size, width // prompt.config.vision_config.patch_size
    first = int(prompt.config.vision_feature_select_strategy == "full")  # a class token, which is of no place
    starts = [start for begin, end in prompt.runs for start in range(begin, end, rows * columns + first)]
    _require_as_many(prompt, len(starts))
    return [
        Grid(
            rows, columns, start + first, (start, start + first + rows * columns), _middle(size, prompt, width, height)
        )
        for start, size in zip(starts, prompt.sizes, strict=True)
    ]


def _middle(size: tuple[int, int], prompt: Pictured, width: int, height: int) -> Box:
    """What a processor that scales the shortest edge and cuts from the middle leaves of a picture."""
    processor = prompt.processor.image_processor
    shortest = _edge(processor, "shortest_edge")
    if not processor.do_center_crop or shortest is None:
        return _whole(size)
    scale = shortest / min(size)
    across, down = width / scale, height / scale
    left, top = (size[0] - across) / 2, (size[1] - down) / 2
    return (left, top, left + across, top + down)


def _edge(processor: Any, name: str) -> int | None:
    size = processor.size
    found = size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)
    return None if found is None else int(found)


def _base_first(prompt: Pictured) -> list[Grid]:
    """LLaVA-NeXT and OneVision."""
    if prompt.config.model_type == "llava_onevision" and len(prompt.sizes) > 1:
        raise UserError("several pictures in one prompt are padded by llava_onevision", fix="ask with one picture")
    _require_as_many(prompt, len(prompt.runs))
    height, width = prompt.inputs["pixel_values"].shape[-2:]
    rows, columns = height // prompt.config.vision_config.patch_size, width // prompt.config.vision_config.patch_size
    tower = getattr(prompt.config.vision_config, "model_type", "")
    first = int(prompt.config.vision_feature_select_strategy == "full" and tower.startswith("clip"))
    return [
        Grid(rows, columns, run[0] + first, run, _whole(size))
        for run, size in zip(prompt.runs, prompt.sizes, strict=True)
    ]


def _qwen(prompt: Pictured) -> list[Grid]:
    _require_as_many(prompt, len(prompt.runs))
    merge = prompt.config.vision_config.spatial_merge_size
    shapes = prompt.inputs["image_grid_thw"].tolist()
    return [
        Grid(rows // merge, columns // merge, run[0], run, _whole(size))
        for run, (_, rows, columns), size in zip(prompt.runs, shapes, prompt.sizes, strict=True)
    ]


def _internvl(prompt: Pictured) -> list[Grid]:
    _require_as_many(prompt, len(prompt.runs))
    side = _side(prompt, prompt.processor.image_seq_length)
    return [
        Grid(side, side, run[1] - side * side, run, _whole(size))
        for run, size in zip(prompt.runs, prompt.sizes, strict=True)
    ]


def _split(prompt: Pictured) -> list[Grid]:
    """Idefics3 and SmolVLM: a run a tile, and how many a picture has follows from its size."""
    side = _side(prompt, prompt.processor.image_seq_len)
    runs = prompt.runs
    found = []
    for width, height in prompt.sizes:
        tiles = max(1, int(prompt.processor.image_processor.get_number_of_image_patches(height, width, {})[0]))
        if len(runs) < tiles:
            raise _unlike(prompt, f"{tiles} tiles of a picture of {width} × {height} pixels")
        of, runs = runs[:tiles], runs[tiles:]
        found.append(Grid(side, side, of[-1][0], (of[0][0], of[-1][1]), _whole((width, height))))
    if runs:
        raise _unlike(prompt, f"{len(prompt.sizes)} pictures without a tile left over")
    return found


def _gemma3(prompt: Pictured) -> list[Grid]:
    side = _side(prompt, prompt.config.mm_tokens_per_image)
    if len(prompt.sizes) == 1 and prompt.runs:  # pan and scan: what it cuts out follows
        start, last = prompt.runs[0][0], prompt.runs[-1][1]
        return [Grid(side, side, start, (start, last), _whole(prompt.sizes[0]))]
    _require_as_many(prompt, len(prompt.runs))
    return [Grid(side, side, run[0], run, _whole(size)) for run, size in zip(prompt.runs, prompt.sizes, strict=True)]


FAMILIES: Mapping[str, Callable[[Pictured], list[Grid]]] = {
    "llava": _llava,
    "llava_next": _base_first,
    "llava_onevision": _base_first,
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
    "qwen3_vl": _qwen,
    "qwen3_vl_moe": _qwen,
    "internvl": _internvl,
    "idefics3": _split,
    "smolvlm": _split,
    "gemma3": _gemma3,
}
"""`config.model_type` → how its visual tokens are found."""


def _whole(size: tuple[int, int]) -> Box:
    return (0.0, 0.0, float(size[0]), float(size[1]))


def _side(prompt: Pictured, tokens: int) -> int:
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise _unlike(prompt, f"a square number of visual tokens a tile, and not {tokens}")
    return side


def _require_as_many(prompt: Pictured, found: int) -> None:
    if found != len(prompt.sizes):
        raise _unlike(prompt, f"{len(prompt.sizes)} groups of visual tokens, one a picture, with text between them")


def _unlike(prompt: Pictured, expected: str) -> UserError:
    runs = ", ".join(f"{end - first} from {first}" for first, end in prompt.runs) or "none"
    return UserError(
        f"the prompt of a {prompt.config.model_type} model has other visual tokens than expected: {runs}",
        fix=f"expected were {expected}; use the processor that was published with the model",
    )
