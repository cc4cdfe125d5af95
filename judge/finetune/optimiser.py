"""Muon for the matrices of the language layers, AdamW for all other weights, as one optimiser.

Muon (Jordan et al., kellerjordan.github.io/posts/muon, 2024) replaces the momentum of a matrix by the nearest matrix
with orthonormal rows or columns, up to what five steps of a Newton-Schulz iteration reach; embeddings, heads, norms and
biases stay with AdamW, as its authors advise. Updates are scaled to the size of AdamW's, 0.2 · sqrt(longer side)
(Liu et al., arXiv 2502.16982), so that one schedule serves both.

This is `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")`, but for the type of the iteration: torch always takes
bfloat16, which processors without it multiply more than ten times slower than float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from judge.finetune.recipe import Recipe

MATRICES = "language_model.layers"
COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the iteration: they blow up small singular values as fast as can be (Jordan et al.)."""
STEPS = 5
MOMENTUM = 0.95
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """With Nesterov momentum and decoupled weight decay. All parameters are matrices."""

    def __init__(self, params: Iterable[Any], *, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient; the closure's loss, if there is one."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonal(weight.grad.lerp(momentum, MOMENTUM))
                rate = group["lr"] * 0.2 * math.sqrt(max(weight.shape))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.to(weight.dtype), alpha=-rate)
        return loss


def orthogonal(matrix: Any) -> Any:
    """The matrix with all its singular values near 1 (some 0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    x = matrix.to(torch.float32 if matrix.device.type == "cpu" else torch.bfloat16)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class MuonAndAdamW(torch.optim.Optimizer):
    """Two optimisers that a schedule, a checkpoint and an accelerator see as one.

    Its groups are the parts' own, so a rate that is set here holds there.
    """

    def __init__(self, parts: Iterable[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._link()

    def _link(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update by each part; the closure's loss, if there is one."""
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """{"parts": the state of each optimiser, in order}."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a `state_dict` over. Raises ValueError for one of another number of parts."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._link()


def muon_and_adamw(model: Any, recipe: Recipe) -> MuonAndAdamW:
    """The recipe's optimiser for the trained weights of a model."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [weight for name, weight in trained if MATRICES in name and weight.ndim == 2]
    others = [weight for name, weight in trained if not (MATRICES in name and weight.ndim == 2)]
    decay = recipe.weight_decay
    return MuonAndAdamW(
        [
            Muon(matrices, lr=recipe.muon_lr, weight_decay=decay),
            torch.optim.AdamW(others, lr=recipe.lr, betas=recipe.betas, weight_decay=decay),
        ]
    )
