"""Which engine an option leads to, and what a user with several GPUs is told."""

from __future__ import annotations

import shutil

import pytest

from judge.engines import EngineOptions
from judge.engines.devices import default_device, say_idle_gpus
from judge.engines.loading import load_engine
from judge.errors import UserError
from mmie_tasks.demo import judge_dir


@pytest.mark.parametrize(
    ("device", "gpus", "found"),
    [(None, 0, "cpu"), (None, 1, "cuda"), (None, 8, "cuda"), ("cuda:1", 8, "cuda:1"), ("cpu", 8, "cpu")],
)
def test_the_device_of_one_process(device, gpus, found, monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert default_device(device) == found


@pytest.mark.parametrize(("device", "gpus", "said"), [(None, 8, True), (None, 1, False), ("cuda", 8, False)])
def test_gpus_that_stay_idle_are_said(device, gpus, said, monkeypatch, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    say_idle_gpus(device)
    line = "mmjudge: one of 8 GPUs is used; --ray uses all of them (pip install 'mmjudge[cluster]')\n"
    assert capsys.readouterr().err == (line if said else "")


def test_workers_are_those_of_ray():
    with pytest.raises(UserError, match="workers without ray: this process judges alone") as error:
        load_engine(str(judge_dir()), EngineOptions(workers=2))
    assert error.value.fix == "give --ray, or leave --workers out"


def test_ray_hands_out_the_gpus():
    with pytest.raises(UserError, match="--device cuda:1: Ray hands out the GPUs"):
        load_engine(str(judge_dir()), EngineOptions(ray="local", device="cuda:1"))


@pytest.mark.parametrize("changed", ["config.json", "model.safetensors"])
def test_a_judge_that_is_changed_before_it_is_loaded_judges_nothing(changed, tmp_path):
    """Its verdicts would stand under the identity of another."""
    pytest.importorskip("torch", reason="the hf extra is not installed")
    folder = shutil.copytree(judge_dir(), tmp_path / "judge")
    engine = load_engine(str(folder), EngineOptions(device="cpu"))
    content = (folder / changed).read_bytes()
    # another layout of the same JSON, another last byte of the last tensor
    other = content + b"\n" if changed == "config.json" else content[:-1] + bytes([content[-1] ^ 1])
    (folder / changed).write_bytes(other)
    with pytest.raises(UserError, match="the judge's files were changed after they had been checked"):
        engine.load()


def test_gpus_that_torch_cannot_use_are_refused_in_a_line(monkeypatch):
    """As with a driver that is too old for this torch, and counts its GPUs all the same."""
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    engine = load_engine(str(judge_dir()), EngineOptions())
    with pytest.raises(UserError, match=r"cannot use the GPUs here \(device cuda\)"):
        engine.load()


def test_a_judge_that_does_not_fit_is_a_line(monkeypatch):
    torch = pytest.importorskip("torch", reason="the hf extra is not installed")

    def refuse(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee …")

    engine = load_engine(str(judge_dir()), EngineOptions(device="cpu"))
    monkeypatch.setattr("judge.model.weights.checkpoint.load_model", refuse)
    with pytest.raises(UserError, match="does not fit into what is free of cpu's memory: CUDA out of memory"):
        engine.load()
