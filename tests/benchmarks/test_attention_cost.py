"""The benchmark of the attention probe: its guards, how it counts memory, and one short run."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture(scope="module")
def cost(script):
    return script("attention_cost")


def test_memory_is_what_is_held_at_once(cost):
    def call():
        one = torch.zeros(1000)  # 4,000 bytes
        two = one + 1  # 4,000 beside them
        view = two[:10]
        del one
        three = torch.cat([two, two])  # 8,000 beside two's 4,000
        return three, view

    assert cost.peak_bytes(call, "cpu") == 12_000


def test_a_probe_that_changes_the_logits_ends_the_run(cost):
    calls = {
        "plain": lambda: (torch.tensor([1.0]), None),
        "probe": lambda: (torch.tensor([1.0 + 2**-20]), None),
        "matrices": lambda: (torch.tensor([1.0]), None),
    }
    with pytest.raises(RuntimeError, match="the probe changed the logits"):
        cost.compare_sides(calls)


def test_a_short_run_prints_what_it_found(cost, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cost, "SIZES", {"tiny": {**cost.SIZES["tiny"], "side": 2}})
    out = tmp_path / "cost.json"
    threads = torch.get_num_threads()
    try:
        assert cost.main(["--sizes", "tiny", "--repeats", "1", "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    found = json.loads(out.read_text())
    (row,) = found["sizes"]
    # 30 + 2 × 2 + 150 + 6
    assert (row["tokens"], row["rows"]) == (190, 150)
    assert row["difference"] < 1e-5
    for side in ("probe", "matrices"):
        assert row["time_ratio"][side] == pytest.approx(row["seconds"][side] / row["seconds"]["plain"])
        assert row["memory_ratio"][side] == pytest.approx(row["bytes"][side] / row["bytes"]["plain"])
    assert row["bytes"]["plain"] < row["bytes"]["probe"] < row["bytes"]["matrices"]
    printed = capsys.readouterr().out
    assert "| tiny | 190 | 150 |" in printed
    assert json.loads(printed.splitlines()[-1]) == found
