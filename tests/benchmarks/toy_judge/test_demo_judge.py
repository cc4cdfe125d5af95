"""The bundled judge: what its folder promises, and that it gives good answers more than bad ones it has not seen."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.toy_judge.examples import CONDITIONS, RUBRIC, Example, completion_text, generate_examples, make_request
from benchmarks.toy_judge.held_out import count_words, estimate_agreement
from judge.core.request import Picture
from judge.demo.drawing import read_picture
from judge.io.image_paths import below
from judge.results.statistics import mean_score
from judge.validity.agreement import measure_agreement
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import judge_dir

JUDGE = judge_dir()


def one(condition: str, category: str, seed: str = "test", held: bool = True) -> Example:
    return next(generate_examples(seed, held=held, condition=condition, category=category))


def some(n: int, condition: str, category: str) -> list[Example]:
    return list(itertools.islice(generate_examples("test", held=True, condition=condition, category=category), n))


# What the examples are


@pytest.mark.parametrize("category", ["SA", "PBL"])
@pytest.mark.parametrize(("condition", "scores"), [("good", {6}), ("shuffled", {2}), ("blank", {0})])
def test_plans_score_by_the_rule(condition: str, scores: set[int], category: str) -> None:
    """good: 2 for the text, 3 for the pictures, 1 for both; shuffled: the text's 2; blank: nothing."""
    assert {example.score for example in some(50, condition, category)} == scores


def test_a_truncated_plan_keeps_what_it_got_right() -> None:
    """Of two steps one: text 2 * 1/2 = 1, pictures 3 * 1/2 = 1.5, rounded up to 2. Of one step none."""
    assert {example.score for example in some(50, "truncated", "PBL")} == {0, 1 + 2}


@pytest.mark.parametrize(
    ("condition", "scores"),
    [("good", {4, 6}), ("wrong_question", {1, 2}), ("truncated", {0}), ("blank", {0})],
)
def test_sums_score_by_the_rule(condition: str, scores: set[int]) -> None:
    assert {example.score for example in some(50, condition, "MSR")} == scores


def test_the_feedback_states_what_the_pictures_show(tmp_path: Path) -> None:
    """The oracle is the reader of stamps: what "Image-k" is said to show is what is drawn in that file."""
    from judge.model.images import decode_image

    compared = 0
    for example in itertools.islice(generate_examples("oracle", held=True, category="SA"), 60):
        pictures = [part for part in make_request(example, tmp_path).answer if isinstance(part, Picture)]
        for number, picture in enumerate(pictures, 1):
            (seen,) = read_picture(decode_image(picture.path)) or [None]
            said = re.search(rf"Image-{number}: (\w+) for \w+ (?:yes|no), (\w+) for ", example.feedback)
            assert said is not None
            assert said.groups() == ((seen.colour, seen.name) if seen else ("nothing", "nothing")), example
            shown = f"{seen.colour} {seen.name}" if seen else "nothing"
            assert f"Image-{number}: {shown}." in example.feedback.partition("\n")[0]
            compared += 1
    assert compared > 60


def test_the_same_seed_gives_the_same_examples_and_held_out_ones_differ() -> None:
    assert one("mixed", "PBL") == one("mixed", "PBL")
    trained = {example.question[0]["text"] for example in itertools.islice(generate_examples(1, held=False), 2000)}
    held = {example.question[0]["text"] for example in itertools.islice(generate_examples(1, held=True), 300)}
    assert len(held) > 100
    assert not trained & held


# What the folder is


def test_the_folder_is_a_whole_judge_within_four_megabytes() -> None:
    files = {path.name: path.stat().st_size for path in JUDGE.iterdir()}
    assert {"config.json", "tokenizer.model", "model.safetensors", "mmjudge.json", "README.md"} <= files.keys()
    assert sum(files.values()) < 4_000_000
    assert not [name for name in files if name.endswith((".py", ".bin", ".pt"))]


def test_it_was_trained_with_the_rubric_that_ships_and_its_card_is_of_these_weights() -> None:
    from judge.model.weights.checkpoint import weights_sha256

    about = json.loads((JUDGE / "mmjudge.json").read_text())
    assert about["rubric"] == RUBRIC
    assert about["rubric_sha256"] == BENCHMARK.rubric(RUBRIC).sha256, (
        "train again: python -m benchmarks.toy_judge.train"
    )
    assert about["weights_sha256"] == weights_sha256(JUDGE)
    assert about["weights_sha256"][:12] in (JUDGE / "README.md").read_text()


