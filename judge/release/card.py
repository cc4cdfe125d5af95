"""The model card of a release: `card.md` filled with what is known, and nothing that is not.

What a program cannot know is asked for: under which licences base and scores are, and who scored them (`--statement`).
Names in the card come from files that others wrote; none of them can become Markdown.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Literal

from judge.release import held_out
from judge.release.export import Merged
from judge.release.held_out import Comparison
from judge.validity.agreement import includes_zero, measure_agreement
from judge.validity.agreement_report import FEW_QUESTIONS
from judge.validity.coefficients import PAIRED

if TYPE_CHECKING:
    from judge.finetune.dataset import Judged
    from judge.release.trained import Trained

Layout = Literal["original", "native"]

_WRITES = {"feedback": "feedback and", "score": "nothing but", "criteria": "points for every criterion and"}

_USE: Mapping[Layout, str] = {
    "original": "    mmjudge score responses.jsonl --benchmark {benchmark} --judge THIS_FOLDER --out out/\n\n"
    "`mmjudge convert` makes of it what transformers and vLLM load.",
    "native": "    model = AutoModelForImageTextToText.from_pretrained(THIS_FOLDER)\n"
    "    processor = AutoProcessor.from_pretrained(THIS_FOLDER)\n\n"
    "The numbers below are of `mmjudge score` with the original layout of these weights. Pictures, long prompts and\n"
    "special tokens in judged text go other ways here: docs/releasing.md of mmjudge says which, and `mmjudge convert`\n"
    "leads back.",
}


@dataclasses.dataclass(frozen=True)
class Declared:
    """What only the maker of a release knows. Licences as given; statement: Markdown on who scored the answers."""

    name: str
    base_licence: str
    data_licence: str
    statement: str | None = None


def render_card(
    trained: Trained, comparison: Comparison, merged: Merged | None, declared: Declared, layout: Layout
) -> str:
    """The README.md of one of the two folders. merged: what merging an adapter did, None after full fine-tuning."""
    items = trained.held_out
    fields = {
        "front_licence": _slug(declared.base_licence),
        "front_base": trained.base_name.partition("@")[0] if "@" in trained.base_name else "[]",
        "library": {"original": "mmjudge", "native": "transformers"}[layout],
        "name": plain(declared.name),
        "title": trained.benchmark.title,
        "base": f"`{_code(trained.base_name)}`",
        "scores": str(sum(len(item.scores) for item in trained.material.train)),
        "writes": _WRITES[trained.recipe.objective],
        "use": _USE[layout].format(benchmark=trained.benchmark.name),
        "scale": str(trained.benchmark.scale),
        "n": str(len(items)),
        "questions": str(len({item.key[0] for item in items})),
        "models": _counted((item.key[1] for item in items), "model"),
        "annotators": _counted(_annotators(items), "annotator"),
        "table": "\n".join(_rows(comparison)),
        "findings": "\n".join(f"- {line}" for line in findings(trained, comparison)),
        "metric": comparison.metric,
        "categories": "\n".join(_categories(comparison, items)),
        "signature": _code(str(comparison.sides["judge"].signature)),
        "base_signature": _code(str(comparison.sides["base"].signature)),
        "training": "\n".join(_training(trained, merged)),
        "data": _data(trained),
        "statement": declared.statement.strip() if declared.statement else
        "The maker of this judge says nothing more about who scored the answers, and under which instructions.",
        "licences": "\n".join(
            f"| {what} | {licence} |"
            for what, licence in (
                (f"base, `{_code(trained.base_name)}`", plain(declared.base_licence)),
                ("human scores", plain(declared.data_licence)),
                (f"questions, `{trained.benchmark.repo}`", plain(trained.benchmark.license)),
                ("these weights", "derived from the base: what binds it binds them"),
            )
        ),
    }  # fmt: skip
    template = (resources.files("judge.release") / "card.md").read_text(encoding="utf-8")
    # one pass: what is filled in may hold braces
    return re.sub(r"\{(\w+)\}", lambda match: fields[match[1]], template)


def findings(trained: Trained, comparison: Comparison) -> list[str]:
    """What the numbers allow to say, and what weakens them."""
    said = [_sentence(held_out.conclusion(comparison))]
    zero = [name for name in PAIRED if includes_zero(name, comparison.judge[name])]
    if zero:
        said.append(f"This judge's intervals of {', '.join(zero)} include zero: agreement by chance is not ruled out.")
    questions = len({item.key[0] for item in trained.held_out})
    if questions < FEW_QUESTIONS:
        said.append(f"{questions} questions are few: below {FEW_QUESTIONS}, intervals of correlations are too narrow.")
    if trained.recipe.patience and not trained.material.validation:
        said.append("The weights were chosen on these very answers (early stopping): the agreement is flattered.")
    if trained.recipe.leave_model_out:
        said.append(f"All answers are by {plain(trained.recipe.leave_model_out)}, of which training saw none.")
    shared = {item.key[0] for item in trained.held_out} & {item.key[0] for item in trained.material.train}
    if shared:
        said.append(f"{len(shared)} of the questions also occur in training, with answers of other models.")
    for who, side in (("This judge", comparison.sides["judge"]), ("The base", comparison.sides["base"])):
        if side.reasons:
            reasons = ", ".join(f"{count} {reason}" for reason, count in side.reasons.items())
            said.append(f"{who} left {side.scores.count(None)} of {len(side.scores)} answers unscored ({reasons}).")
    return said


def plain(text: str) -> str:
    """Text of others as one line of Markdown that is only text."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", line[:200])


