"""One forward pass a question: how probable each letter is as the answer, and what was attended to.

    measure_question(model, processor, choice)  ->  Measured, as a line of questions.jsonl:

    {"index": 0, "id": "attribute/shape/01", "category": "Shape", "kind": "POS", "right": "B",
     "letters": {"A": 0.1, "B": 0.72, "C": 0.08, "D": 0.1}, "mass": 0.98,
     "attention": {"first": {"question": {"system": {"share": 0.21, "mean": 0.042, "peak": {"mean": …}}, …,
                                      "of_before": 0.68}, …}, …},
     "map": {"rows": 24, "columns": 24, "box": [80, 0, 560, 480], "low": 1.2e-05, "high": 0.004, "levels": "00a3…"}}

letters: softmax over the letters' logits where the answer begins, so they sum to 1; mass: what all letters together
have of the whole vocabulary. attention: of the first and the last layer, mean over heads; from the tokens of the
question's text ("question") and from the last token of the prompt, which the answer is read from ("answer"); to each
segment of the prompt (`judge.attention.prompt`): the `share` of all attention (the four sum to 1), the `mean` of rows
and columns, and the published measure `peak`: of every column the maximum over the rows, of those the mean, the least
and the greatest. A segment without tokens is null. Tokens see what is before them, so from the question to the answer
it is 0. of_before: the picture's share of what goes to picture and system, mean over rows, null where there is no
system. In a head, softmax leaves this ratio alone however many other tokens there are, while shares and means fall
where a question is longer.

map: the last layer's attention from the question to the picture's grid, as levels from low (00) to high (ff), by row.

Source of the measures: the authors' scripts (BAAI-DCAI/MMVU @87e8079), which take the first layer; of_before is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from judge.attention.choices import Choice
from judge.attention.probe import AttentionProbe
from judge.attention.prompt import SEGMENTS, Message, encode_answer_letters, encode_prompt
from judge.attention.refinement import grid_attention
from judge.core.question import Question
from judge.core.request import Text
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.model.images import decode_image

VERSION = "attention-1"
"""Changes with what is measured."""

LAYERS = {"first": 0, "last": -1}
ROWS = ("question", "answer")
DIGITS = 6
"""Significant digits of a line's numbers."""

Shares = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Measured:
    """One question, measured; see the module for the fields. attention: layer → rows → segment → measures."""

    index: int
    id: str
    category: str
    kind: str
    right: str
    letters: Mapping[str, float]
    mass: float
    attention: Mapping[str, Mapping[str, Shares]]
    map: Mapping[str, Any]

    @property
    def p_right(self) -> float:
        """The probability of the right letter among the letters."""
        return self.letters[self.right]

    @property
    def margin(self) -> float:
        """How far the right letter is above the most probable wrong one."""
        return self.p_right - max(value for letter, value in self.letters.items() if letter != self.right)

    @property
    def is_right(self) -> bool:
        """Whether the right letter is more probable than every other."""
        return self.margin > 0

    def grid(self) -> np.ndarray:
        """`map` as attention [rows, columns], to 1/255 of its range."""
        levels = np.frombuffer(bytes.fromhex(self.map["levels"]), dtype=np.uint8) / 255
        low, high = self.map["low"], self.map["high"]
        return (low + levels * (high - low)).reshape(self.map["rows"], self.map["columns"])

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Any) -> Measured:
        """The inverse of `to_json`. Raises ValueError for what it cannot have written."""
        try:
            made = cls(**{field.name: row[field.name] for field in dataclasses.fields(cls)})
            whole = isinstance(made.index, int) and all(
                isinstance(value, str) for value in (made.id, made.category, made.kind, made.right)
            )
            numbers = [made.mass, made.p_right, made.margin, made.grid().min(), *map(float, made.map["box"])]
            for shares in (made.attention[layer][rows] for layer in LAYERS for rows in ROWS):
                parts = [part for segment in SEGMENTS if (part := shares[segment]) is not None]
                numbers += [part[name] for part in parts for name in ("share", "mean")]
                numbers += [part["peak"]["mean"] for part in parts]
                numbers += [] if shares["of_before"] is None else [shares["of_before"]]
            whole &= len(made.map["box"]) == 4 and bool(np.isfinite(numbers).all())
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if not whole:
            raise ValueError("a field has another type")
        return made


