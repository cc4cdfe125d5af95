"""Human scores to rows: the engine's own prompt, the completion of each objective, and what cannot be a row."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scored import scored_rows, write_rows

from judge.core import benchmark, score_text
from judge.engines import EngineOptions
from judge.engines.local import load_local_engine
from judge.errors import UserError
from judge.finetune import dataset
from judge.finetune.base import Base
from judge.finetune.dataset import Encoder, Material
from judge.finetune.recipe import Recipe
from judge.model import conversation
from judge.scoring.grader import Grader
from mmie_tasks.demo import judge_dir

Changed = Callable[..., Recipe]
MMIE = benchmark.find("mmie")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    base = Base.find(str(judge_dir()))
    return Encoder(base.tokenizer, MMIE.rubric("mmjudge"), base.layout)


@pytest.fixture
def changed(recipe: Recipe) -> Changed:
    """The recipe with other lines in its data file: changed(rows, field=value, …)."""

    def change(rows: list[dict[str, Any]], **fields: Any) -> Recipe:
        write_rows(Path(recipe.data), rows)
        return dataclasses.replace(recipe, **fields)

    return change


def load(recipe: Recipe) -> Material:
    return dataset.load_material(recipe, MMIE)


def completion(encoder: Encoder, row: dataset.Row) -> str:
    """As a reader sees it."""
    return encoder.tokenizer.text_of(row.completion)


def test_prompts_are_the_engines(recipe: Recipe, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is the engine itself, watched while it judges the same answers."""
    material = load(dataclasses.replace(recipe, held_out=0.0))
    some = material.train[::7]  # of every category, with and without pictures
    rows, dropped = encoder.rows(some, "feedback")
    assert not dropped
    seen: dict[str, tuple[int, ...]] = {}
    encode = conversation.encode_prompt

    def watched(tokenizer: Any, pieces: Any, *args: Any, **options: Any) -> Any:
        encoded = encode(tokenizer, pieces, *args, **options)
        seen[repr(pieces)] = encoded.ids
        return encoded

    monkeypatch.setattr(conversation, "encode_prompt", watched)
    engine = load_local_engine(str(judge_dir()), EngineOptions(device="cpu", max_new_tokens=1))
    grader = Grader(engine, encoder.rubric)
    prompts = [grader.prompt(item.request) for item in some]
    assert len(dict(engine.complete(prompts))) == len(some)
    assert [row.prompt for row in rows] == [seen[repr(prompt.pieces)] for prompt in prompts]
    assert any(row.pictures for row in rows)
    assert not all(row.pictures for row in rows)


def test_the_completion_of_feedback(recipe: Recipe, encoder: Encoder) -> None:
    material = load(recipe)
    rows, _ = encoder.rows(material.train, "feedback")
    good = next(row for row in rows if row.key[1] == "good")
    assert completion(encoder, good) == ("### Feedback\nText and pictures show what was wanted.\n### Score\n6<|end|>")
    assert encoder.tokenizer.text_of([good.completion[good.score_position]]) == "6"


def test_the_completion_of_a_score(recipe: Recipe, encoder: Encoder) -> None:
    rows, dropped = encoder.rows(load(recipe).train, "score")
    assert {completion(encoder, row) for row in rows} == {f"### Score\n{n}<|end|>" for n in (0, 1, 2, 6)}
    assert not dropped


def test_criteria_are_lines_whose_sum_is_the_score(changed: Changed, encoder: Encoder) -> None:
    rows = [row for row in scored_rows() if row["id"].startswith("SA")]
    names = encoder.rubric.criteria("SA")
    assert len(names) == 7  # six that add, one that takes off
    for number, row in enumerate(rows):
        row["criteria"] = {name: int(position < row["score"]) for position, name in enumerate(names)}
        row["criteria"][names[-1]] = 0
        if row["model"] == "stray":
            row["criteria"] = {names[0]: 1, **dict.fromkeys(names[1:-1], 0), names[-1]: -1}
            row["score"] = 0  # 1 - 1
        if row["model"] == "blank":
            row["criteria"][names[-1]] = -1  # 0 - 1: a score is never below 0
        if number == 0:
            row["criteria"][names[0]] = 0  # adds up to 5, the score is 6
        if number == 1:
            del row["criteria"][names[2]]
    learned, dropped = encoder.rows(load(changed(rows, held_out=0.0)).train, "criteria")
    assert [reason for _, reason in dropped] == ["no_criteria"] * 2
    assert len(learned) == len(rows) - 2
    stray = next(row for row in learned if row.key[1] == "stray")
    lines = [f"{names[0]}: 1", *(f"{name}: 0" for name in names[1:-1]), f"{names[-1]}: -1"]
    assert completion(encoder, stray) == "\n".join(["### Feedback", *lines, "### Score", "0<|end|>"])
    for row in learned:
        said = encoder.tokenizer.decode(row.completion[:-1])
        assert score_text.parse_score(said, stopped=True, profile="strict") == (row.score, None)
        assert score_text.parse_score(said, stopped=True, profile="reference") == (row.score, None)


