"""The bundled judge in float32 gives one verdict to one input, whatever it is judged together with."""

from __future__ import annotations

import random

import pytest

from judge.engines import EngineOptions, Prompt
from judge.engines import local as engines
from judge.scoring.pipeline import default_rubric
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import judge_dir


@pytest.fixture(scope="module")
def loaded():
    return engines.load_local_engine(str(judge_dir()), EngineOptions(device="cpu", dtype="float32"))


@pytest.fixture(scope="module")
def prompts():
    """The demo's items answered by their references: none to four pictures."""
    rubric = BENCHMARK.rubric(default_rubric(str(judge_dir())))
    return [Prompt(request, rubric.render(request)) for request in BENCHMARK.references(None, 5)]


def completions(loaded, prompts, order, batch_size):
    options = EngineOptions(batch_size=batch_size)
    engine = engines.LocalEngine(loaded.model, loaded.tokenizer, loaded.layout, {}, options)
    found = {order[number]: done for number, done in engine.complete([prompts[i] for i in order])}
    return [found[i] for i in range(len(prompts))]


@pytest.fixture(scope="module")
def alone(loaded, prompts):
    return completions(loaded, prompts, list(range(len(prompts))), 1)


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 4), (3, 1), (8, 4), (None, 2)])
def test_the_same_verdict_for_any_batch_size_order_and_number_of_threads(
    loaded, prompts, alone, batch_size, threads, monkeypatch
):
    monkeypatch.setattr("judge.engines.scheduler.THREADS", threads)
    order = random.Random(batch_size).sample(range(len(prompts)), k=len(prompts))
    found = completions(loaded, prompts, order, batch_size)
    assert [(c.text, c.stopped, c.unscored) for c in found] == [(c.text, c.stopped, c.unscored) for c in alone]
    # a batch may change the last of the four digits that are kept
    for ours, theirs in zip(found, alone, strict=True):
        assert ours.score_probs == pytest.approx(theirs.score_probs, abs=1.01e-4)


def test_the_judge_scores_what_is_compared(alone):
    assert all("### Score" in completion.text for completion in alone)
    assert len({completion.text for completion in alone}) > len(alone) / 2
