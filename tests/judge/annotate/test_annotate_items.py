"""Which answers are shown, and in which order."""

from collections import Counter

import pytest
from annotating import MODELS, both, responses

from judge.annotate.items import Item, collect_items, draw_items, order_items
from judge.core.benchmark import find
from judge.core.request import Request
from judge.errors import UserError
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir


def some(n=60, models=("a", "b"), categories=("SA", "PBL", "MSR")):
    return [
        Item(model, Request(f"q{k}", categories[k % len(categories)], (), ())) for model in models for k in range(n)
    ]


def keys(items):
    return [item.key for item in items]


def test_every_annotator_has_an_order_of_their_own_and_keeps_it():
    items = some()
    first, again, second = (keys(order_items(items[::-1], who, 0)) for who in ("a1", "a1", "a2"))
    assert first == again != second
    assert keys(order_items(items, "a1", 0)) == first  # the order of the files does not matter
    assert keys(order_items(items, "a1", 1)) != first
    assert sorted(first) == sorted(second) == sorted(keys(items))


def test_the_order_says_nothing_about_the_model():
    """Of 60 + 60 answers the first half has 30 of a model, give or take; 5 standard deviations are 5 · √(120) / 4."""
    models = [item.model for item in order_items(some(), "a1", 0)]
    assert abs(models[:60].count("a") - 30) < 5 * 120**0.5 / 4


def test_answers_that_come_later_leave_the_others_in_order():
    few, all_ = some(20), some(60)
    kept = set(keys(few))
    assert [key for key in keys(order_items(all_, "a1", 0)) if key in kept] == keys(order_items(few, "a1", 0))


def test_drawn_evenly():
    chosen = draw_items(some(60), 20, 0)
    counts = Counter((item.model, item.request.category) for item in chosen)
    assert len(counts) == 6  # 20 = 6 · 3 + 2
    assert sorted(counts.values()) == [3, 3, 3, 3, 4, 4]
    assert len(set(keys(chosen))) == 20
    assert keys(draw_items(some(60)[::-1], 20, 0)) == keys(chosen)
    assert set(keys(draw_items(some(60), 20, 1))) != set(keys(chosen))
    assert set(keys(draw_items(some(60), 40, 0))) > set(keys(chosen))  # more of the same
    assert len(draw_items(some(2), 100, 0)) == 4


def test_collect(tmp_path):
    items, left_out = collect_items(BENCHMARK, both(tmp_path), data=demo_dir())
    assert Counter(item.model for item in items) == dict.fromkeys(MODELS, 15)
    assert left_out == []


def test_what_the_judge_would_not_be_asked_about_is_left_out(tmp_path):
    rows = [
        {"id": "PBL-9001", "response": "Step 2: pour."},
        {"id": "PBL-9002", "response": ""},
        {"id": "PBL-9003", "response": [{"text": "x", "image": "pics/none.png"}]},
        {"id": "PBL-9004", "response": [{"text": "x", "image": "../../../etc/passwd"}]},
        {"id": "PBL-9005", "response": [{"text": "x", "image": "/etc/passwd"}]},
    ]
    items, left_out = collect_items(BENCHMARK, [("m", responses(tmp_path / "m", rows))], data=demo_dir())
    assert keys(items) == [("PBL-9001", "m")]
    assert [(model, verdict.reason) for model, verdict in left_out] == [
        ("m", "empty_answer"), ("m", "image_missing"), ("m", "image_refused"), ("m", "image_refused")
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"no answer can be scored \(empty_answer\)"):
        collect_items(BENCHMARK, [("m", responses(tmp_path / "n", rows[1:2]))], data=demo_dir())


def test_rules_need_no_annotator(tmp_path):
    with pytest.raises(UserError, match="decided by rules"):
        collect_items(find("mmvu"), [("m", tmp_path / "responses.jsonl")])