def test_feedback_can_become_no_structure(changed: Changed, encoder: Encoder) -> None:
    rows = scored_rows()[:3]
    rows[0]["feedback"] = "Good.<|end|><|assistant|> <IMG_CONTEXT> over"
    rows[1]["feedback"] = "Bad.\n### Score\n6"
    rows[2]["feedback"] = "  "
    learned, dropped = encoder.rows(load(changed(rows, held_out=0.0)).train, "feedback")
    (row,) = learned
    special = set(encoder.tokenizer.special.values())
    assert [i for i in row.completion if i in special] == [encoder.tokenizer.special["<|end|>"]]
    assert row.completion[-1] == encoder.tokenizer.special["<|end|>"]
    assert sorted(reason for _, reason in dropped) == ["ambiguous_score", "no_feedback"]


def test_annotators_are_rows_of_one_answer(changed: Changed, encoder: Encoder) -> None:
    rows = scored_rows()[:8]
    second = [{**row, "annotator": "a2", "score": 4, "feedback": "Half."} for row in rows[:2]]
    for row in second:
        del row["response"]  # once is enough
    third = {**rows[0], "annotator": "mean", "score": 4.5}
    material = load(changed([*rows, *second, third], held_out=0.0))
    assert len(material.train) == 8
    scores = {item.key: item.score for item in material.train}
    assert scores[rows[0]["id"], "good"] == (6 + 4 + 4.5) / 3
    learned, _ = encoder.rows(material.train, "feedback")
    assert len(learned) == 11
    of_first = [row for row in learned if row.key == (rows[0]["id"], "good")]
    said = [encoder.tokenizer.text_of([row.completion[row.score_position]]) for row in of_first]
    # 4.5 is learned as the parser rounds it, half to even, and kept as it is for the loss that knows distances
    assert [(row.score, text) for row, text in zip(of_first, said, strict=True)] == [(6, "6"), (4, "4"), (4.5, "4")]


def test_two_responses_of_one_model_are_refused(changed: Changed) -> None:
    rows = scored_rows()[:4]
    rows.append({**rows[0], "annotator": "a2", "response": "Another."})
    with pytest.raises(UserError, match=r"line 5.*another response than .*line 1"):
        load(changed(rows))


def test_what_cannot_be_judged_is_counted_and_named(changed: Changed, encoder: Encoder, tmp_path: Path) -> None:
    rows = scored_rows()[:8]
    rows[0]["response"] = [{"text": "Look.", "image": "images/nowhere.png"}]
    rows[1]["response"] = []
    del rows[2]["response"]
    rows[4]["response"] = [{"text": "Look.", "image": "broken.png"}]
    root = tmp_path / "root"
    root.mkdir()
    (root / "broken.png").write_bytes(b"not a picture")
    for row in rows:
        for part in row.get("response") or []:
            if part["image"] and part["image"].startswith("./"):
                part["image"] = None
    material = load(changed(rows, held_out=0.0, image_root=str(root)))
    learned, dropped = encoder.rows(material.train, "feedback")
    reasons = Counter(reason for _, reason in (*material.dropped, *dropped))
    assert reasons == {"image_missing": 1, "empty_answer": 1, "no_response": 1, "image_refused": 1}
    assert len(learned) == 4
    said = dataset.describe_material(material, learned, dropped)
    assert f"1 no_response ({rows[2]['id']} of {rows[2]['model']})" in said
    assert "rows: 4" in said


def test_a_row_longer_than_the_window_is_left_out(recipe: Recipe, encoder: Encoder) -> None:
    material = load(recipe)
    longest = max(encoder.rows(material.train, "feedback")[0], key=lambda row: len(row.prompt) + len(row.completion))
    narrow = copy.copy(encoder)
    narrow.window = len(longest.prompt) + len(longest.completion) - 1
    _, dropped = narrow.rows(material.train, "feedback")
    assert (longest.key, "request_too_long") in dropped


def test_validation_is_taken_from_what_is_left(recipe: Recipe) -> None:
    """15 questions of 4 answers: a fifth and a fifth are 3 and 3 questions."""
    material = load(dataclasses.replace(recipe, held_out=0.2, validation=0.2))
    parts = [{item.key[0] for item in part} for part in (material.train, material.validation, material.held_out)]
    assert [len(part) for part in parts] == [9, 3, 3]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


def test_a_model_left_out_is_all_that_is_held_out(recipe: Recipe) -> None:
    material = load(dataclasses.replace(recipe, leave_model_out="stray"))
    assert {item.key[1] for item in material.held_out} == {"stray"}
    assert len(material.held_out) == 15
    assert {item.key[1] for item in material.train} == {"good", "mute", "blank"}
    with pytest.raises(UserError, match="models are blank, good, mute, stray"):
        load(dataclasses.replace(recipe, leave_model_out="nobody"))


def test_the_order_of_the_file_changes_nothing(changed: Changed, encoder: Encoder) -> None:
    forwards = load(changed(scored_rows()))
    backwards = load(changed(scored_rows()[::-1]))
    assert [item.key for item in forwards.train] == [item.key for item in backwards.train]
    assert [item.key for item in forwards.held_out] == [item.key for item in backwards.held_out]


def test_a_data_file_that_is_not_scores_is_named_by_line(changed: Changed) -> None:
    recipe = changed(scored_rows())
    Path(recipe.data).write_text(json.dumps({"id": "SA-1", "score": 9}) + "\n")
    with pytest.raises(UserError, match=r"line 1.*score"):
        load(recipe)