def _code(text: str) -> str:
    """Text of others for code spans and blocks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()).replace("`", "'")


def _slug(licence: str) -> str:
    """A licence as the Hub's metadata has it; what is no identifier is "other"."""
    slug = licence.strip().lower()
    return slug if re.fullmatch(r"[a-z0-9.+-]+", slug) else "other"


def _rows(comparison: Comparison) -> Iterable[str]:
    for name in PAIRED:
        cells = (comparison.judge[name], comparison.base[name])
        difference = held_out.with_interval(comparison.differences[name], "+")
        label = f"**{name}**" if name == comparison.metric else name
        yield f"| {label} | {' | '.join(map(held_out.with_interval, cells))} | {difference} |"
    counts = [side.scores.count(None) for side in comparison.sides.values()]
    yield f"| unscored | {counts[0]} | {counts[1]} | |"


def _categories(comparison: Comparison, items: Sequence[Judged]) -> Iterable[str]:
    filled = comparison.sides["judge"].filled
    for name in sorted({item.request.category for item in items}):
        rows = [(given, item) for given, item in zip(filled, items, strict=True) if item.request.category == name]
        given, human = [score for score, _ in rows], [item.score for _, item in rows]
        found = measure_agreement(given, human, [item.key[0] for _, item in rows])[comparison.metric]
        yield f"| {plain(name)} | {len(rows)} | {held_out.with_interval(found)} |"


def _training(trained: Trained, merged: Merged | None) -> Iterable[str]:
    about, recipe = trained.about, trained.recipe
    if trained.adapter is None:
        method = f"all weights{', those of the vision tower apart' if recipe.freeze_vision else ''}"
    else:
        method = f"LoRA, rank {recipe.rank}, on {plain(', '.join(recipe.targets))}; merged"
    rows = {
        "method": method,
        "objective": f"{recipe.objective}, distance weight {recipe.distance_weight:g}",
        "steps": f"{about.get('steps')}, of {recipe.batch} x {recipe.accumulation} answers a device",
        "seed": str(about.get("seed")),
        "recipe": f"`{about['recipe_sha256'][:12]}`",
        "weights of the base": f"`{about['base_weights'][:12]}`",
        "rubric": f"{plain(about['rubric'])} `{about['rubric_sha256'][:12]}`",
    }
    if merged is not None:
        rows["merging"] = (
            f"moves float32 logits by {merged.merge:.1e}, rounding to the number type of the base by "
            f"{merged.rounding:.1e}; the adapter by {merged.effect:.1e}"
        )
    return (f"| {name} | {value} |" for name, value in rows.items())


def _data(trained: Trained) -> str:
    material, parts = trained.material, []
    for what, items in (
        ("Trained on", material.train),
        ("The training was stopped by", material.validation),
        ("Held out", material.held_out),
    ):
        if items:
            scores = sum(len(item.scores) for item in items)
            parts.append(
                f"{what}: {scores} scores of {len(items)} answers; categories: "
                f"{_counts(item.request.category for item in items)}; models under test: "
                f"{_counts(item.key[1] for item in items)}; annotators: {_counts(_annotators(items))}."
            )
    parts.append(f"SHA-256 of the file: `{trained.about['data_sha256']}`. Questions: `{_code(trained.questions.repo)}` "
                 f"`{_code(trained.questions.revision)}`.")  # fmt: skip
    return "\n".join(f"- {part}" for part in parts)


def _annotators(items: Sequence[Judged]) -> Iterable[str]:
    return (score.annotator for item in items for score in item.scores)


def _counted(names: Iterable[str], noun: str) -> str:
    some = len(set(names))
    return f"{some} {noun}{'' if some == 1 else 's'}"


def _counts(names: Iterable[str]) -> str:
    return ", ".join(f"{plain(name) or 'no name'} {count}" for name, count in sorted(Counter(names).items()))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
