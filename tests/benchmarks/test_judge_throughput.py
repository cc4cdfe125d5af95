"""The benchmark of judging: every stage in small, its counts, its arithmetic, the simulation. No time is asserted."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def throughput(script):
    return script("judge_throughput")


def test_the_counters_hold(throughput):
    found = throughput.counting.count()
    assert found["prompts"] == 252
    assert found["differ"] == {"another order": 0, "a smaller budget": 0, "one at a time": 0}
    assert found["padding"] <= 1.02
    assert found["slots_used"] >= 0.95
    assert found["moved"] == 0
    # what was read and what was taken from a shared prefix are all tokens of all prompts, none twice
    assert found["read_and_reused"] == found["tokens_of_prompts"]
    assert found["prefix_reused"] > found["tokens_of_prompts"] / 3
    assert found["host_waits_a_pass"] <= 1
    assert found["counters"]["sequences"] == 252
    assert set(found["holds"].values()) == {True}


def test_every_stage_runs_in_small(throughput, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(throughput, "RUNS", 1)
    out = tmp_path / "out.json"
    assert throughput.main(["--device", "cpu", "--tiny", "--copies", "1", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["failed"] == {}
    assert list(found["stages"]) == list(throughput.STAGES)
    work = found["stages"]["model"]["samples"]
    assert len(work) == 16
    assert min(sample["tiles"] for sample in work) == 0
    assert max(sample["tiles"] for sample in work) > 36
    limit = 256
    assert any(sample["tokens"] <= limit < sample["tokens"] + sample["new"] for sample in work)  # crosses
    assert any(sample["tokens"] > limit for sample in work)
    for name in ("reference", "static", "batched", "engine"):
        stage = found["stages"][name]
        assert stage["samples"] == 16
        assert stage["samples_per_s"] == pytest.approx(16 / stage["seconds"])
        assert 0 < stage["of_serial_roofline"] < 1
    engine = found["stages"]["engine"]
    # the first token comes with the prompt; every other one from a step
    assert engine["counters"]["decode_sequences"] == sum(sample["new"] - 1 for sample in work)
    assert engine["counters"]["prefix_reused"] == 0  # pixels differ, and prefixes are off
    assert len(engine["variants"]) == 4
    gate = found["stages"]["gate"]
    assert max(gate["engine_alone"], gate["engine_together"]) <= gate["allowed"] < gate["largest_logit"] / 1000
    printed = capsys.readouterr().out
    assert "| TINY: says that it runs, and nothing else |" in printed
    assert json.loads(printed.splitlines()[-1]) == found


def test_a_stage_that_fails_says_why_and_the_others_go_on(throughput, tmp_path, monkeypatch):
    def fails(bench):
        raise RuntimeError("no such kernel")

    stages = {"environment": lambda bench: {}, "static": fails, "ceilings": lambda bench: {"seen": True}}
    monkeypatch.setattr(throughput, "STAGES", stages)
    out = tmp_path / "out.json"
    assert throughput.main(["--device", "cpu", "--tiny", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["failed"] == {"static": "RuntimeError: no such kernel"}
    assert found["stages"]["ceilings"] == {"seen": True}
    assert "failed: RuntimeError: no such kernel" in throughput.table(found)


def test_a_wrong_logit_ends_the_run(throughput, tmp_path, monkeypatch):
    read = throughput.plain_loops.packed.prefill
    monkeypatch.setattr(throughput.plain_loops.packed, "prefill", lambda *given: read(*given) * 1.01)
    stages = {name: throughput.STAGES[name] for name in ("model", "gate")}
    monkeypatch.setattr(throughput, "STAGES", stages)
    with pytest.raises(RuntimeError, match="logits are not the reference's"):
        throughput.main(["--device", "cpu", "--tiny"])


def test_the_real_shape_is_not_started_without_a_gpu(throughput, capsys):
    assert throughput.main(["--device", "cpu"]) == 2
    assert "--tiny" in capsys.readouterr().err


def test_costs_are_those_of_the_real_shape(script, tmp_path):
    roofline, real_shape = script("roofline"), script("real_shape")
    shape = roofline.Shape.of_layout(real_shape.write_description(tmp_path / "judge", real_shape.SCALES["real"]))
    # 32 layers x (3072·9216 + 3072² + 3072·16384 + 8192·3072) = 3.624e9 weights, two operations each
    assert shape.token_flops == 2 * 32 * (3072 * 9216 + 3072**2 + 3072 * 16384 + 8192 * 3072)
    assert shape.square_flops == 32 * 4 * 3072 / 2 == 196_608
    assert shape.token_bytes == 2 * 32 * 3072 * 2 == 393_216
    assert shape.weight_bytes == pytest.approx(7.44e9, rel=1e-3)
    assert shape.tile_flops == pytest.approx(0.735e12, rel=0.01)
    # three 1024² pictures, 200 tokens: 28.3 + 79.8 + 18.6 ms of reading, 158.9 + 9.6 of writing at 36 side by side
    work = roofline.Work(tiles=30, tokens=8_586, new=200)
    seconds = shape.seconds(work, roofline.Ceilings(780e12, 4.3e12), together=36)
    assert 1e3 * seconds == pytest.approx(28.3 + 79.8 + 18.6 + 158.9 + 9.6, rel=0.01)


def test_the_simulation_judges_everyone_by_the_real_schedule(script, capsys, tmp_path):
    simulate = script("simulate_schedule")
    out = tmp_path / "out.json"
    assert simulate.main(["--samples", "40", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["simulated"] is True
    alone, *others = found["policies"].values()
    assert alone["together"] == 1
    # a step is 20 ms of the host then, and every sample takes its own
    assert alone["ms_a_sample"] > 20 * (found["mean_new"] - 1)
    for row in (alone, *others):
        assert row["ms_a_sample"] > row["roofline_ms_a_sample"]
        assert row["of_roofline"] == pytest.approx(row["roofline_ms_a_sample"] / row["ms_a_sample"])
    assert "SIMULATED" in capsys.readouterr().out


def test_simulated_time_is_operations_and_bytes(script, tmp_path):
    simulate, roofline = script("simulate_schedule"), script("roofline")
    # made-up costs: 1 s a tile, 1 s a token read, 1 s a cached token and 10 s of weights at each step
    shape = roofline.Shape(1.0, 1.0, 0.0, 0.0, 1, 10)
    simulate.H200 = roofline.Ceilings(1.0, 1.0)
    reached = simulate.Reached(1.0, 1.0, 1.0, 1.0, host=0.0)
    found = simulate.simulate([roofline.Work(2, 5, 3), roofline.Work(0, 4, 1)], shape, 10_000, reached)
    # read 2 + 5 and 4; the second is finished by that; two steps of the first: 10 + 5 and 10 + 6
    assert found["ms_a_sample"] == pytest.approx(1e3 * (2 + 5 + 4 + 15 + 16) / 2)
    assert found["together"] == 1
