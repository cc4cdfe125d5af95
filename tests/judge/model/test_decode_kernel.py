"""The Triton kernel by its interpreter against the plain path, and the checks before the first use of a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from judge.model import attention


def test_the_kernel_by_triton_s_interpreter(golden_folder):
    pytest.importorskip("triton", reason="triton is not installed")
    script = Path(__file__).with_name("interpreted_kernel.py")
    done = subprocess.run(
        [sys.executable, str(script), str(golden_folder / "tiny-internvl2")],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ok the_kernel_is_the_plain_path",
        "ok company_changes_nothing",
        "ok the_check_before_the_first_use_passes",
        "ok the_judge_writes_the_same",
    ]


def plain(q, keys, values, starts, lengths, longest):
    return attention.decode_attention(q, keys, values, starts.tolist(), lengths.tolist())


def check(monkeypatch, kernel):
    module = SimpleNamespace(SPLIT=32, BLOCK=16, launch_decode_attention=kernel)
    monkeypatch.setitem(sys.modules, "judge.model.decode_kernel", module)
    return attention._checked.__wrapped__(torch.device("cpu"), torch.float32, 4, 2, 16)


def test_one_that_is_right_is_used(monkeypatch):
    assert check(monkeypatch, plain) is plain


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda *args: plain(*args) + 1e-3, "ArithmeticError: off by 1.0e-03"),
        (lambda *args: plain(*args) * float("nan"), "ArithmeticError: off by nan"),
        (lambda *args: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_one_that_is_off_or_fails_is_not(monkeypatch, broken, message):
    with pytest.warns(RuntimeWarning, match=f"not used on cpu: {message}"):
        assert check(monkeypatch, broken) is None


def test_without_triton_the_plain_path_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "judge.model.decode_kernel", None)
    with pytest.warns(RuntimeWarning, match="not used on cpu: ModuleNotFoundError"):
        assert attention._checked.__wrapped__(torch.device("cpu"), torch.float32, 4, 2, 16) is None


def test_not_on_a_cpu_and_not_with_a_window(second):
    assert attention.find_decode_kernel(second.model) is None

    class Cuda:
        device, dtype = torch.device("cuda"), torch.float32

    config = SimpleNamespace(text_config=SimpleNamespace(sliding_window=20))
    assert attention.find_decode_kernel(SimpleNamespace(config=config, lm_head=SimpleNamespace(weight=Cuda))) is None


def test_attention_behind_others_is_checked_too(monkeypatch):
    from torch.nn.attention import bias

    check = attention._counts_from_the_end.__wrapped__
    assert check(torch.device("cpu"), torch.float32, 2, 16) is True
    # counted from the first key instead
    monkeypatch.setattr(bias, "causal_lower_right", bias.causal_upper_left)
    with pytest.warns(RuntimeWarning, match="takes a mask on cpu: ArithmeticError: off by"):
        assert check(torch.device("cpu"), torch.float32, 2, 16) is False
    monkeypatch.setattr(bias, "causal_lower_right", lambda *_: 1 / 0)
    with pytest.warns(RuntimeWarning, match="takes a mask on cpu: ZeroDivisionError"):
        assert check(torch.device("cpu"), torch.float32, 2, 16) is False