def test_the_layout_is_that_of_internvl2() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from judge.model.tokenizer import Tokenizer
    from judge.model.weights import checkpoint, original_layout

    described = original_layout.read_layout(JUDGE)
    assert 1_000_000 < checkpoint.check_weights(JUDGE, described) < 2_000_000
    # (112 / 28)^2 patches, four to a token
    assert described.tokens_per_tile == 4
    tokenizer = Tokenizer.from_folder(JUDGE)
    rubric = BENCHMARK.rubric(RUBRIC).templates["SA"]
    assert len(tokenizer.encode_trusted(rubric)) < 500  # some 250 words
    assert tokenizer.text_of(tokenizer.encode_trusted("Wanted: ein Käse ☃")[1:]).strip() == "Wanted: ein Käse ☃"


# What it does

CONDITION_PAIRS = [
    ("good", "shuffled"),
    ("good", "wrong_question"),
    ("good", "truncated"),
    ("shuffled", "blank"),
]


@pytest.fixture(scope="module")
def scored() -> list[tuple[Example, int | None]]:
    pytest.importorskip("torch", reason="torch is not installed")
    from benchmarks.toy_judge.held_out import held_out_examples, judge_examples

    return judge_examples(held_out_examples(18, seed="test"), JUDGE)


def test_every_answer_gets_a_score(scored: list[tuple[Example, int | None]]) -> None:
    assert Counter(example.condition for example, _ in scored) == dict.fromkeys(CONDITIONS, 18)
    assert [example for example, score in scored if score is None] == []


@pytest.mark.parametrize(("better", "worse"), CONDITION_PAIRS)
def test_the_intervals_of_better_and_worse_answers_lie_apart(
    better: str, worse: str, scored: list[tuple[Example, int | None]]
) -> None:
    """95% intervals of the mean score, 18 answers each."""
    means = {}
    for name in (better, worse):
        given = [score for example, score in scored if example.condition == name]
        means[name] = mean_score([given.count(score) for score in range(7)])
    low, high = means[better].ci_low, means[worse].ci_high
    assert low is not None
    assert high is not None
    assert low > high, means


def test_most_scores_are_just_what_the_answers_deserve(scored: list[tuple[Example, int | None]]) -> None:
    exact = sum(example.score == score for example, score in scored)
    assert exact / len(scored) >= 0.8


def test_it_agrees_better_than_length_and_a_constant(scored: list[tuple[Example, int | None]]) -> None:
    """With the scores deserved; 95% intervals lie apart. A constant has no correlation, and length no unit."""
    deserved = [float(example.score) for example, _ in scored]
    found = estimate_agreement(scored)
    length = measure_agreement(count_words(scored), deserved)["pearson"]
    constant = measure_agreement([sum(deserved) / len(deserved)] * len(deserved), deserved)["mae"]
    assert found["pearson"].n == len(scored)
    assert found["pearson"].ci_low > length.ci_high
    assert found["mae"].ci_high < constant.ci_low


def test_the_card_tells_how_it_agrees_and_that_it_beats_its_base() -> None:
    """The base does not ship: its row was written when the judge was trained, on the same answers."""
    card = (JUDGE / "README.md").read_text(encoding="utf-8")
    number = r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]"
    judged = re.search(rf"\| this judge \| (\d+) \| {number} \| {number} \|", card)
    base = re.search(rf"\| its base, [^|]*\| \d+ \| (?:{number}|[^|[]*) \| {number} \|", card)
    assert judged is not None
    assert base is not None
    assert int(judged[1]) == 30 * len(CONDITIONS)
    assert float(judged[7]) < float(base[5])  # mean absolute error: the judge's upper end, the base's lower
    if base[3] is not None:
        assert float(judged[3]) > float(base[3])


def test_training_gives_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    """The whole command in small: base, scored answers, recipe."""
    pytest.importorskip("peft", reason="peft is not installed")
    from benchmarks.toy_judge.train import make_judge
    from judge.model.weights.shards import find_shards

    few = ["max_steps=2", "batch=4", "held_out=0.1", "save_every=0", "threads=1", "max_new_tokens=8"]
    made = [make_judge(tmp_path / name, seed=seed, lessons=2, answers=40, overrides=few, log=lambda *_, **__: None)
            for name, seed in (("a", 0), ("b", 0), ("c", 1))]  # fmt: skip
    weights = [b"".join(file.read_bytes() for file in find_shards(folder)) for folder in made]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_it_says_why(tmp_path: Path) -> None:
    """The whole text for one good answer, not just its score."""
    pytest.importorskip("torch", reason="torch is not installed")
    from judge.engines import EngineOptions, Prompt
    from judge.engines.local import load_local_engine

    example = one("good", "PBL", seed="why")
    made = make_request(example, tmp_path)
    assert all(below(tmp_path, picture.name) == picture.path for picture in made.pictures)
    engine = load_local_engine(str(JUDGE), EngineOptions(device="cpu", max_new_tokens=160))
    ((_, done),) = engine.complete([Prompt(made, BENCHMARK.rubric(RUBRIC).render(made))])
    assert done.stopped
    assert done.text == completion_text(example)
