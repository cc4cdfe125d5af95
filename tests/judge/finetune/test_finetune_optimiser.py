"""Muon against torch's own, and two optimisers as one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from judge.finetune.optimiser import Muon, MuonAndAdamW, orthogonal


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_singular_values_end_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.linspace(1, 9, shape[1]))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has Muon since 2.9")
def test_steps_are_torchs_up_to_its_bfloat16() -> None:
    torch.manual_seed(0)
    start = torch.randn(24, 60)
    mine, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = Muon([mine], lr=0.05, weight_decay=0.1)
    oracle = torch.optim.Muon([theirs], lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(6):
        gradient = torch.randn(24, 60)
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        ours.step()
        oracle.step()
    moved = (theirs - start).norm()
    assert (mine - theirs).norm() < 0.01 * moved  # eight bits of mantissa: 2^-8 a product


def both(weights: list[Any]) -> MuonAndAdamW:
    return MuonAndAdamW([Muon(weights[:1], lr=0.1, weight_decay=0.0), torch.optim.AdamW(weights[1:], lr=0.01)])


def steps(weights: list[Any], optimiser: MuonAndAdamW, schedule: Any, seeds: range) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimiser.step()
        schedule.step()


def test_two_optimisers_resume_as_one() -> None:
    """Ten steps at once, and five, saved, loaded into new objects, and five more: the same bits."""
    torch.manual_seed(1)
    start = [torch.randn(6, 9), torch.randn(7)]

    def begin() -> tuple[list[Any], MuonAndAdamW, Any]:
        weights = [torch.nn.Parameter(value.clone()) for value in start]
        optimiser = both(weights)
        return weights, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + step))

    whole = begin()
    steps(*whole, range(10))
    first = begin()
    steps(*first, range(5))
    saved = copy.deepcopy((first[1].state_dict(), first[2].state_dict(), [weight.detach() for weight in first[0]]))
    second = begin()
    second[1].load_state_dict(saved[0])
    second[2].load_state_dict(saved[1])
    for weight, value in zip(second[0], saved[2], strict=True):
        weight.data.copy_(value)
    steps(*second, range(5, 10))
    assert all(torch.equal(a, b) for a, b in zip(whole[0], second[0], strict=True))
    rates = [group["lr"] for group in second[1].param_groups]
    assert rates == pytest.approx([0.1 / 11, 0.01 / 11])  # a schedule reaches both parts
    assert [group["lr"] for part in second[1].parts for group in part.param_groups] == rates
