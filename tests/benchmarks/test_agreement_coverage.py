"""The benchmark of the intervals' coverage, cut short."""

from __future__ import annotations

import importlib.util

import folders
import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmark():
    path = folders.ROOT / "benchmarks" / "agreement_coverage.py"
    spec = importlib.util.spec_from_file_location("agreement_coverage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_intervals_hold_the_true_value_about_as_often_as_they_say(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "POPULATION", 50_000)
    draw = benchmark._independent(np.random.default_rng(1))
    shares = benchmark.coverage(draw, 100, None, simulations=100, resamples=300)
    assert set(shares) == set(benchmark.NAMES)
    # 0.95 of 100 with a standard deviation of 0.022: four of those below
    assert all(0.86 < share <= 1 for share in shares.values()), shares


def test_ignoring_that_answers_share_a_question_claims_too_much(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "POPULATION", 50_000)
    draw = benchmark._clustered(np.random.default_rng(2))
    questions = [str(number // benchmark.MODELS) for number in range(200)]
    heeded, ignored = (
        benchmark.coverage(draw, 200, clusters, simulations=60, resamples=300)["bias"] for clusters in (questions, None)
    )
    assert heeded > ignored + 0.1
