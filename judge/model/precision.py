"""Float32 that is float32, whatever another model of this process has set.

with exact_float32():
    logits = model(…)          # no TF32: on CUDA it keeps 10 of float32's 23 bits of a product's factors
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Within the block products of float32 are computed in float32; afterwards torch's switches are as they were."""
    import torch

    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    name, exact = "allow_tf32", False
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch 2.9: the two interfaces must not be mixed
        backends[1], name, exact = torch.backends.cudnn.conv, "fp32_precision", "ieee"  # type: ignore[assignment]
    before = [getattr(backend, name) for backend in backends]
    try:
        for backend in backends:
            setattr(backend, name, exact)
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            setattr(backend, name, value)
