"""Does this install compute what the reference computed? Recorded cases, compared step by step.

A golden folder holds `cases.json` (prompts, ids, tile hashes, greedy continuations), `arrays.npz` (vision features,
logits) and `images/`, recorded from OpenGVLab/InternVL's own `chat()` under transformers 4.37.2:

    {"name": "one_exif", "question": "…<image>…", "images": ["exif6.png"], "num_patches_list": [3],
     "tiles_u8_sha256": "…", "input_ids": [1, 467, 566, …], "new_ids": [489, …], "stopped": false, "response": "…"}

Every case is run alone, and all of them in one mixed batch. A difference is a failed check; nothing is approximated
but the two float comparisons, whose bounds a wrong LayerNorm epsilon already breaks.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.model import conversation, generate, images
from judge.model.judge_files import read_object
from judge.model.tokenizer import Tokenizer
from judge.model.vision import vision_features
from judge.model.weights import original_layout

VISION_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 5e-5
FIX = "give --golden a folder with cases.json, arrays.npz and images/, as they were recorded"


@dataclasses.dataclass(frozen=True)
class Golden:
    """A recording. tiling: how it cut pictures, and the major version of Pillow whose resize it used."""

    folder: Path
    cases: tuple[Mapping[str, Any], ...]
    arrays: Mapping[str, np.ndarray[Any, Any]]
    system: str
    max_new_tokens: int
    tiling: Mapping[str, Any]


def read_golden(folder: Path) -> Golden:
    """The recording in a folder. Raises UserError where a file or a field is missing or cannot be read."""
    try:
        content = read_object(folder / "cases.json")
    except UserError as error:
        # a recording is no part of a judge folder, which is what the error would have the user mend
        problem = error.problem.removesuffix(" from the judge folder")
        raise UserError(problem, file=error.file, field=error.field, fix=FIX) from None
    try:
        meta, cases = content["meta"], tuple(content["cases"])
        with np.load(folder / "arrays.npz") as arrays:
            loaded = {name: arrays[name] for name in arrays.files}
        return Golden(
            folder=folder,
            cases=cases,
            arrays=loaded,
            system=meta["system_message"],
            max_new_tokens=meta["max_new_tokens"],
            tiling={
                **{name: meta[name] for name in ("min_num", "max_num", "use_thumbnail")},
                "pillow": int(meta["reference"]["pillow"].split(".")[0]),
            },
        )
    except KeyError as missing:
        raise UserError("is missing", file=folder / "cases.json", field=str(missing.args[0]), fix=FIX) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", file=folder / "arrays.npz", fix=FIX) from None


@dataclasses.dataclass(frozen=True)
class CaseResult:
    """One case in one mode. differences: check → what is wrong; vision, logits: largest absolute
    differences, logits over prefill and every step."""

    name: str
    mode: str
    differences: Mapping[str, str]
    vision: float | None
    logits: float

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        vision = "-" if self.vision is None else f"{self.vision:.1e}"
        outcome = "ok  " if self.passed else "FAIL"
        line = f"{outcome} {self.name:<20} {self.mode:<6} vision {vision:<8} logits {self.logits:.1e}"
        return line + "".join(f"\n     {check}: {problem}" for check, problem in self.differences.items())


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """A recorded case, its prompt as this install builds it, and how that differs from the recording."""

    case: Mapping[str, Any]
    prompt: generate.ModelInput
    differences: Mapping[str, str]


def verify_cases(
    model: Any, tokenizer: Tokenizer, described: original_layout.Layout, golden: Golden
) -> Iterator[CaseResult]:
    """Run all cases one by one, then all together; a result for each of both, in order.

    Raises UserError for a picture of the recording that cannot be decoded.
    """
    prepared = [_prepare(tokenizer, described, golden, case) for case in golden.cases]
    stop = tokenizer.special[conversation.STOP]

    def generated(some: Sequence[_Prepared]) -> dict[int, generate.Generated]:
        prompts = [item.prompt for item in some]
        return dict(generate.generate_all(model, prompts, stop=stop, max_new_tokens=golden.max_new_tokens))

    def compared(item: _Prepared, answer: generate.Generated, mode: str) -> CaseResult:
        vision = None if item.prompt.tiles is None else vision_features(model, item.prompt.tiles)
        return _compare(item, answer, generate.generated_text(tokenizer, answer), vision, golden, mode)

    for item in prepared:
        yield compared(item, generated([item])[0], "single")
    together = generated(prepared)
    for number, item in enumerate(prepared):
        yield compared(item, together[number], "batch")


def _prepare(
    tokenizer: Tokenizer, described: original_layout.Layout, golden: Golden, case: Mapping[str, Any]
) -> _Prepared:
    try:
        pictures = [images.decode_image(golden.folder / "images" / name) for name in case["images"]]
    except ImageRefused as refused:
        raise UserError(refused.message, file=golden.folder / "cases.json", record=case["name"]) from None
    cut = [images.cut_tiles(picture, described.tile_size, **golden.tiling) for picture in pictures]
    counts = [len(tiles) for tiles in cut]
    ids = conversation.encode_chat_text(tokenizer, case["question"], counts, described.tokens_per_tile, golden.system)
    tiles = np.concatenate(cut) if cut else None
    differences = {}
    if counts != case["num_patches_list"]:
        differences["tile counts"] = f"{counts}, recorded {case['num_patches_list']}"
    if ids != case["input_ids"]:
        differences["prompt ids"] = _first_difference(ids, case["input_ids"])
    if tiles is not None:
        recorded = (("tiles", tiles), ("pixel values", images.pixel_values(tiles)))
        for (what, values), field in zip(recorded, ("tiles_u8_sha256", "pixel_values_sha256"), strict=True):
            if hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() != case[field]:
                differences[what] = "other bytes than recorded"
    return _Prepared(case, generate.ModelInput(ids, tiles), differences)


def _compare(
    item: _Prepared, generated: generate.Generated, text: str, features: Any, golden: Golden, mode: str
) -> CaseResult:
    case, found, vision = item.case, dict(item.differences), None
    if features is not None:
        vision = _distance(features.float().cpu().numpy(), golden.arrays[f"{case['name']}__vision_features"])
        if not vision <= VISION_TOLERANCE:
            found["vision features"] = f"off by {vision:.2e}, at most {VISION_TOLERANCE:.0e}"
    logits = _distance(generated.prefill_logits.cpu().numpy(), golden.arrays[f"{case['name']}__prefill_logits_last"])
    if not logits <= LOGIT_TOLERANCE:
        found["prefill logits"] = f"off by {logits:.2e}, at most {LOGIT_TOLERANCE:.0e}"
    if list(generated.ids) != case["new_ids"]:
        found["greedy ids"] = _first_difference(list(generated.ids), case["new_ids"])
    else:
        steps = _distance(np.array(generated.top, np.float32), golden.arrays[f"{case['name']}__step_top_logit"])
        logits = max(logits, steps)
        if not steps <= LOGIT_TOLERANCE:
            found["step logits"] = f"off by {steps:.2e}, at most {LOGIT_TOLERANCE:.0e}"
    if generated.stopped != case["stopped"]:
        found["stop"] = f"stopped is {generated.stopped}, recorded {case['stopped']}"
    if text != case["response"]:
        found["response"] = f"{text!r}, recorded {case['response']!r}"
    return CaseResult(case["name"], mode, found, vision, logits)


def _distance(ours: np.ndarray[Any, Any], recorded: np.ndarray[Any, Any]) -> float:
    """Largest absolute difference; infinite for another shape."""
    if ours.shape != recorded.shape:
        return float("inf")
    return float(np.abs(ours - recorded).max())


def _first_difference(ours: list[int], recorded: list[int]) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(ours, recorded, strict=False)) if a != b), min(len(ours), len(recorded))
    )
    return f"{len(ours)} tokens, recorded {len(recorded)}; first difference at {at}"
