"""Which device there is, told without importing torch; torch's own rule is the oracle where its words are quoted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from judge.engines import devices
from judge.errors import UserError


@pytest.mark.parametrize(
    ("visible", "there", "seen"),
    [
        (None, 0, 0),
        (None, 8, 8),
        ("", 8, 0),
        (" ", 8, 0),
        ("-1", 8, 0),
        ("0", 8, 1),
        ("3,1", 8, 2),
        ("0,1,9,2", 8, 2),  # what follows a number that no GPU has is not seen (CUDA's rule)
        ("9", 8, 0),
        ("0,0", 8, None),  # twice: torch is asked
        ("GPU-3fa2", 8, None),
        ("MIG-3fa2", 8, None),
        ("0", None, None),
    ],
)
def test_gpus_that_are_visible(visible, there, seen, monkeypatch):
    monkeypatch.setattr(devices, "_count_nvml", lambda: there)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(devices.VISIBLE, visible)
    assert devices._count_visible() == seen


@pytest.mark.parametrize(
    ("device", "gpus", "refusal"),
    [
        (None, 0, None),
        ("cpu", 0, None),
        ("cuda", 1, None),
        ("cuda:1", 2, None),
        ("gpu", 2, "--device gpu: not one of cpu, cuda, cuda:N"),
        ("cuda:", 2, "--device cuda:: not one of cpu, cuda, cuda:N"),
        ("CUDA", 2, "--device CUDA: not one of cpu, cuda, cuda:N"),
        ("cuda:0", 0, "no CUDA device here for --device cuda:0\n→ leave --device out, or give --device cpu"),
        ("cuda:2", 2, "no such GPU for --device cuda:2\n→ give one of cuda:0 to cuda:1, or cpu"),
        ("cuda:1", 1, "no such GPU for --device cuda:1\n→ give one of cuda:0, or cpu"),
    ],
)
def test_devices_that_are_taken_and_refused(device, gpus, refusal, monkeypatch):
    monkeypatch.setattr(devices, "count_gpus", lambda: gpus)
    if refusal is None:
        devices.check_device(device)
    else:
        with pytest.raises(UserError) as error:
            devices.check_device(device)
        assert str(error.value) == refusal


@pytest.mark.parametrize(
    ("version", "built"),
    [
        ("cuda: Optional[str] = '13.2'\nhip: Optional[str] = None\n", "13.2"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", "None"),
        ("cuda = None\n", "None"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '6.2'\n", None),
        ("something else\n", None),
    ],
)
def test_what_torch_is_built_for(version, built, tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "torch" / "version.py").write_text(version)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert devices._cuda_of_torch() == built


def test_this_machine_is_told_as_torch_tells_it():
    pytest.importorskip("torch", reason="the hf extra is not installed")
    code = (
        "import sys; from judge.engines.devices import count_gpus\n"
        "found, early = count_gpus(), 'torch' in sys.modules\n"
        "import torch; print(found == torch.cuda.device_count(), early)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
