"""What the engine does, counted on a CPU; what judging costs by the judge's shape; the simulation of the schedule."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")


def test_the_counters_hold(script):
    found = script("counting").count()
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


def test_costs_are_those_of_the_real_shape(script, tmp_path):
    roofline, workload = script("roofline"), script("workload")
    shape = roofline.Shape.of_layout(workload.write_description(tmp_path / "judge", "real"))
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


def test_the_real_shape_has_the_published_size(script, tmp_path):
    from judge.model.weights import shapes

    described = script("workload").write_description(tmp_path / "judge", "real")
    # InternViT-300M 304,012,288; projector 22,034,432; Phi-3-mini without head 3,722,443,776; head 98,365,440
    assert shapes.count_parameters(described) == 304_012_288 + 22_034_432 + 3_722_443_776 + 98_365_440
    # in bfloat16 8.294 GB; OpenGVLab/InternVL2-4B publishes shards of 4.96 and 3.34 GB
    assert round(2 * shapes.count_parameters(described) / 1e9, 1) == round(4.96 + 3.34, 1)
    assert described.tokens_per_tile == 256


def test_pictures_make_the_tiles_they_are_chosen_for(script):
    from judge.model import images

    tiles = {}
    for name, size in script("workload").SIZES.items():
        columns, rows = images.tile_grid(*size)
        tiles[name] = columns * rows + (columns * rows > 1)  # the thumbnail
    # 512² one tile; 4:3 a grid of 4 x 3; 1024² one of 3 x 3; 16:9 one of 4 x 2; 3:2 one of 3 x 2
    assert tiles == {"square": 1, "photo": 13, "drawing": 10, "wide": 9, "book": 7}


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
