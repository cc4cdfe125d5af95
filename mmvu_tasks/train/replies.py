"""A model's reply becomes a record, or a list of what is wrong with it, in words that the model is asked again with.

    check_reply("```json\\n{…}\\n```", sample, RULES["v3"])  ->  Checked(PairedRecord(…), ())
    check_reply('{"id": "he said "yes""}', …)              ->  Checked(None, ("it is not JSON: Expecting ',' …",))

All that is wrong is said at once. Nothing is mended by guessing: a text with unescaped quotes could end anywhere. Taken
away are what the authors' script takes away, `<image>` in a question, and spaces around texts. `id` and `image` are the
sample's, whatever the reply says.

Checked are: the conversations of the version and no others lacking; question and answer in turns, from the question on;
no empty text; as many questions as the version asks for; four different options and the answer among them, word for
word; the most words of an answer; words that no answer may have; as many negatives as positives; no negative question
that is its positive one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from judge.io.jsonl import parse_strictly, writable
from mmvu_tasks.train.pairs import NEG, PairedRecord, Turn, turns_of
from mmvu_tasks.train.prompts import Rules
from mmvu_tasks.train.samples import Sample

MOST_PROBLEMS = 12
"""Of one reply: a model that gets everything wrong need not hear all of it."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """record: None where there are problems."""

    record: PairedRecord | None
    problems: tuple[str, ...]


def check_reply(text: str, sample: Sample, rules: Rules) -> Checked:
    """What a reply's text is; see the module."""
    try:
        value = find_object(text)
    except ValueError as error:
        return Checked(None, (f"it is not JSON: {error}",))
    problems: list[str] = []
    conversations: dict[str, tuple[Turn, ...]] = {}
    for field in rules.fields:
        try:
            if field not in value:
                raise ValueError("it is missing")
            turns = tuple(map(_cleaned, turns_of(value[field])))
        except ValueError as error:
            problems.append(f"{field}: {error}")
            continue
        conversations[field] = turns
        fewest, most = rules.pairs
        if not fewest <= len(turns) <= most:
            due = str(most) if fewest == most else f"{fewest} to {most}"
            problems.append(f"{field}: {len(turns)} questions, not {due}")
        problems += [f"{field}: {problem}" for turn in turns for problem in find_problems(turn, rules)]
    if len(conversations) == len(rules.fields):
        positives, negatives = [conversations.get(field, ()) for field in rules.fields] if len(rules.fields) == 2 else (
            (), conversations[rules.fields[0]])  # fmt: skip
        if len(rules.fields) == 2:
            problems += _unmatched(positives, negatives)
        if not problems:
            return Checked(PairedRecord(sample.id, sample.image, tuple(positives), tuple(negatives)), ())
    return Checked(None, tuple(problems[:MOST_PROBLEMS]))


def find_object(text: str) -> dict[str, Any]:
    """The JSON object of a reply: the whole of it, what is in its fence, or from its first brace to its last.

    Raises ValueError.
    """
    fenced = text[text.find("```") : text.rfind("```")].partition("\n")[2]
    candidates = (text, fenced, text[text.find("{") : text.rfind("}") + 1] if "{" in text else "")
    failure: ValueError | None = None
    for candidate in candidates:
        if not candidate.strip().startswith("{"):
            continue
        try:
            value = parse_strictly(writable(candidate).encode())
        except ValueError as error:
            failure = failure if isinstance(failure, json.JSONDecodeError) else error
            continue
        if isinstance(value, dict):
            return value
    raise failure or ValueError("there is no object in it")


def find_problems(turn: Turn, rules: Rules) -> list[str]:
    """What is wrong with a question and its answer."""
    shown = repr(turn.question[:60])
    if not turn.question:
        return ["a question is empty"]
    if not turn.answer:
        return [f"the answer to {shown} is empty"]
    problems = []
    if len(turn.answer.split()) > rules.words:
        problems.append(f"the answer to {shown} has {len(turn.answer.split())} words, more than {rules.words}")
    problems += [
        f'the answer to {shown} says "{word}"' for word in rules.banned
        if re.search(rf"\b{re.escape(word)}\b", turn.answer, re.IGNORECASE)
    ]  # fmt: skip
    if not rules.options:
        return problems
    if len(turn.options) != rules.options:
        problems.append(f"{shown} has {len(turn.options)} options, not {rules.options}")
    elif not all(turn.options):
        problems.append(f"an option of {shown} is empty")
    elif len({option.casefold() for option in turn.options}) < len(turn.options):
        problems.append(f"two options of {shown} are the same")
    elif turn.answer not in turn.options:
        problems.append(f"the answer to {shown} is none of its options")
    return problems


def _unmatched(positives: tuple[Turn, ...], negatives: tuple[Turn, ...]) -> list[str]:
    if len(positives) != len(negatives):
        return [f"{len(positives)} positive questions and {len(negatives)} negative ones do not match"]
    return [
        f"{NEG}: {negative.question[:60]!r} is its positive question, word for word"
        for positive, negative in zip(positives, negatives, strict=True)
        if positive.question.casefold() == negative.question.casefold()
    ]


def _cleaned(turn: Turn) -> Turn:
    """Without placeholders of the picture in the question, and without spaces around texts."""
    question = turn.question.replace("<image>\n", "").replace("<image>", "")
    return Turn(_tidy(question), _tidy(turn.answer), tuple(map(_tidy, turn.options)))


def _tidy(text: str) -> str:
    """As UTF-8 can hold it: JSON can spell half a surrogate pair."""
    return writable(text).strip()
