"""Subsets: the same ids wherever they are chosen, each stratum its share."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.core.subset import WORD, choose_by_hash, choose_ranked, digest_of, rank_by_hash, share_out

PUBLISHED = {
    ("SA", "Literature"): 5005, ("PBL", "Education"): 2835, ("PBL", "Finance"): 2604, ("PBL", "Health"): 2000,
    ("PBL", "EECS"): 1792, ("PBL", "Art"): 1304, ("PBL", "Sports"): 895, ("PBL", "Philosophy"): 52, ("MSR", ""): 3616,
}  # fmt: skip


def questions():
    """As many as the published benchmark has in each category and field, with made-up ids."""
    numbered = ((stratum, n) for stratum, count in PUBLISHED.items() for n in range(count))
    return [(f"{stratum[0]}-{stratum[1]}-{n}", stratum) for stratum, n in numbered]


def test_shares_of_the_published_counts_by_hand():
    # 1000 · 5005 / 20103 = 248.97, 141.02, 129.53, 99.49, 89.14, 64.87, 44.52, 2.59, 179.87: floors add up to 995, and
    # the five largest remainders are .97, .87, .87, .59, .53
    assert share_out(PUBLISHED, 1000) == {
        ("SA", "Literature"): 249, ("PBL", "Education"): 141, ("PBL", "Finance"): 130, ("PBL", "Health"): 99,
        ("PBL", "EECS"): 89, ("PBL", "Art"): 65, ("PBL", "Sports"): 44, ("PBL", "Philosophy"): 3, ("MSR", ""): 180,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "size", "shares"),
    [
        ({"a": 1, "b": 99}, 10, {"a": 1, "b": 9}),  # a tenth of a question is one
        ({"a": 1, "b": 1, "c": 98}, 3, {"a": 1, "b": 1, "c": 1}),
        ({"a": 5, "b": 5}, 1, {"a": 1, "b": 0}),  # fewer than strata; a tie goes to the first name
        ({"a": 50, "b": 50}, 99, {"a": 50, "b": 49}),
        ({"a": 3, "b": 3, "c": 3}, 4, {"a": 2, "b": 1, "c": 1}),
    ],
)
def test_shares(counts, size, shares):
    named = {(name, ""): count for name, count in counts.items()}
    assert share_out(named, size) == {(name, ""): share for name, share in shares.items()}


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_shares_add_up(counts, data):
    total = sum(counts.values())
    if total == 1:
        return
    size = data.draw(st.integers(1, total - 1))
    named = {(name, ""): count for name, count in counts.items()}
    shares = share_out(named, size)
    assert sum(shares.values()) == size
    assert all(0 <= shares[name] <= count for name, count in named.items())
    assert all(shares.values()) or size < len(named)
    # within one question of the exact share, but for the strata that have at least one
    if min(size * count / total for count in named.values()) >= 1:
        assert all(abs(shares[name] - size * count / total) < 1 for name, count in named.items())


def test_those_come_first_whose_hash_is_smallest():
    some = [(f"q{n}", ("T", "")) for n in range(50)]
    ranked = sorted(some, key=lambda one: hashlib.sha256(f"{WORD}:{one[0]}".encode()).hexdigest())
    assert choose_by_hash(some, 7) == sorted(some.index(one) for one in ranked[:7])


def test_neither_order_nor_hash_seed_nor_size_of_the_machine_matters():
    all_questions = questions()
    chosen = {all_questions[n][0] for n in choose_by_hash(all_questions, 1000)}
    shuffled = random.Random(3).sample(all_questions, len(all_questions))
    assert {shuffled[n][0] for n in choose_by_hash(shuffled, 1000)} == chosen
    assert Counter(all_questions[n][1] for n in choose_by_hash(all_questions, 1000)) == share_out(PUBLISHED, 1000)
    # recorded once: another digest is another subset, whose scores are no longer comparable
    assert digest_of(sorted(chosen)) == digest_of(list(chosen)) == "f13e742c"


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_another_process_chooses_the_same(seed):
    program = (
        "import json; from judge.core.subset import choose_by_hash\n"
        "strata = {('S', str(n % 7)) for n in range(400)}\n"  # a set: its order is the hash seed's
        "rows = [(f'q{n}', ('S', str(n % 7))) for n in range(400)]\n"
        "print(json.dumps([rows[n][0] for n in choose_by_hash(rows, 40)]))"
    )
    rows = [(f"q{n}", ("S", str(n % 7))) for n in range(400)]
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == [rows[n][0] for n in choose_by_hash(rows, 40)]


def test_all_of_them_none_of_them_and_odd_ids():
    rows = [("\ud800", ("T", "")), ("é", ("T", "")), ("", ("T", ""))]
    assert choose_by_hash(rows, 3) == choose_by_hash(rows, 30) == [0, 1, 2]
    assert len(choose_by_hash(rows, 2)) == 2
    with pytest.raises(ValueError, match="a subset of 0 questions is none"):
        choose_by_hash(rows, 0)
    assert choose_ranked([stratum for _, stratum in rows], rank_by_hash([name for name, _ in rows]), 2) == (
        choose_by_hash(rows, 2)
    )
    assert choose_by_hash(questions(), 1000) != choose_by_hash(questions(), 1000, "another word")
