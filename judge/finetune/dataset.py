"""Human scores to training rows: the prompt exactly as at inference, and the completion that is learned.

    prompt      …### Answer\\nStep 2: pour.\\nImage-1: <img>…</img>\\n### Feedback\\n<|end|><|assistant|>
    completion  ### Feedback\\nThe second picture shows a closed lid.\\n### Score\\n4<|end|>

`objective` says what is learned:

    feedback   as above; scores without feedback are left out, or the judge would learn to say nothing now and then
    score      "### Score" and the score: every score counts, the judge gives no reasons
    criteria   under "### Feedback" a line a criterion, "Text quality: 1", whose sum (at least 0) is the score

Every annotator's score of an answer is a row of its own: the judge learns how people's scores are spread, and a
feedback stands with the score it argues for. A score that is a mean is learned rounded (half to even, as the parser
reads one); the distance-aware loss and agreement use it as it is. What cannot be a row is counted with its reason.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.core import score_text
from judge.core.benchmark import Answer, Benchmark
from judge.core.request import Picture, Request
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.engines import MAX_TILES
from judge.errors import UserError
from judge.finetune.split import Key, answers_of_model, choose_held_out
from judge.io import human_scores
from judge.io.human_scores import HumanScore
from judge.io.image_paths import ImageRefused
from judge.model import conversation, distribution, images
from judge.model.tokenizer import Chunk, Tokenizer
from judge.model.weights.original_layout import Layout

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from judge.finetune.recipe import Recipe

    Tiles = npt.NDArray[np.uint8]

TILES_KEPT = 1 << 30
"""Bytes of cut pictures kept in memory; others are decoded again when their turn comes."""

PREPARING_THREADS = 4


@dataclasses.dataclass(frozen=True)
class Judged:
    """One answer with all its human scores. score: their mean."""

    key: Key
    request: Request
    scores: tuple[HumanScore, ...]

    @property
    def score(self) -> float:
        """The mean of what people gave, in points."""
        return sum(score.score for score in self.scores) / len(self.scores)


@dataclasses.dataclass(frozen=True)
class Material:
    """Answers for training, for stopping it and for measuring what came of it; `dropped`: (key, reason)."""

    train: tuple[Judged, ...]
    validation: tuple[Judged, ...]
    held_out: tuple[Judged, ...]
    dropped: tuple[tuple[Key, str], ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """One training example. prompt, completion: ids, the stop token included. score: what the annotator gave.

    score_position: position of the score's token in `completion`.
    """

    key: Key
    category: str
    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    pictures: tuple[Picture, ...]
    score: float
    score_position: int


def load_material(recipe: Recipe, benchmark: Benchmark) -> Material:
    """Read the recipe's data and split it. Raises UserError for what does not fit together."""
    scores = human_scores.read_human_scores(recipe.data, recipe.image_root or None)
    dropped = [((score.id, score.model), "no_response") for score in scores if score.answer is None]
    answers = _answers(scores)
    dataset = benchmark.load(Path(recipe.questions) if recipe.questions else None)
    given: defaultdict[Key, list[HumanScore]] = defaultdict(list)
    for score in scores:
        given[score.id, score.model].append(score)
    judged: dict[Key, Judged] = {}
    for model in sorted({model for _, model in answers}):
        keys = [key for key in answers if key[1] == model]
        assessed = benchmark.assess([answers[key] for key in keys], dataset, recipe.profile)
        for key, item in zip(keys, assessed, strict=True):
            if isinstance(item, Request):
                judged[key] = Judged(key, item, tuple(given[key]))
            else:
                dropped.append((key, item.reason or "decided_by_rule"))
    if not judged:
        raise UserError("holds no answer that can be judged", file=recipe.data, fix=_shown(dropped))
    return _split(recipe, judged, sorted(set(dropped) - {(key, "no_response") for key in answers}))


def _answers(scores: Sequence[HumanScore]) -> dict[Key, Answer]:
    """The answer of every (question, model), which one annotator's line must have and the others' may repeat."""
    answers: dict[Key, Answer] = {}
    for score in scores:
        if score.answer is None:
            continue
        before = answers.setdefault((score.id, score.model), score.answer)
        if before.response != score.answer.response:
            raise UserError(
                f"another response than {before.where}, for the same question and model {score.model!r}",
                file=score.where,
                record=score.id,
                field="response",
                fix="give answers that differ different model names",
            )
    return answers