def measure_question(model: Any, processor: Any, choice: Choice) -> Measured:
    """One forward pass. Raises UserError where the picture, the prompt or the attention cannot be read."""
    import torch

    question = choice.question
    picture = _picture(question)
    prompt = encode_prompt(model, processor, question_messages(question), [picture])
    tokens = encode_answer_letters(processor.tokenizer, choice.letters)
    rows = [*range(*prompt.question), len(prompt.ids) - 1]
    with torch.no_grad(), AttentionProbe(model, list(LAYERS.values()), rows) as probe:
        logits = model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0, -1].float()
    letters = torch.softmax(logits[tokens], dim=-1).tolist()
    mass = float(torch.softmax(logits, dim=-1)[tokens].sum())
    if not np.isfinite([*letters, mass]).all():
        raise UserError("the model's logits are not finite", record=_name(question), fix="use --dtype float32")
    found = {name: probe.rows(layer) for name, layer in LAYERS.items()}
    (grid,) = prompt.grids
    return Measured(
        question.index, question.id, question.category, choice.kind, choice.right,
        {letter: _short(value) for letter, value in zip(choice.letters, letters, strict=True)},
        _short(mass),
        {
            name: {
                "question": attention_shares(attention[:-1], prompt.segments),
                "answer": attention_shares(attention[-1:], prompt.segments),
            }
            for name, attention in found.items()
        },
        _map(grid_attention(found["last"][:-1], grid), grid.box),
    )  # fmt: skip


def question_messages(question: Question) -> list[Message]:
    """One user turn with the parts of a question in their order; pictures are parts of type "image"."""
    content = [
        {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image"} for part in question.parts
    ]
    return [{"role": "user", "content": content}]


def attention_shares(rows: np.ndarray, segments: Mapping[str, tuple[int, int]]) -> Shares:
    """What `rows` [rows, tokens] attend to, by segment, and "of_before"; see the module."""
    shares: dict[str, Any] = {name: _of_columns(rows[:, first:last]) for name, (first, last) in segments.items()}
    (_, first), (_, last) = segments["system"], segments["picture"]
    before = rows[:, :last].astype(np.float64)
    shares["of_before"] = _short((before[:, first:].sum(axis=1) / before.sum(axis=1)).mean()) if first else None
    return shares


def _of_columns(block: np.ndarray) -> dict[str, Any] | None:
    if not block.size:
        return None
    block = block.astype(np.float64)
    peaks = block.max(axis=0)
    return {
        "share": _short(block.mean(axis=0).sum()),
        "mean": _short(block.mean()),
        "peak": {"mean": _short(peaks.mean()), "min": _short(peaks.min()), "max": _short(peaks.max())},
    }


def _map(attention: np.ndarray, box: Sequence[float]) -> dict[str, Any]:
    low, high = float(attention.min()), float(attention.max())
    levels = np.zeros(attention.shape) if high == low else (attention - low) / (high - low)
    return {
        "rows": attention.shape[0],
        "columns": attention.shape[1],
        "box": [_short(edge) for edge in box],
        "low": _short(low),
        "high": _short(high),
        "levels": np.rint(levels * 255).astype(np.uint8).tobytes().hex(),
    }


def _picture(question: Question) -> Any:
    if len(question.pictures) != 1:
        raise UserError(f"has {len(question.pictures)} pictures, and one is read", record=_name(question))
    try:
        return decode_image(question.pictures[0])
    except ImageRefused as refused:
        raise UserError(
            refused.message, file=question.pictures[0].path, record=_name(question), fix="mend the picture"
        ) from None


def _name(question: Question) -> str:
    return f"{question.id} (index {question.index})"


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
