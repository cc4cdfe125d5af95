"""When a judge counts as better, and what its card makes of names that others chose."""

from __future__ import annotations

import dataclasses
import json
import random
import types

import pytest
import yaml

from judge.core.request import Request, Text
from judge.core.scale import JUDGE_SCALE
from judge.core.signature import Signature
from judge.finetune.dataset import Judged
from judge.io.human_scores import HumanScore
from judge.release import card, held_out
from judge.release.held_out import Side

SIGNATURE = Signature({"benchmark": "toy", "judge": "a`b|c"})


def items(n, models=("m1", "m2")):
    """n questions, one answer of each model, people's scores 0 to 6 in turn."""
    made = []
    for number in range(n):
        for shift, model in enumerate(models):
            name, score = f"q{number}", (number + 3 * shift) % 7
            request = Request(name, "SA" if number % 2 else "PBL", (Text("?"),), (Text("!"),))
            made.append(Judged((name, model), request, (HumanScore(name, model, "a1", score),)))
    return made


def side(scores, reasons=None):
    return Side(tuple(scores), reasons or {}, SIGNATURE)


HELD = items(40)
HUMAN = [int(item.score) for item in HELD]
RANDOM = random.Random(0)
NOISE = [RANDOM.randrange(7) for _ in HELD]
NEAR = [min(6, max(0, score + RANDOM.choice((-1, 0, 1)))) for score in HUMAN]


@pytest.mark.parametrize("metric", ["pearson", "spearman", "kendall_b", "kappa_quadratic", "mae", "mse"])
def test_better_and_worse_by_every_metric(metric):
    forward = held_out.compare_with_base(side(NEAR), side(NOISE), HELD, metric)
    backward = held_out.compare_with_base(side(NOISE), side(NEAR), HELD, metric)
    assert forward.better
    assert not backward.better
    assert forward.gain.value == pytest.approx(-backward.gain.value)
    assert forward.gain.ci_low <= forward.gain.value <= forward.gain.ci_high
    assert held_out.conclusion(forward).startswith(f"better than its base in {metric}: +")
    assert held_out.conclusion(backward).startswith(f"not shown to be better than its base in {metric}: -")


def test_a_gain_that_may_be_chance_is_not_better():
    other = list(NEAR)
    other[0] += 1 if other[0] < HUMAN[0] else -1 if other[0] > HUMAN[0] else 0
    other[3], other[4] = HUMAN[3], HUMAN[4]
    comparison = held_out.compare_with_base(side(other), side(NEAR), HELD, "mae")
    assert comparison.gain.value > 0
    assert comparison.gain.ci_low <= 0
    assert not comparison.better


def test_the_same_scores_are_not_better():
    comparison = held_out.compare_with_base(side(NEAR), side(NEAR), HELD, "pearson")
    assert (comparison.gain.value, comparison.gain.ci_low) == (0.0, None)
    assert not comparison.better
    assert "no interval can be given" in held_out.conclusion(comparison)


@pytest.mark.parametrize("base", [[4] * len(HELD), [None] * len(HELD)])
def test_a_base_that_says_nothing_counts_as_chance(base):
    comparison = held_out.compare_with_base(side(NEAR), side(base), HELD, "pearson")
    assert comparison.base["pearson"].value is None
    assert comparison.gain == comparison.judge["pearson"]
    assert comparison.better
    assert "better than its base in pearson, undefined for the base and counted as 0: +" in held_out.conclusion(
        comparison
    )
    # and noise is not better than that
    assert not held_out.compare_with_base(side(NOISE), side(base), HELD, "pearson").better


@pytest.mark.parametrize("metric", ["pearson", "mse"])
@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([None] * 80, "it leaves 80 of 80 held-out answers unscored"),
        ([None] * 5 + HUMAN[5:], "it leaves 5 of 80 held-out answers unscored"),
        ([3] * 80, "it says the same of all 80 held-out answers"),
        ([3] * 79 + [None], "it says the same of all 80 held-out answers"),
    ],
)
def test_a_useless_judge_is_never_better(metric, scores, why):
    """Its error may be smaller than that of a base that guesses."""
    comparison = held_out.compare_with_base(side(scores), side(NOISE), HELD, metric)
    if metric == "mse":
        assert comparison.gain.ci_low > 0
    assert not comparison.better
    assert held_out.conclusion(comparison) == f"not better than its base: {why}"