def _split(recipe: Recipe, judged: Mapping[Key, Judged], dropped: Sequence[tuple[Key, str]]) -> Material:
    category = {name: item.request.category for (name, _), item in judged.items()}
    if recipe.leave_model_out:
        test = answers_of_model(judged, recipe.leave_model_out)
        if not test:
            models = ", ".join(sorted({model for _, model in judged}))
            raise UserError(
                f"no answers of {recipe.leave_model_out!r}; models are {models}",
                file=recipe.data,
                field="leave_model_out",
            )
    else:
        test = choose_held_out(judged, category, recipe.held_out, recipe.seed)
    left = judged.keys() - test
    # of the whole, as the recipe's `held_out` is
    share = recipe.validation * len(judged) / len(left) if left else 0.0
    validation = choose_held_out(left, category, min(share, 1.0), recipe.seed + 1)
    chosen = [
        tuple(judged[key] for key in sorted(keys)) for keys in (left - validation, validation, test)
    ]  # sorted: neither the order of the file nor that of a set may change a run
    if not chosen[0]:
        raise UserError("leaves no answer to train on", file=recipe.data, fix="lower held_out and validation")
    if recipe.eval_every and not (validation or test):
        raise UserError("nothing is held out to judge in training", file=recipe.data, field="eval_every")
    return Material(chosen[0], chosen[1], chosen[2], tuple(dropped))


