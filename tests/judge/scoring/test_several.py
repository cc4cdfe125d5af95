"""The tiny judge on several systems at once: the verdicts of single runs, and savings that are those one can count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judge import EngineOptions, ScoreOptions, load_judge, score, score_many
from judge.core.request import Picture
from judge.model import images
from judge.model.counters import Counters
from judge.scoring.several import Saved
from mmie_tasks.demo import demo_dir, judge_dir

pytest.importorskip("torch", reason="the hf extra is not installed")
NAMES = ("careful", "hasty", "wordy")


@pytest.fixture(scope="module")
def judge():
    import torch

    torch.set_num_threads(1)
    # room for all 18 answers at once, so that none comes when those to its question are done
    return load_judge(str(judge_dir()), EngineOptions(device="cpu", dtype="float32", cache_tokens=40_000))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """The references, one word or their first part, and the references with those of the next question."""
    folder = tmp_path_factory.mktemp("answers")
    records = json.loads((demo_dir() / "data.json").read_text(encoding="utf-8"))
    records = [records[n] for n in (0, 1, 5, 6, 10, 11)]  # two in each category, so that each run shares its rubrics
    parts = [record["conversations"][1]["content"] for record in records]
    said = {
        "careful": parts,
        "hasty": [[{"text": "No."}] if n % 2 else own[:1] for n, own in enumerate(parts)],
        "wordy": [[*own, *parts[n - 1]] for n, own in enumerate(parts)],
    }
    for name, answers in said.items():
        rows = ({"id": record["id"], "response": own} for record, own in zip(records, answers, strict=True))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in NAMES}


OPTIONS = ScoreOptions(image_root=demo_dir(), partial=True)


def decided(run):
    return [(v.id, v.by, v.score, v.unscored, v.feedback, v.key, v.failure, v.details) for v in run.verdicts]


def test_three_systems_get_what_they_get_alone(judge, files, tmp_path, monkeypatch):
    counters, asked, complete = Counters(), [], judge.engine.complete
    judge.engine.load().counters = counters
    monkeypatch.setattr(judge.engine, "complete", lambda prompts: asked.extend(prompts) or complete(prompts))
    together = score_many(files, "mmie", tmp_path / "out", judge=judge, data=demo_dir(), options=OPTIONS)
    saved = together.saved

    judge.engine.load().counters = Counters()
    for name, file in files.items():
        alone = score(file, "mmie", tmp_path / "alone" / name, judge=judge, data=demo_dir(), options=OPTIONS)
        assert decided(together.runs[name]) == decided(alone)
        assert together.runs[name].signature == alone.signature
        for ours, theirs in zip(together.runs[name].verdicts, alone.verdicts, strict=True):
            assert ours.score_probs == pytest.approx(theirs.score_probs, abs=1.01e-4)
    apart = judge.engine.counters
    assert len({v.score for run in together.runs.values() for v in run.verdicts}) > 2

    # every prompt in both, and what the three runs of their own computed that the one did not: the questions, and the
    # rubrics, which those computed once each
    assert saved.tokens == apart.prefill_tokens - apart.prefix_computed + apart.prefix_reused
    computed = apart.prefill_tokens - apart.prefix_computed
    assert saved.tokens_saved == computed - (counters.prefill_tokens - counters.prefix_computed) > 0
    assert saved.tiles == apart.tiles
    assert saved.tiles_saved == apart.tiles - counters.tiles
    # each question's pictures are seen once for each rope set that answers to it need, and not three times
    engine, expected = judge.engine.load(), 0
    for name in {prompt.request.id for prompt in asked[:18]}:
        mine = [prompt for prompt in asked[:18] if prompt.request.id == name]
        beyond = engine.model.model.language_model.rotary_emb.beyond
        sets = {bool(beyond(len(engine._prepare(0, prompt, {}).input.ids))) for prompt in mine}
        pictures = [images.decode_image(part) for part in mine[0].request.question if isinstance(part, Picture)]
        tiles = sum(len(images.cut_tiles(picture, engine.layout.tile_size)) for picture in pictures)
        expected += tiles * (len(mine) - len(sets))
    assert saved.tiles_saved == expected > 0


def test_a_second_call_judges_nothing(judge, files, tmp_path):
    two = {name: files[name] for name in NAMES[:2]}
    first = score_many(two, "mmie", tmp_path, judge=judge, data=demo_dir(), options=OPTIONS)
    again = score_many(two, "mmie", tmp_path, judge=judge, data=demo_dir(), options=OPTIONS)
    assert {name: decided(run) for name, run in again.runs.items()} == {n: decided(r) for n, r in first.runs.items()}
    assert again.saved == Saved(0, 0, 0, 0)
    # a third joins the two
    three = score_many(files, "mmie", tmp_path, judge=judge, data=demo_dir(), options=OPTIONS)
    assert list(three.runs) == list(NAMES)
    assert three.saved.tokens_saved == 0  # alone with its questions


def test_saved_in_words():
    # 100 + 40 tokens went through the model, 15 of them a rubric and 25 a second time; 60 were copied, 50 thanks to a
    # question: prompts of 140 - 15 - 25 + 60 = 160
    before = Counters(prefill_tokens=100, prefix_reused=3, tiles=7)
    now = Counters(
        prefill_tokens=240,
        prefix_computed=15,
        recomputed=25,
        prefix_reused=63,
        question_reused=50,
        tiles=16,
        tiles_reused=3,
    )
    saved = Saved.between(before, now)
    assert saved == Saved(tokens=160, tokens_saved=50, tiles=12, tiles_saved=3)
    assert str(saved) == "50 of 160 prompt tokens (31.2%) and 3 of 12 picture tiles (25.0%)"
    assert str(Saved(0, 0, 0, 0)) == "0 of 0 prompt tokens and 0 of 0 picture tiles"