def test_four_of_eighty_unscored_are_allowed():
    assert held_out.compare_with_base(side([None] * 4 + NEAR[4:]), side(NOISE), HELD, "pearson").better


def test_passing_over_the_hard_ones_gains_nothing():
    """Scored answers alone would make this judge perfect; its silence on half of them counts."""
    picky = [score if number % 2 else None for number, score in enumerate(HUMAN)]
    filled = side(picky).filled
    said = [score for score in picky if score is not None]
    assert filled[0] == pytest.approx(sum(said) / len(said))
    comparison = held_out.compare_with_base(side(picky), side(HUMAN), HELD, "pearson")
    assert comparison.judge["pearson"].value < 0.9
    assert comparison.base["pearson"].value == pytest.approx(1)
    assert not comparison.better
    assert held_out.table_lines(comparison)[-1].split() == ["unscored", "40", "0"]


def test_as_json_it_has_no_nan():

    comparison = held_out.compare_with_base(
        side([4] * len(HELD)), side([None] * len(HELD), {"no_score_line": 80}), HELD, "pearson"
    )
    text = json.dumps(comparison.to_json(), allow_nan=False)
    assert json.loads(text)["unscored"]["base"] == {"n": 80, "reasons": {"no_score_line": 80}}


# ---- the card

HOSTILE = "m|x\n# <script>`{licences}`![a](b)"


@pytest.fixture
def trained():
    held = [dataclasses.replace(item, key=(item.key[0], HOSTILE)) for item in HELD]
    fields = {
        "held_out": held,
        "base_name": "ORG/NAME@0123456789abcdef",
        "adapter": "adapter",
        "about": {
            "method": "lora",
            "steps": 3,
            "seed": 0,
            "rubric": HOSTILE,
            **dict.fromkeys(("recipe_sha256", "base_weights", "rubric_sha256", "data_sha256"), "0" * 64),
        },
        "recipe": types.SimpleNamespace(
            rank=8, objective="feedback", distance_weight=0.0, batch=1, accumulation=1, freeze_vision=True,
            targets=("o_proj",), patience=2, leave_model_out="",
        ),
        "material": types.SimpleNamespace(train=HELD[:4], validation=(), held_out=held),
        "benchmark": types.SimpleNamespace(name="toy", title="TOY", repo="o/toy", license="MIT", scale=JUDGE_SCALE),
        "questions": types.SimpleNamespace(repo="o/toy", revision="local:`x`"),
    }  # fmt: skip
    return types.SimpleNamespace(**fields)


def test_names_of_others_stay_text(trained):
    comparison = held_out.compare_with_base(side(NEAR), side(NOISE), trained.held_out, "pearson")
    declared = card.Declared(HOSTILE, "some licence", HOSTILE, None)
    text = card.render_card(trained, comparison, None, declared, "original")
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "other"
    assert front["base_model"] == "ORG/NAME"
    assert "<script>" not in text
    assert "# \\<script" not in [line[:10] for line in text.splitlines()]
    assert "a\\|b" not in text
    # the template is filled once: braces in what fills it stay
    assert "\\{licences\\}" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        f"## {name}" for name in ("Agreement with people", "Training", "Data", "Intended use and limits", "Licence")
    ]
    rows = [line for line in text.splitlines() if line.startswith("| human scores")]
    assert rows[0].count("|") - rows[0].count("\\|") == 3


def test_what_weakens_the_numbers_is_said(trained):
    comparison = held_out.compare_with_base(
        side([score if n else None for n, score in enumerate(NOISE)], {"truncated": 1}),
        side(NOISE),
        trained.held_out,
        "mae",
    )
    said = " ".join(card.findings(trained, comparison))
    assert "Not shown to be better than its base in mae: " in said
    assert "include zero: agreement by chance is not ruled out" in said
    assert "40 questions are few" in said
    assert "chosen on these very answers" in said
    assert "This judge left 1 of 80 answers unscored (1 truncated)." in said
    assert "2 of the questions also occur in training" in said
    trained.material.validation = HELD[4:6]
    assert "chosen on these very answers" not in " ".join(card.findings(trained, comparison))


@pytest.mark.parametrize(
    ("licence", "slug"), [("MIT", "mit"), ("CC-BY-4.0", "cc-by-4.0"), ("our own", "other"), ("a: b", "other")]
)
def test_the_metadata_names_a_licence_or_other(licence, slug):
    assert card._slug(licence) == slug