class Encoder:
    """Answers to rows, for one judge's tokenizer, tile size and window."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        rubric: Rubric,
        layout: Layout,
    ) -> None:
        self.tokenizer, self.rubric = tokenizer, rubric
        self.system = str(layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE)
        self.tile_size, self.tokens_per_tile, self.window = layout.tile_size, layout.tokens_per_tile, layout.window
        self._kept: dict[Picture, Tiles] = {}
        self._kept_bytes = 0

    def tiles(self, picture: Picture) -> Tiles:
        """(tiles, side, side, 3) of a picture. Raises ImageRefused."""
        kept = self._kept.get(picture)
        if kept is None:
            decoded = images.decode_image(picture.path, scaled=picture.scaled)
            kept = images.cut_tiles(decoded, self.tile_size, max_num=MAX_TILES)
            if self._kept_bytes + kept.nbytes <= TILES_KEPT:
                self._kept[picture] = kept
                self._kept_bytes += kept.nbytes
        return kept

    def prompt(self, request: Request) -> tuple[tuple[int, ...], tuple[Picture, ...]]:
        """Ids of the prompt, the same that `judge.engines.local` makes, and the pictures in order."""
        pieces = self.rubric.render(request)
        pictures = tuple(piece for piece in pieces if isinstance(piece, Picture))
        counts = [len(self.tiles(picture)) for picture in pictures]
        encoded = conversation.encode_prompt(self.tokenizer, pieces, counts, self.tokens_per_tile, self.system)
        return encoded.ids, pictures

    def completion(self, feedback: str, score: int) -> tuple[tuple[int, ...], int]:
        """Ids after the prompt's last one, and the position of the score in them. feedback: with heading, or "".

        Feedback is text that somebody wrote: no special token and no heading can come of it.
        """
        heading, _, said = feedback.partition("\n")
        start: list[Chunk | str] = ["<|assistant|>", Chunk("\n")]
        written: list[Chunk | str] = (
            [Chunk(f"{heading}\n"), Chunk(said, trusted=False), Chunk("\n")] if feedback else []
        )
        turn = self.tokenizer.encode(start)[0]
        items = [*start, *written, Chunk(f"### Score\n{score}"), conversation.STOP]
        whole = self.tokenizer.encode(items)[0]
        if whole[: len(turn)] != turn:
            raise ValueError("the completion changes the ids of the prompt before it")
        return tuple(whole[len(turn) :]), len(whole) - len(turn) - 2

    def rows(self, judged: Iterable[Judged], objective: str) -> tuple[list[Row], list[tuple[Key, str]]]:
        """(rows in order, (key, reason) of scores that make none). Every picture is decoded here once."""
        items = list(judged)
        with ThreadPoolExecutor(PREPARING_THREADS) as pool:
            prompts = list(pool.map(self._prompt_or_reason, (item.request for item in items)))
        rows: list[Row] = []
        dropped: list[tuple[Key, str]] = []
        for item, prompt in zip(items, prompts, strict=True):
            if isinstance(prompt, str):
                dropped.append((item.key, prompt))
                continue
            for score in item.scores:
                row = self._row(item, score, objective, *prompt)
                if isinstance(row, str):
                    dropped.append((item.key, row))
                else:
                    rows.append(row)
        return rows, dropped

    def _prompt_or_reason(self, request: Request) -> tuple[tuple[int, ...], tuple[Picture, ...]] | str:
        try:
            return self.prompt(request)
        except ImageRefused as error:
            return error.reason

    def _row(
        self, item: Judged, score: HumanScore, objective: str, prompt: tuple[int, ...], pictures: tuple[Picture, ...]
    ) -> Row | str:
        said = text_before_score(score, objective, self.rubric.criteria(item.request.category))
        if said is None:
            return f"no_{objective}"
        value = round(score.score)
        completion, position = self.completion(said, value)
        if len(prompt) + len(completion) > self.window:
            return "request_too_long"
        # what is learned must be read back as that score
        read, reason = score_text.parse_score(self.tokenizer.decode(completion[:-1]), stopped=True, profile="strict")
        if read != value:
            return reason or "another_score_read"
        return Row(item.key, item.request.category, prompt, completion, pictures, score.score, position)

    def score_tokens(self) -> tuple[int, ...]:
        """Ids that spell the scores of `JUDGE_SCALE`, in order. Raises UserError where a score has no token."""
        tokens = distribution.score_tokens(self.tokenizer)
        if not tokens:
            raise UserError(f"the judge's vocabulary has no token for each of {JUDGE_SCALE}", field="distance_weight")
        return tokens


def text_before_score(score: HumanScore, objective: str, criteria: Sequence[str]) -> str | None:
    """What stands before the score under an objective: heading and text, "" for nothing, None where it is not known.

    criteria: names in the rubric's order; a rubric that numbers none takes them as the annotator's line has them.
    """
    if objective == "score":
        return ""
    if objective == "feedback":
        text = (score.feedback or "").strip()
        return f"### Feedback\n{text}" if text else None
    names = [*criteria] or [*score.criteria]
    points = [score.criteria.get(name) for name in names]
    if not names or any(value is None or value != int(value) for value in points):
        return None
    if max(0, sum(value for value in points if value is not None)) != score.score:
        return None
    lines = (f"{name}: {int(value)}" for name, value in zip(names, points, strict=True) if value is not None)
    return "\n".join(("### Feedback", *lines))


def describe_material(material: Material, rows: Sequence[Row], dropped: Sequence[tuple[Key, str]]) -> str:
    """Lines that say what is trained on and what is not."""
    parts = [("train", material.train), ("validation", material.validation), ("held out", material.held_out)]
    lines = [f"{name}: {len(items)} answers {_counts(items)}" for name, items in parts if items]
    lines.append(f"rows: {len(rows)}")
    left_out = [*material.dropped, *dropped]
    if left_out:
        lines.append(f"left out: {_shown(left_out)}")
    return "\n".join(lines)


def _counts(items: Sequence[Judged]) -> str:
    def listed(names: Iterable[Any]) -> str:
        return ", ".join(f"{name or '(no name)'} {count}" for name, count in sorted(Counter(names).items()))

    return f"({listed(item.request.category for item in items)}; {listed(item.key[1] for item in items)})"


def _shown(dropped: Sequence[tuple[Key, str]]) -> str:
    """Reasons with counts, and the first few names of each."""
    parts = []
    for reason, count in sorted(Counter(reason for _, reason in dropped).items()):
        names = [" of ".join(filter(None, key)) for key, why in dropped if why == reason][:3]
        parts.append(f"{count} {reason} ({', '.join(names)}{', …' if count > len(names) else ''})")
    return "; ".join(parts)
